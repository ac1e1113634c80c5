"""The nouns as mapped classes, and the rules that need nothing but values: no Flask, network, clock or query."""

from syndicator.domain import audit, base, deliveries, feeds, findable, jobs, publishers, stories, subscriptions

__all__ = ["audit", "base", "deliveries", "feeds", "findable", "jobs", "publishers", "stories", "subscriptions"]
