"""A story ready to be pasted into another newsroom's system: headline, byline, link to the original, body, notice.

HTML source without styles or scripts, or plain text. Only the story page's copies and their like are written here; machines take
ninjs or a feed.
"""

from __future__ import annotations

from html import escape

from syndicator.render.entry import Entry, Terms
from syndicator.render.notice import html_with_notice, text_with_notice
from syndicator.render.plain import cleaned, one_line


def paste_html(entry: Entry, terms: Terms) -> str:
    """Return the story as an HTML fragment in one <article>."""
    entry, terms = cleaned(entry), cleaned(terms)
    url = escape(entry.canonical_url or entry.url)
    return (
        f"<article>\n<h1>{escape(one_line(entry.headline))}</h1>\n"
        f'<p>{escape(_credit(entry, terms))} | <a rel="canonical" href="{url}">Original story</a></p>\n'
        f"{html_with_notice(entry, terms)}\n</article>\n"
    )


def paste_text(entry: Entry, terms: Terms) -> str:
    """Return the story as plain text, paragraphs parted by a blank line."""
    entry, terms = cleaned(entry), cleaned(terms)
    head = f"{one_line(entry.headline)}\n\n{_credit(entry, terms)}\nOriginal story: {entry.canonical_url or entry.url}"
    return f"{head}\n\n{text_with_notice(entry, terms)}\n"


def _credit(entry: Entry, terms: Terms) -> str:
    """Return who wrote it and for whom: the first duty of the license is to keep this line."""
    return f"By {', '.join(entry.byline)}, {terms.newsroom}" if entry.byline else f"By {terms.newsroom}"
