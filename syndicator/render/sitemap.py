"""Google News sitemap: the story pages of the last two days. The caller chooses the stories; withdrawn ones are left out here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from lxml import etree

from syndicator.render.elements import add
from syndicator.render.entry import Entry, Terms
from syndicator.render.notice import title_of
from syndicator.render.plain import cleaned, rfc3339

SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
NEWS = "http://www.google.com/schemas/sitemap-news/0.9"
MOST_STORIES = 1000  # of one file, by Google's rule


def render_news_sitemap(entries: Iterable[Entry], terms: Terms) -> bytes:
    """Render the pages of `entries`, newest first, at most 1000 of them."""
    terms = cleaned(terms)
    root = etree.Element(f"{{{SITEMAP}}}urlset", nsmap={None: SITEMAP, "news": NEWS})  # type: ignore[dict-item]
    for entry in islice((cleaned(entry) for entry in entries if not entry.withdrawn), MOST_STORIES):
        url = add(root, f"{{{SITEMAP}}}url")
        add(url, f"{{{SITEMAP}}}loc", entry.url)
        add(url, f"{{{SITEMAP}}}lastmod", rfc3339(entry.updated))
        news = add(url, f"{{{NEWS}}}news")
        publication = add(news, f"{{{NEWS}}}publication")
        add(publication, f"{{{NEWS}}}name", terms.newsroom)
        add(publication, f"{{{NEWS}}}language", _language(entry.language))
        add(news, f"{{{NEWS}}}publication_date", rfc3339(entry.published))
        add(news, f"{{{NEWS}}}title", title_of(entry))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _language(tag: str) -> str:
    """Return the language as the sitemap wants it: the bare language, but Chinese with its script's country."""
    lowered = tag.lower()
    return lowered if lowered in {"zh-cn", "zh-tw"} else lowered.partition("-")[0] or "en"
