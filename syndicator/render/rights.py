"""What is said about rights beside the notice, in formats that have a place for it. None of it repeats the notice."""

from __future__ import annotations

from syndicator.domain.stories import Rights
from syndicator.render.entry import Entry, Terms

ODRL = "http://www.w3.org/ns/odrl/2/"


def copyright_notice(entry: Entry, terms: Terms) -> str:
    """Return the line of copyright, dated by the story."""
    return f"© {entry.published.year} {terms.newsroom}"


def usage_terms(entry: Entry, terms: Terms) -> str:
    """Say in other words than the notice's under which terms the story may be used."""
    if entry.rights is Rights.LICENSED:  # said of the newsroom, since the agreement itself is between two
        return f"Only for holders of a license agreement with {terms.newsroom}; write to {terms.contact_email}."
    return f"For approved publishers, without charge, under {terms.license_url}. It covers text and cleared pictures only."
