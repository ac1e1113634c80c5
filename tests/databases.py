"""Fresh PostgreSQL databases at little cost: making one copies 300 files, so a used one is emptied and given a new name instead.

The new name keeps whatever a test left running away from the next test's rows: what it connects to is no longer there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
from sqlalchemy import text

from syndicator.domain.tables import TABLES
from syndicator.house import House
from tests.servers import Postgres

_numbers = count(1)
WAITING_FOR_LOCKS = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
SHAPE = """
    SELECT md5(string_agg(concat(relname, attname, atttypid), ',' ORDER BY relname, attnum))
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped
    WHERE relnamespace = 'public'::regnamespace
"""


class Databases:
    """Databases made from `template`; `empty` makes a used one like new, or returns False where it cannot."""

    def __init__(self, server: Postgres, template: str, empty: Callable[[Postgres, str], bool]) -> None:
        self.server = server
        self._template = template
        self._empty = empty
        self._spare: str | None = None

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Yield the name of a database that nobody has used, as far as anybody can tell."""
        name = f"test_{next(_numbers)}"
        with connect(self.server) as connection:
            if self._spare is None:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY".encode())
            else:
                connection.execute(f"ALTER DATABASE {self._spare} RENAME TO {name}".encode())
        self._spare = None
        yield name
        with connect(self.server) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        if self._empty(self.server, name):
            self._spare = name


def connect(server: Postgres, database: str = "postgres") -> psycopg.Connection[Any]:
    """Connect as its owner; each statement is a transaction of its own."""
    return psycopg.connect(dbname=database, user="syndicator", host=str(server.folder), autocommit=True)


def wait_for_a_lock(house: House, work: Future[Any]) -> None:
    """Return once somebody in PostgreSQL waits for a lock; `work`, which is to do so, must not end before."""
    with house.engine.connect() as connection:
        looking = connection.execution_options(isolation_level="AUTOCOMMIT")
        while not looking.scalar(WAITING_FOR_LOCKS):
            assert not work.done(), work.result()


def shape(connection: psycopg.Connection[Any]) -> str:
    """A value that changes when a table, column, index or sequence comes or goes."""
    row = connection.execute(SHAPE).fetchone()
    return str(row and row[0])


def remove_rows(wanted_shape: str) -> Callable[[Postgres, str], bool]:
    """Return an `empty` that removes every row and starts all numbers at 1 again, if the schema is still `wanted_shape`."""
    deletions = "; ".join(f"DELETE FROM {table.name}" for table in reversed(TABLES.sorted_tables))

    def empty(server: Postgres, name: str) -> bool:
        with connect(server, name) as connection:
            if shape(connection) != wanted_shape:
                return False
            connection.execute(deletions.encode())
            connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
        return True

    return empty


def remove_schema(server: Postgres, name: str) -> bool:
    with connect(server, name) as connection:
        connection.execute("SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return True
