"""The desk, where the newsroom's staff works. One module a subject; each registers its views on `blueprint.desk`."""

from syndicator.web.desk import (  # registers their views
    acknowledgements,
    agreements,
    applications,
    charts,
    deliveries,
    inquiries,
    letters,
    publishers,
    records,
    reported,
    start,
    statements,
    stories,
    users,
    works,
)
from syndicator.web.desk.blueprint import desk

__all__ = [
    "acknowledgements",
    "agreements",
    "applications",
    "charts",
    "deliveries",
    "desk",
    "inquiries",
    "letters",
    "publishers",
    "records",
    "reported",
    "start",
    "statements",
    "stories",
    "users",
    "works",
]
