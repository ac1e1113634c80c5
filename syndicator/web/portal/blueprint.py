"""The portal's blueprint and navigation. A new page is a module that registers views here, and a line in PAGES."""

from __future__ import annotations

from flask import Blueprint

portal = Blueprint("portal", __name__, url_prefix="/portal", template_folder="../templates")

# Endpoint and words, in the order shown; each person sees those their role may use.
PAGES = (
    ("portal.start", "Overview"),
    ("portal.application_page", "Application"),
    ("portal.stories_page", "Stories"),
    ("portal.feeds_page", "Feeds"),
    ("portal.keys_page", "Keys"),
    ("portal.subscriptions_page", "Subscriptions"),
    ("portal.deliveries_page", "Deliveries"),
    ("portal.why_page", "Why?"),
    ("portal.acknowledgements_page", "Kills"),
    ("portal.republications_page", "Pages"),
    ("portal.use_page", "Use"),
    ("portal.members_page", "Members"),
    ("portal.terms_page", "Terms"),
)


@portal.context_processor
def navigation() -> dict[str, object]:
    return {"pages": PAGES}
