"""A story as plain text, to be read, mailed or pasted: headline, byline, body, its links, whence and whose it is, the notice."""

from __future__ import annotations

from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.notice import body_text, notice_text, title_of
from syndicator.render.plain import cleaned, links_of, rfc3339
from syndicator.render.rights import copyright_notice


def render_text(entry: Entry, terms: Terms) -> str:
    """Render the story as plain text with one line per paragraph, ending in a line feed."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    parts = [
        title_of(entry),
        f"{byline(entry, terms)}\n{rfc3339(entry.published)}, version {entry.version} ({entry.status.value})",
        body_text(entry),
        _links(entry),
        _origin(entry, terms),
        notice_text(terms),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def byline(entry: Entry, terms: Terms) -> str:
    """Return who wrote the story and for whom, such as `By Jane Roe and John Doe, Example News`."""
    if not entry.authors:
        return f"By {terms.newsroom}"
    *others, last = entry.authors
    joined = f"{', '.join(others)} and {last}" if others else last
    return f"By {joined}, {terms.newsroom}"


def _origin(entry: Entry, terms: Terms) -> str:
    rights = copyright_notice(entry, terms)
    return rights if entry.withdrawn else f"First published at {entry.canonical}\n{rights}"


def _links(entry: Entry) -> str:
    links = [] if entry.withdrawn else links_of(entry.body_html)
    listed = [f"- {words}: {href}" if words and words != href else f"- {href}" for words, href in links]
    return "\n".join(["Links in this story:", *listed]) if listed else ""
