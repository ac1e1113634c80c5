"""The desk, where the newsroom's staff works. One module a subject; each registers its views on `blueprint.desk`."""

from syndicator.web.desk import letters, start, users  # registers their views
from syndicator.web.desk.blueprint import desk

__all__ = ["desk", "letters", "start", "users"]
