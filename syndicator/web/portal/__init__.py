"""The portal, where partners look after themselves. One module a subject; each registers its views on `blueprint.portal`."""

from syndicator.web.portal import (
    application,
    deliveries,
    duties,
    feeds,
    keys,
    members,
    receipts,
    republications,
    start,
    stories,
    subscriptions,
    terms,
)  # registers their views
from syndicator.web.portal.blueprint import portal

__all__ = [
    "application",
    "deliveries",
    "duties",
    "feeds",
    "keys",
    "members",
    "portal",
    "receipts",
    "republications",
    "start",
    "stories",
    "subscriptions",
    "terms",
]
