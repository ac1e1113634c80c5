"""Every table, for those who need all of them: migrations, backups of one publisher, tests.

Everybody else imports the nouns it works with, and a process holds no others.
"""

from __future__ import annotations

from sqlalchemy import MetaData, text

from syndicator.domain import (  # noqa: F401  # a class is known once its module has been loaded
    accounts,
    agreements,
    applications,
    audit,
    copies,
    deliveries,
    feeds,
    findable,
    inquiries,
    jobs,
    letters,
    mirrors,
    publishers,
    pushes,
    receipts,
    republications,
    requests,
    stories,
    subscriptions,
    tallies,
    terms,
)
from syndicator.domain.base import Base

TABLES: MetaData = Base.metadata
for index in [index for table in TABLES.tables.values() for index in table.indexes]:
    for dialect, where in index.info.items():
        index.dialect_kwargs[f"{dialect}_where"] = text(where)
