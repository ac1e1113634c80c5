"""The desk's blueprint and navigation. A new page is a module that registers views here, and a line in PAGES."""

from __future__ import annotations

from flask import Blueprint

desk = Blueprint("desk", __name__, url_prefix="/desk", template_folder="../templates")

# Endpoint and words, in the order shown; each person sees those their role may use.
PAGES = (
    ("desk.start", "Overview"),
    ("desk.applications_page", "Applications"),
    ("desk.publishers_page", "Publishers"),
    ("desk.agreements_page", "Agreements"),
    ("desk.pages_page", "Pages"),
    ("desk.inquiries_page", "Inquiries"),
    ("desk.stories_page", "Stories"),
    ("desk.feeds_page", "Feeds"),
    ("desk.sources_page", "Sources"),
    ("desk.deliveries_page", "Deliveries"),
    ("desk.acknowledgements_page", "Not acknowledged"),
    ("desk.why_page", "Why?"),
    ("desk.letters_page", "Letters"),
    ("desk.jobs_page", "Jobs"),
    ("desk.audit_page", "Audit"),
    ("desk.users_page", "Staff"),
)


@desk.context_processor
def navigation() -> dict[str, object]:
    return {"pages": PAGES}
