"""JSON Feed 1.1, with the license and what else the format has no member for in an object `_syndicator`.

A withdrawn story stays as an item of the same id, emptied, whose title and content say that it must not be used.
"""

from __future__ import annotations

import json
from typing import Any

from syndicator.render.elements import feed_links, image_type
from syndicator.render.entry import Entry, Feed, Terms, terms_beside
from syndicator.render.notice import html_with_notice, summary_with_notice, title_of
from syndicator.render.plain import cleaned, one_line, present, rfc3339, summary_of

VERSION = "https://jsonfeed.org/version/1.1"


def render_json(feed: Feed) -> bytes:
    """Render `feed` as JSON Feed 1.1, UTF-8; equal feeds give equal bytes."""
    feed = cleaned(feed)
    links = {link["rel"]: link["href"] for link in feed_links(feed, "json")}
    document = {
        "version": VERSION,
        "title": one_line(feed.title),
        "description": feed.description,
        "home_page_url": feed.home_url,
        "feed_url": feed.self_url["json"],
        "next_url": links.get("prev-archive"),  # older stories, as a reader that pages wants them
        "language": feed.language,
        "authors": [{"name": feed.terms.newsroom, "url": feed.terms.base_url}],
        "hubs": [{"type": "WebSub", "url": feed.hub_url}] if feed.hub_url else [],
        "_syndicator": {
            "about": f"{feed.terms.base_url}/feeds",
            "updated": rfc3339(feed.updated),
            "ttl_minutes": feed.ttl_minutes,
            "license": feed.terms.license_url,
            "rights": feed.terms.rights_text,
            "notice_version": feed.terms.notice_version,
            "contact": feed.terms.contact_email,
            "archive": feed.archive,
            "current": links.get("current"),
            "next_archive": links.get("next-archive"),
        },
    }
    # JSON Feed wants `items` even when there are none.
    items = [render_item(entry, feed.terms, full=feed.full, language=feed.language) for entry in feed.all_entries]
    whole = present(document) | {"items": items}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def render_item(entry: Entry, terms: Terms, *, full: bool = True, language: str = "") -> dict[str, Any]:
    """Return one item, with the whole body or the summary; `language` is of the feed it stands in."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    whole = full and not entry.withdrawn
    pictures = () if entry.withdrawn else entry.images
    item: dict[str, Any] = present(
        {
            "id": entry.uri,
            "url": entry.url,
            "title": title_of(entry),
            "summary": summary_of(entry) if whole else None,
            "content_html": html_with_notice(entry, terms) if whole else summary_with_notice(entry, terms),
            "image": pictures[0].url if pictures else None,
            "date_published": rfc3339(entry.published),
            "date_modified": rfc3339(entry.updated),
            "authors": [{"name": name} for name in entry.authors],
            "tags": list(entry.labels),
            "language": entry.language or language,
            "attachments": [
                {"url": image.url, "mime_type": image_type(image.url), "title": _credited(image.caption, image.credit)}
                for image in pictures
                if image_type(image.url)
            ],
            "_syndicator": {
                "license": terms.license_url,
                "rights": terms.rights_text,
                "notice_version": terms.notice_version,
                "contact": terms.contact_email,
                "pub_status": entry.status.value,
                "version": entry.version,
                "canonical_url": entry.canonical,
                "embargoed_until": entry.embargoed_until and rfc3339(entry.embargoed_until),
                "expires": entry.expires and rfc3339(entry.expires),
                "content": "full" if whole else "summary",
            },
        }
    )
    return item


def _credited(caption: str, credit: str) -> str:
    return " / ".join(part for part in (caption, credit) if part)
