"""RSS 2.0 (RSS Advisory Board profile) on feedgen, with what feedgen lacks written by our own extension.

Item identity is the story's uri; `<link>` is the story's page here. RSS has no tombstones: a withdrawn story stays as an item of
the same guid, emptied, whose title and description say that it must not be used. Dates are written here and not by feedgen,
which switches the locale of the whole process for each of them.
"""

from __future__ import annotations

import re
from email.utils import format_datetime
from html import escape
from typing import Any

from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator

from syndicator.render.elements import (
    ATOM,
    CREATIVE_COMMONS,
    DC,
    DCTERMS,
    FEED_HISTORY,
    GENERATOR,
    MEDIA,
    add,
    add_picture,
    entry_links,
    feed_links,
)
from syndicator.render.entry import Entry, Feed, terms_beside
from syndicator.render.notice import html_with_notice, summary_with_notice, title_of
from syndicator.render.plain import cleaned, one_line, rfc3339, summary_of, whole_second
from syndicator.render.rsl import RSL, add_rsl_content


def render_rss(feed: Feed) -> bytes:
    """Render `feed` as RSS 2.0, UTF-8; equal feeds give equal bytes."""
    feed = cleaned(feed)
    rss = FeedGenerator()
    rss.register_extension("syndicator", _Channel, _Item, atom=False)
    rss.syndicator.feed = feed
    rss.title(one_line(feed.title))
    rss.description(feed.description or feed.title)
    rss.link(href=feed.home_url, rel="alternate")  # alone, since the last link called becomes the channel's
    rss.language(feed.language)
    rss.copyright(feed.terms.rights_text)
    rss.generator(GENERATOR)
    rss.ttl(feed.ttl_minutes)
    rss._FeedGenerator__rss_lastBuildDate = None  # else feedgen writes the present moment, by way of the locale
    for entry in feed.all_entries:
        _fill(rss.add_entry(order="append"), entry, feed)
    return _hexadecimal_titles(rss.rss_str())


def _fill(item: Any, entry: Entry, feed: Feed) -> None:
    item.syndicator.entry, item.syndicator.feed = entry, feed
    item.guid(entry.uri, permalink=False)
    item.title(title_of(entry))
    item.link(href=entry.url, rel="alternate")
    if feed.full and not entry.withdrawn:
        item.description(escape(summary_of(entry)))
        item.content(html_with_notice(entry, feed.terms), type="html")
    else:
        item.description(summary_with_notice(entry, feed.terms))
    item.category([{"term": label, "label": label} for label in entry.labels])


class _Channel(BaseExtension):  # type: ignore[misc]
    """Adds links, dates and the license to the channel."""

    feed: Feed

    def extend_ns(self) -> dict[str, str]:
        return {
            "creativeCommons": CREATIVE_COMMONS,
            "dc": DC,
            "dcterms": DCTERMS,
            "media": MEDIA,
            "rsl": RSL,
            **({"fh": FEED_HISTORY} if self.feed.archive else {}),
        }

    def extend_rss(self, rss: Any) -> None:
        channel = rss[0]
        for link in feed_links(self.feed, "rss"):
            add(channel, f"{{{ATOM}}}link", **link)
        add(channel, "lastBuildDate", format_datetime(whole_second(self.feed.updated), usegmt=True))
        add(channel, f"{{{CREATIVE_COMMONS}}}license", self.feed.terms.license_url)
        if self.feed.archive:
            add(channel, f"{{{FEED_HISTORY}}}archive")


class _Item(BaseEntryExtension):  # type: ignore[misc]
    """Adds names without e-mail addresses, dates, rights and pictures to an item."""

    entry: Entry
    feed: Feed

    def extend_rss(self, item: Any) -> None:
        entry, terms = self.entry, terms_beside(self.entry, self.feed.terms)
        for name in entry.authors:
            add(item, f"{{{DC}}}creator", name)
        add(item, "pubDate", format_datetime(whole_second(entry.published), usegmt=True))
        add(item, f"{{{DCTERMS}}}modified", rfc3339(entry.updated))
        if entry.language:
            add(item, f"{{{DC}}}language", entry.language)
        for link in entry_links(entry, self.feed):
            add(item, f"{{{ATOM}}}link", **link)
        add(item, f"{{{CREATIVE_COMMONS}}}license", terms.license_url)
        add(item, f"{{{DC}}}rights", terms.rights_text)
        if not entry.withdrawn:
            for image in entry.images:
                add_picture(item, image)
            add_rsl_content(item, entry.url, terms)


def _hexadecimal_titles(document: bytes) -> bytes:
    """Write & and < of titles as hexadecimal references: readers disagree on whether a title is HTML, and none mistakes these."""
    return re.sub(rb"<title>[^<]+</title>", lambda m: m[0].replace(b"&amp;", b"&#x26;").replace(b"&lt;", b"&#x3C;"), document)
