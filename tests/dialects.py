"""One store of compiled statements for all engines of this process, as in service, where one engine lives as long as its process.

Each test opens engines of its own, and SQLAlchemy would compile every statement anew for each of them: that took more time than
all that the databases do. A statement is looked up by its dialect, so those of one database are equal here; each engine still has
its own, with its own events. Import this before the first engine is opened.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_compiled: LRUCache[Any, Any] = LRUCache(3000)


class _Alike:
    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_compiled)


class Sqlite(_Alike, SQLiteDialect_pysqlite):
    supports_statement_cache = True


class PostgreSQL(_Alike, PGDialect_psycopg):
    supports_statement_cache = True


registry.register("sqlite", __name__, "Sqlite")
registry.register("postgresql.psycopg", __name__, "PostgreSQL")
