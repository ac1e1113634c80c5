"""The file on one publisher: every row that is kept about it, for itself, its lawyer, or a move elsewhere.

It is read off the mapped tables, so that a table made later is not forgotten. What opens a door stays out: secrets, tokens, and
the hashes of either. What it was sent is in the export of deliveries.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import RowMapping, inspect, select
from sqlalchemy.orm import Session

from syndicator.domain.publishers import Publisher
from syndicator.domain.tables import TABLES

LEFT_OUT = frozenset({"sign_ins", "hub_requests", "letters"})  # passing, or written to single people with links that let them in
_OPENS_DOORS = re.compile(r"secret|hash|token|credential|password|signing_key|websub_key|topic")
_NAMES = ("public_id", "uri", "email")  # what a row of another table is called, the first that it has


def file_of(session: Session, publisher: Publisher) -> dict[str, Any]:
    """Return the rows by table, the publisher's own under `publisher`; the numbers by which rows know each other become names."""
    own = inspect(Publisher).local_table
    rows: dict[str, Any] = {"publisher": _rows(session, own, own.c.id, publisher.id)[0]}
    for table in TABLES.sorted_tables:
        if "publisher_id" in table.c and table.name not in LEFT_OUT:
            rows[table.name] = _rows(session, table, table.c.publisher_id, publisher.id)
    return rows


def _rows(session: Session, table: Any, owner: Any, publisher_id: int) -> list[dict[str, Any]]:
    shown = [column for column in table.c if column.name not in {"id", "publisher_id"} and not _OPENS_DOORS.search(column.name)]
    wanted = select(*shown).where(owner == publisher_id).order_by(*table.primary_key)
    return [_named(session, shown, row) for row in session.execute(wanted).mappings()]


def _named(session: Session, columns: list[Any], row: RowMapping) -> dict[str, Any]:
    """Return the row with, in place of the number of another row, that row's own name."""
    record: dict[str, Any] = {}
    for column in columns:
        key = next(iter(column.foreign_keys), None)
        name, value = column.name, row[column]
        record[name if key is None else name.removesuffix("_id")] = value if key is None else _name(session, key.column, value)
    return record


def _name(session: Session, key: Any, number: object) -> object:
    called = next((key.table.c[name] for name in _NAMES if name in key.table.c), key)
    return session.scalar(select(called).where(key == number))
