"""The partners' API under /v1, for whoever the gate lets have stories. Each module puts its views on `api`."""

from syndicator.web.api import (
    account,
    acknowledgements,
    agreements,
    changes,
    deliveries,
    receipts,
    redelivery,
    reference,
    republications,
    stories,
    subscriptions,
)
from syndicator.web.api.blueprint import api

__all__ = [
    "account",
    "acknowledgements",
    "agreements",
    "api",
    "changes",
    "deliveries",
    "receipts",
    "redelivery",
    "reference",
    "republications",
    "stories",
    "subscriptions",
]
