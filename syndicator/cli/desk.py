"""What commands share: the house, opened on first need, and printing records as a table or as JSON."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syndicator.errors import ConfigError

if TYPE_CHECKING:  # what costs a second to load is loaded by the first command that needs it
    from sqlalchemy import Engine

    from syndicator.config import Config
    from syndicator.house import House
    from syndicator.outbound import Outbound


@dataclass
class Desk:
    """One command's surroundings."""

    config_path: Path | None
    as_json: bool

    @cached_property
    def config(self) -> Config:
        from syndicator import log
        from syndicator.config import load_config

        config = load_config(self.config_path)
        log.configure(config.log.format, config.log.level)
        return config

    @cached_property
    def engine(self) -> Engine:
        """The database, without a look at its schema."""
        from syndicator.storage.engine import open_engine

        return open_engine(self.config.database_url)

    @cached_property
    def house(self) -> House:
        """Open the house; a new database gets its schema, an older one is left for `db upgrade`."""
        from syndicator.house import open_house
        from syndicator.operations.render_feeds import sync_catalogue
        from syndicator.operations.terms import sync_terms
        from syndicator.storage.revision import current_revision, is_current

        house = open_house(self.config)
        if current_revision(house.engine) is None:
            from syndicator.storage.schema import upgrade

            upgrade(house.engine)
        if not is_current(house.engine):
            raise ConfigError("database.url: the schema is of another version; run `syndicator db upgrade`")
        with house.sessions.begin() as session:
            sync_catalogue(session, house.catalogue, at=house.clock())
            sync_terms(session, house, at=house.clock())
        return house

    @cached_property
    def outbound(self) -> Outbound:
        from syndicator.outbound import open_outbound

        return open_outbound(self.config)

    @property
    def actor(self) -> str:
        """Who types, for the audit log."""
        with suppress(OSError, KeyError):
            return f"command line: {getpass.getuser()}"
        return "command line"

    def tell(self, words: str, record: Mapping[str, Any]) -> None:
        """Say in a sentence what was done, or print it as a record where those are JSON."""
        if self.as_json:
            self.print_json(record)
        else:
            say(words)

    def print_json(self, value: Any, indent: int | None = None) -> None:
        say(json.dumps(value, ensure_ascii=False, default=_plain, indent=indent))

    def show(self, record: Mapping[str, Any]) -> None:
        """Print one record."""
        if self.as_json:
            self.print_json(record)
            return
        width = max(map(len, record), default=0)
        for name, value in record.items():
            say(f"{name.replace('_', ' '):{width}}  {_text(value)}")

    def list(self, records: Iterable[Mapping[str, Any]], *, empty: str) -> None:
        """Print records as a table, or say in one sentence why there are none."""
        rows = list(records)
        if self.as_json:
            self.print_json(rows)
            return
        if not rows:
            say(empty)
            return
        names = list(rows[0])
        cells = [[_text(row[name]) for name in names] for row in rows]
        widths = [max(len(name), *(len(line[column]) for line in cells)) for column, name in enumerate(names)]
        for line in [[name.replace("_", " ") for name in names], *cells]:
            say("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def say(words: str, *, error: bool = False) -> None:
    """Print a line; control characters from stories never reach the terminal."""
    safe = "".join(character if character.isprintable() or character == "\n" else "�" for character in words)
    print(safe, file=sys.stderr if error else sys.stdout, flush=True)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "-"
    return str(value)
