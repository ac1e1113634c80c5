"""A story as an HTML fragment that a partner pastes into a page: plain elements, no script, no style of its own."""

from __future__ import annotations

from html import escape

from syndicator.domain.stories import Image
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.notice import body_html, notice_html, title_of
from syndicator.render.plain import cleaned
from syndicator.render.text import byline


def render_html(entry: Entry, terms: Terms, *, headline: bool = True) -> str:
    """Render the story as one `<article>`; without `headline` for systems that keep it in a field of its own."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    language = f' lang="{escape(entry.language)}"' if entry.language else ""
    parts = [
        f'<article class="syndicated-story"{language}>',
        f"<h1>{escape(title_of(entry))}</h1>" if headline else "",
        f'<p class="byline">{escape(byline(entry, terms))}</p>',
        *(_figure(image) for image in (() if entry.withdrawn else entry.images)),
        body_html(entry),
        _origin(entry, terms),
        notice_html(terms),
        "</article>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _figure(image: Image) -> str:
    told = " ".join(part for part in (image.caption, f"({image.credit})" if image.credit else "") if part)
    caption = f"<figcaption>{escape(told)}</figcaption>" if told else ""
    return f'<figure><img src="{escape(image.url)}" alt="{escape(image.caption)}">{caption}</figure>'


def _origin(entry: Entry, terms: Terms) -> str:
    """Link back to the story: the license asks for it, and search engines learn which copy is the original."""
    address = entry.original_url or entry.url
    return f'<p class="syndication-origin">First published by <a href="{escape(address)}">{escape(terms.newsroom)}</a>.</p>'
