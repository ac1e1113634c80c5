"""OPML 2.0 list of the public feeds, so that a reader can take them all at once. Private feeds are not named in it."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from syndicator.domain.feeds import FeedDefinition
from syndicator.render.elements import add
from syndicator.render.entry import Terms
from syndicator.render.plain import cleaned, one_line


def render_opml(definitions: Iterable[FeedDefinition], terms: Terms) -> bytes:
    """Render one outline per public feed, its RSS address in it: naming all formats would subscribe readers three times."""
    terms = cleaned(terms)
    root = etree.Element("opml", version="2.0")
    head = add(root, "head")
    add(head, "title", f"Feeds of {terms.newsroom}")
    add(head, "ownerName", terms.newsroom)
    add(head, "docs", "http://opml.org/spec2.opml")
    body = add(root, "body")
    for definition in definitions:
        if definition.public:
            title = one_line(cleaned(definition.title))
            add(
                body,
                "outline",
                type="rss",
                text=title,
                title=title,
                description=one_line(cleaned(definition.description)),
                language=definition.language,
                xmlUrl=f"{terms.base_url}/feeds/{definition.name}.rss",
                htmlUrl=f"{terms.base_url}/feeds",
            )
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
