"""The feed catalogue: reads `feeds/*.toml`. A wrong key or value stops start-up, with file, key and reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from syndicator.domain.feeds import FeedDefinition
from syndicator.errors import ConfigError, FeedNotFound


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The published feeds by name, in alphabetical order."""

    feeds: dict[str, FeedDefinition]

    def __iter__(self) -> Iterator[FeedDefinition]:
        return iter(self.feeds.values())

    def find(self, name: str) -> FeedDefinition | None:
        return self.feeds.get(name)

    def get(self, name: str) -> FeedDefinition:
        """Return the feed called `name`, or raise FeedNotFound."""
        if name not in self.feeds:
            raise FeedNotFound(name)
        return self.feeds[name]


def read_catalogue(folder: Path) -> Catalogue:
    """Read every `*.toml` of `folder`; raises ConfigError that names file, key and reason."""
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ConfigError(f"{folder}: holds no feed files; the catalogue needs at least one NAME.toml")
    return Catalogue({file.stem: _read_feed(file) for file in files})


def _read_feed(file: Path) -> FeedDefinition:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        return FeedDefinition(name=file.stem, **values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(file, e["loc"], e["msg"]) for e in error.errors())) from error


def _complaint(file: Path, place: tuple[int | str, ...], message: str) -> str:
    """Name file, key and reason; a rule about several keys names them itself."""
    return ": ".join(filter(None, (str(file), ".".join(map(str, place)), message.removeprefix("Value error, "))))
