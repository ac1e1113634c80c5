"""The schema: brings a database to the revision this version knows. Where it stands, revision.py says.

A change of schema is one transaction on both databases: it is there whole or not at all. Two that upgrade at once wait for each
other. Nothing here reads `alembic.ini`; the revisions lie in `migrations/versions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as Alembic
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from syndicator.domain.findable import MADE_BY_STATEMENT
from syndicator.domain.tables import TABLES
from syndicator.errors import ConfigError
from syndicator.storage.revision import reading_connection

UPGRADE_LOCK = 0x5359_4E44  # "SYND": any number that nothing else in the database locks


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring the database to revision `to`; does nothing if it is there. Raises ConfigError for one from a newer version."""
    _change(engine, lambda alembic: command.upgrade(alembic, to))


def downgrade(engine: Engine, to: str) -> None:
    """Take the database back to revision `to` ("base": nothing is left, data included)."""
    _change(engine, lambda alembic: command.downgrade(alembic, to))


def stamp(engine: Engine) -> None:
    """Note that the database is at the newest revision, whose tables somebody made in another way."""
    _change(engine, lambda alembic: command.stamp(alembic, "head"))


def known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def differences(engine: Engine) -> list[Any]:
    """Return what Alembic would change to make the database fit the models; empty when it fits."""
    with reading_connection(engine) as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": in_models}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, TABLES))


def in_models(_object: object, name: str | None, _kind: str, _reflected: bool, _compared_to: object) -> bool:
    """Say whether Alembic is to compare a thing called `name`; what plain statements make is not in the models."""
    return name not in MADE_BY_STATEMENT


def alembic_config() -> Alembic:
    alembic = Alembic()
    alembic.set_main_option("script_location", "syndicator.storage:migrations")
    return alembic


def _change(engine: Engine, change: Callable[[Alembic], None]) -> None:
    alembic = alembic_config()
    with _alone(engine) as connection:
        alembic.attributes["connection"] = connection
        try:
            change(alembic)
        except CommandError as error:
            raise ConfigError(f"database.url: the schema cannot be changed from where it is: {error}") from error


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Yield a connection inside a transaction that no other upgrade can enter.

    SQLite rebuilds a table by copying and dropping it, which must not cascade; foreign keys are off meanwhile and checked before
    the commit. They cannot be switched inside a transaction, hence on the driver's own connection.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver = connection.connection.cursor()
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    if broken := connection.execute(text("PRAGMA foreign_key_check")).all():
                        raise ConfigError(f"database.url: rows point at nothing after the change: {broken[:5]}")
            finally:
                driver.execute("PRAGMA foreign_keys=ON")
        else:
            with connection.begin():
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
                yield connection
