"""What every mapped class shares: the declarative base, the column types, and opaque ids."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Enum, Index, MetaData, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: readable aloud, and no words


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant. Naive values are refused, so that no zone is ever guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored; say its zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """JSON, on PostgreSQL the binary kind. What speaks to that database is loaded by those who have it."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(JSON())
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB())


def choice(values: type[StrEnum]) -> Enum:
    """A column that holds one of `values`, as the word itself and checked by no database type that is hard to change."""
    return Enum(values, native_enum=False, length=20, values_callable=lambda members: [member.value for member in members])


def partial_index(name: str, *columns: str, where: str, on_postgresql: str = "") -> Index:
    """An index of those rows alone for which `where` holds, as SQLite spells it; tables.py tells the databases."""
    return Index(name, *columns, info={"sqlite": where, "postgresql": on_postgresql or where})


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: Json, list[str]: Json, list[dict[str, Any]]: Json}


class Counter(Base):
    """A number that only grows, without gaps: the row stays locked until the transaction that took a value ends.

    Rows: `events` (event log) and `audit`. A transaction that takes both takes `events` first, so none waits in a circle.
    And `tallied_attempts`, up to which attempt the days are summed up, and `events_left_out`, how many numbers restores skipped.
    """

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


def new_id(prefix: str, length: int = 16) -> str:
    """Return an opaque id such as `pub_7q2…`: `length` random characters of five bits each."""
    return prefix + "".join(secrets.choice(CROCKFORD) for _ in range(length))
