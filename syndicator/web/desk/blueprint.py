"""The desk's blueprint and navigation. A new page is a module that registers views here, and a line in PAGES."""

from __future__ import annotations

from flask import Blueprint

desk = Blueprint("desk", __name__, url_prefix="/desk", template_folder="../templates")

# Endpoint and words, in the order shown; each person sees those their role may use.
PAGES = (
    ("desk.start", "Overview"),
    ("desk.applications_page", "Applications"),
    ("desk.letters_page", "Letters"),
    ("desk.users_page", "Staff"),
)


@desk.context_processor
def navigation() -> dict[str, object]:
    return {"pages": PAGES}
