"""Opening the database, and what each kind is told on connect.

SQLite: write-ahead log and `synchronous=FULL`, so that an acknowledged commit survives a power cut (NORMAL may lose the
youngest); foreign keys on; a writer waits up to 30 s for the lock instead of failing. Every writing transaction begins IMMEDIATE,
since a read lock that wants to become a write lock cannot wait. PostgreSQL: the server's own durability, UTC, and a bounded
statement time.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

BUSY_TIMEOUT_SECONDS = 30
POSTGRESQL_DISK_FULL = "53100"
CACHED_STATEMENTS = 64  # prepared ones, of a connection: one that names hundreds of rows holds up to 130 KB


def open_engine(url: str) -> Engine:
    """Return an engine for `url`; nothing is connected yet. The folder of a SQLite file is made, readable by its owner only."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        if address.database and address.database != ":memory:":
            Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "cached_statements": CACHED_STATEMENTS})
        event.listen(engine, "connect", _tell_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    return create_engine(
        address,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        connect_args={"options": "-c timezone=UTC -c statement_timeout=60000", "connect_timeout": 5},
    )


def open_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return the maker of sessions. Objects stay readable after their commit, so an edge can answer from them."""
    return sessionmaker(engine, expire_on_commit=False)


def _tell_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, and too late
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def reading(sessions: sessionmaker[Session]) -> Session:
    """Open a session that only reads: on SQLite it takes no write lock. Use as `with reading(sessions) as session`."""
    session = sessions()
    session.connection(execution_options={"reads_only": True})
    return session


def passing(error: Exception) -> bool:
    """Whether the same may succeed later: the database is away, busy, full, or broke a deadlock; all else is about the rows."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError | InternalError)
    return isinstance(error, PoolTimeout)


def out_of_room(error: Exception) -> bool:
    """Whether `error`, of the database or of the operating system, says that the disk is full."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return (
        getattr(origin, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(origin, "sqlstate", None) == POSTGRESQL_DISK_FULL
        or getattr(origin, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
    )
