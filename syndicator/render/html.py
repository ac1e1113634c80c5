"""A story as an HTML fragment that a partner pastes into a page: plain elements, no script, no style of its own."""

from __future__ import annotations

from html import escape

from syndicator.domain.stories import Image
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.notice import body_html, notice_html, title_of
from syndicator.render.plain import cleaned
from syndicator.render.rights import copyright_notice
from syndicator.render.text import byline


def render_html(entry: Entry, terms: Terms, *, headline: bool = True) -> str:
    """Render the story as one `<article>`; without `headline` for systems that keep it in a field of its own."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    language = f' lang="{escape(entry.language)}"' if entry.language else ""
    standing = f'data-uri="{escape(entry.uri)}" data-version="{entry.version}" data-status="{entry.status.value}"'
    parts = [
        f'<article class="syndicated-story"{language} {standing}>',
        f"<h1>{escape(title_of(entry))}</h1>" if headline else "",
        *story_parts(entry, terms),
        "</article>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def story_parts(entry: Entry, terms: Terms, *, byline_too: bool = True, origin_rel: str = "") -> list[str]:
    """Return what stands below the headline, in order, the notice last; for systems with an article element of their own.

    `origin_rel` is the relation that the link to the original names. `entry` and `terms` are cleaned.
    """
    return [
        *([f'<p class="byline">{escape(byline(entry, terms))}</p>'] if byline_too else []),
        *(figure(image) for image in (() if entry.withdrawn else entry.images)),
        body_html(entry),
        _origin(entry, terms, origin_rel),
        notice_html(terms),
    ]


def figure(image: Image) -> str:
    """Return a cleared picture with its caption and credit."""
    told = " ".join(part for part in (image.caption, f"({image.credit})" if image.credit else "") if part)
    caption = f"<figcaption>{escape(told)}</figcaption>" if told else ""
    return f'<figure><img src="{escape(image.url)}" alt="{escape(image.caption)}">{caption}</figure>'


def _origin(entry: Entry, terms: Terms, rel: str) -> str:
    """Link back to the story, and say whose it is: the license asks for it, and search engines learn which is the original."""
    relation = f'rel="{rel}" ' if rel else ""
    link = f'<a {relation}href="{escape(entry.canonical)}">{escape(terms.newsroom)}</a>'
    return f'<p class="syndication-origin">First published by {link}. {escape(copyright_notice(entry, terms))}</p>'


def with_beacon(article: str, address: str) -> str:
    """Put the picture that counts a view at the end of an article; browsers tell it the site and no more."""
    point = f'<img src="{escape(address)}" alt="" width="1" height="1" referrerpolicy="origin">'
    head, end, tail = article.rpartition("</article>")
    return f"{head}{point}\n{end}{tail}"
