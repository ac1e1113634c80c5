"""The desk's blueprint and navigation. A new page is a module that registers views here, and a line in ROOMS."""

from __future__ import annotations

from flask import Blueprint

desk = Blueprint("desk", __name__, url_prefix="/desk", template_folder="../templates")

# Rooms, and in each the endpoint and words of its pages, in the order shown; each person sees those their role may use.
ROOMS = (
    ("Overview", (("desk.start", "Overview"),)),
    (
        "Publishers",
        (
            ("desk.applications_page", "Applications"),
            ("desk.publishers_page", "Publishers"),
            ("desk.agreements_page", "Agreements"),
            ("desk.inquiries_page", "Inquiries"),
            ("desk.pages_page", "Where stories appeared"),
        ),
    ),
    (
        "Stories",
        (
            ("desk.stories_page", "All stories"),
            ("desk.feeds_page", "Feeds"),
            ("desk.sources_page", "Sources"),
        ),
    ),
    (
        "Delivery",
        (
            ("desk.deliveries_page", "Deliveries"),
            ("desk.acknowledgements_page", "Not acknowledged"),
            ("desk.why_page", "Why?"),
            ("desk.letters_page", "Letters"),
        ),
    ),
    ("House", (("desk.jobs_page", "Jobs"), ("desk.audit_page", "Audit log"), ("desk.users_page", "Staff"))),
)


@desk.context_processor
def navigation() -> dict[str, object]:
    return {"rooms": ROOMS}
