"""The free-use license as plain text: the bytes behind `/licenses/free-use/VERSION.txt`, whose hash stands in receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from syndicator.render.entry import Terms


def license_text(terms: Terms, duties: Sequence[str]) -> str:
    """Return the license in one form that never changes for a version: title, notice, duties, address."""
    lines = [
        f"{terms.license_title}, version {terms.license_version}",
        "",
        f"Notice, version {terms.notice_version}:",
        terms.notice_text,
        "",
        "What a publisher owes in return:",
        *(f"- {duty}" for duty in duties),
        "",
        f"Only publishers approved by {terms.newsroom} may use it. Questions: {terms.contact_email}",
        terms.license_url,
    ]
    return "\n".join(lines) + "\n"


def license_digest(terms: Terms, duties: Sequence[str]) -> str:
    """SHA-256 of the license text in UTF-8, hex."""
    return hashlib.sha256(license_text(terms, duties).encode()).hexdigest()
