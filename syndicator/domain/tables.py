"""Every table, for those who need all of them: migrations, backups of one publisher, tests.

Everybody else imports the nouns it works with, and a process holds no others.
"""

from __future__ import annotations

from sqlalchemy import MetaData

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
