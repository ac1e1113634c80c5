"""XML names and elements that RSS and Atom share: namespaces, links, pictures. What only one of them has stays with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from syndicator.domain.feeds import CONTENT_TYPES
from syndicator.domain.stories import Image
from syndicator.render.entry import Entry, Feed, terms_beside

ATOM = "http://www.w3.org/2005/Atom"
CREATIVE_COMMONS = "http://backend.userland.com/creativeCommonsRssModule"
DC = "http://purl.org/dc/elements/1.1/"
DCTERMS = "http://purl.org/dc/terms/"
FEED_HISTORY = "http://purl.org/syndication/history/1.0"
MEDIA = "http://search.yahoo.com/mrss/"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
XML = "http://www.w3.org/XML/1998/namespace"

GENERATOR = "Syndicator"

# The machine's own table of types differs between machines, and equal feeds must give equal bytes.
_IMAGE_TYPES = {
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


def add(parent: Any, tag: str, text: str | None = None, /, **attributes: str) -> Any:
    """Append `<tag>` to `parent` and return it; attributes that are empty are left out."""
    element = etree.SubElement(parent, tag, {name: value for name, value in attributes.items() if value})
    element.text = text
    return element


def image_type(url: str) -> str:
    """Return the media type that the ending of a picture's address tells, or nothing."""
    path = urlsplit(url).path.lower()
    return next((kind for ending, kind in _IMAGE_TYPES.items() if path.endswith(ending)), "")


def add_picture(parent: Any, image: Image) -> None:
    """Append a cleared picture as Media RSS 1.5.1, ungrouped: a group of one is an error to validators."""
    content = add(parent, f"{{{MEDIA}}}content", url=image.url, type=image_type(image.url), medium="image")
    if image.caption:
        add(content, f"{{{MEDIA}}}description", image.caption, type="plain")
    if image.credit:
        add(content, f"{{{MEDIA}}}credit", image.credit)


def feed_links(feed: Feed, form: str) -> list[dict[str, str]]:
    """Return the links of a feed document in the format `form` (rss or atom), its home page not among them.

    self and hub: WebSub section 4; license: RFC 4946; prev-archive, next-archive, current: RFC 5005 section 4.
    """
    kind = CONTENT_TYPES[form].partition(";")[0]
    links = [{"rel": "self", "href": feed.self_url[form], "type": kind}]
    if feed.hub_url:
        links.append({"rel": "hub", "href": feed.hub_url})
    links.append(_license_link(feed.terms.license_url, feed.terms.license_title))
    for rel, by_form in (("current", feed.current), ("prev-archive", feed.prev_archive), ("next-archive", feed.next_archive)):
        if by_form:
            links.append({"rel": rel, "href": by_form[form], "type": kind})
    return links


def entry_links(entry: Entry, feed: Feed) -> list[dict[str, str]]:
    """Return the links of an entry, its page not among them: the license, and where the newsroom first published it."""
    terms = terms_beside(entry, feed.terms)
    links = [_license_link(terms.license_url, terms.license_title)]
    if entry.original_url:
        links.append({"rel": "via", "href": entry.original_url, "type": "text/html"})
    return links


def _license_link(url: str, title: str) -> dict[str, str]:
    return {"rel": "license", "href": url, "type": "text/html", "title": title}
