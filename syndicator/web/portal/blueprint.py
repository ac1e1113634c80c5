"""The portal's blueprint and navigation. A new page is a module that registers views here, and a line in ROOMS."""

from __future__ import annotations

from flask import Blueprint

portal = Blueprint("portal", __name__, url_prefix="/portal", template_folder="../templates")

# Rooms, and in each the endpoint and words of its pages, in the order shown; each person sees those their role may use.
ROOMS = (
    ("Overview", (("portal.start", "Overview"),)),
    (
        "Stories",
        (
            ("portal.stories_page", "All stories"),
            ("portal.why_page", "Why?"),
            ("portal.acknowledgements_page", "Kills and corrections"),
            ("portal.republications_page", "Where they appeared"),
            ("portal.use_page", "Use"),
        ),
    ),
    (
        "Receiving",
        (
            ("portal.feeds_page", "Feeds"),
            ("portal.subscriptions_page", "Subscriptions"),
            ("portal.deliveries_page", "Deliveries"),
            ("portal.keys_page", "Keys"),
        ),
    ),
    (
        "Organisation",
        (
            ("portal.application_page", "Application"),
            ("portal.terms_page", "Terms"),
            ("portal.members_page", "Members"),
        ),
    ),
)


@portal.context_processor
def navigation() -> dict[str, object]:
    return {"rooms": ROOMS}
