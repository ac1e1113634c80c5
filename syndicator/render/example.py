"""The example that a test send carries: shaped like a story, and nothing that anybody could take for one.

Its status is `canceled` in every format that has one, as a killed story's is: a program that heeds kills, as all must, publishes
no example either. Its id, and so the name of every file and the slug of every post made of it, begins with EXAMPLE.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

from syndicator.domain.stories import PubStatus
from syndicator.render.entry import Entry, Terms

MARK = "EXAMPLE, NOT FOR PUBLICATION"


def example_entry(terms: Terms, *, uid: str, authority: str, feed: str, language: str, at: datetime) -> Entry:
    """Return the example of the test `uid` of a subscription to `feed`, asked for at the instant `at`."""
    warning = "This is an example. Do not publish it."
    words = (
        f"Somebody asked for it, to see how stories of the feed “{feed}” come to you. Byline, text, notice and license stand "
        "where those of a story stand. Where there is a place for a status it says “canceled”, as a killed story does."
    )
    return Entry(
        uri=f"tag:{authority},{at.year}:example/{uid}",
        public_id=f"EXAMPLE_{uid}",
        version=1,
        status=PubStatus.CANCELED,
        url=f"{terms.base_url}/",
        canonical_url="",
        headline=f"{MARK}: how stories of “{feed}” come",
        summary=warning,
        body_html=f"<p><strong>{warning}</strong></p>\n<p>{escape(words)}</p>",
        byline=(),
        section="",
        tags=(),
        language=language,
        published=at,
        updated=at,
        first_created=at,
        ednote=MARK,
        example=True,
    )
