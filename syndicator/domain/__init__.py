"""The nouns as mapped classes, and the rules that need nothing but values: no Flask, network, clock or query."""

from syndicator.domain import agreements, audit, base, deliveries, feeds, findable, jobs, publishers, stories, subscriptions

__all__ = ["agreements", "audit", "base", "deliveries", "feeds", "findable", "jobs", "publishers", "stories", "subscriptions"]
