"""The nouns as mapped classes, and the rules that need nothing but values: no Flask, network, clock or query."""

from syndicator.domain import (
    agreements,
    applications,
    audit,
    base,
    deliveries,
    feeds,
    findable,
    jobs,
    publishers,
    stories,
    subscriptions,
    terms,
)

__all__ = [
    "agreements",
    "applications",
    "audit",
    "base",
    "deliveries",
    "feeds",
    "findable",
    "jobs",
    "publishers",
    "stories",
    "subscriptions",
    "terms",
]
