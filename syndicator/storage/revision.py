"""Where a database's schema stands, told without loading Alembic: every process asks at its start, few ever change it.

The revisions are numbered, and the file of each begins with its number.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

REVISIONS = Path(__file__).parent / "migrations" / "versions"


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the database, or None when it has no schema of ours."""
    with reading_connection(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def newest_revision() -> str:
    return max(file.name.partition("_")[0] for file in REVISIONS.glob("[0-9]*.py"))


def is_current(engine: Engine) -> bool:
    return current_revision(engine) == newest_revision()


def reading_connection(engine: Engine) -> Connection:
    """Open a connection that only reads: asking how things stand never waits for a writer."""
    return engine.connect().execution_options(reads_only=True)
