"""The nouns as mapped classes, and the rules that need nothing but values: no Flask, network, clock or query."""

from syndicator.domain import (
    accounts,
    agreements,
    applications,
    audit,
    base,
    deliveries,
    feeds,
    findable,
    jobs,
    letters,
    publishers,
    stories,
    subscriptions,
    terms,
)

__all__ = [
    "accounts",
    "agreements",
    "applications",
    "audit",
    "base",
    "deliveries",
    "feeds",
    "findable",
    "jobs",
    "letters",
    "publishers",
    "stories",
    "subscriptions",
    "terms",
]
