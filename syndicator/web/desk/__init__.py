"""The desk, where the newsroom's staff works. One module a subject; each registers its views on `blueprint.desk`."""

from syndicator.web.desk import applications, letters, start, users  # registers their views
from syndicator.web.desk.blueprint import desk

__all__ = ["applications", "desk", "letters", "start", "users"]
