"""The portal, where partners look after themselves. One module a subject; each registers its views on `blueprint.portal`."""

from syndicator.web.portal import members, start  # registers their views
from syndicator.web.portal.blueprint import portal

__all__ = ["members", "portal", "start"]
