"""Atom 1.0 (RFC 4287) on feedgen, with links, tombstones (RFC 6721) and pictures written by our own extension.

A withdrawn story is a tombstone and no entry. Licenses stand on feed and entry (RFC 4946), since entries are copied out of feeds.
feedgen loses all but the address of an entry's links and refuses rel=license there, so the extension writes them anew.
"""

from __future__ import annotations

from typing import Any

from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator

from syndicator.render.elements import (
    FEED_HISTORY,
    GENERATOR,
    MEDIA,
    TOMBSTONES,
    XML,
    add,
    add_picture,
    entry_links,
    feed_links,
)
from syndicator.render.entry import Entry, Feed, terms_beside
from syndicator.render.notice import html_with_notice, summary_with_notice, title_of, withdrawal, withdrawn_title
from syndicator.render.plain import cleaned, one_line, rfc3339, summary_of, whole_second


def render_atom(feed: Feed) -> bytes:
    """Render `feed` as Atom 1.0, UTF-8; equal feeds give equal bytes."""
    feed = cleaned(feed)
    atom = FeedGenerator()
    atom.register_extension("syndicator", _FeedParts, _EntryParts, rss=False)
    atom.syndicator.feed = feed
    atom.id(feed.id)
    atom.title(one_line(feed.title))
    atom.subtitle(feed.description)
    atom.updated(whole_second(feed.updated))
    atom.author(name=feed.terms.newsroom, uri=feed.terms.base_url)
    atom.language(feed.language)
    atom.rights(feed.terms.rights_text)
    atom.generator(GENERATOR)
    atom.link([{"rel": "alternate", "href": feed.home_url, "type": "text/html"}, *feed_links(feed, "atom")])
    for entry in feed.usable:
        _fill(atom.add_entry(order="append"), entry, feed)
    document: bytes = atom.atom_str()
    return document


def _fill(element: Any, entry: Entry, feed: Feed) -> None:
    element.syndicator.entry, element.syndicator.feed = entry, feed
    element.id(entry.uri)
    element.title(title_of(entry))
    element.link(href=entry.url, rel="alternate")  # asked for by feedgen; written anew by the extension
    element.updated(whole_second(entry.updated))
    element.published(whole_second(entry.published))
    element.author([{"name": name} for name in entry.authors])
    element.category([{"term": label, "label": label} for label in entry.labels])
    element.rights(terms_beside(entry, feed.terms).rights_text)
    if feed.full:
        element.summary(summary_of(entry))
        element.content(html_with_notice(entry, feed.terms), type="html")
    else:
        element.summary(summary_with_notice(entry, feed.terms), type="html")


class _FeedParts(BaseExtension):  # type: ignore[misc]
    """Adds tombstones and the archive mark to the feed."""

    feed: Feed

    def extend_ns(self) -> dict[str, str]:
        return {
            "media": MEDIA,
            **({"at": TOMBSTONES} if self.feed.gone else {}),
            **({"fh": FEED_HISTORY} if self.feed.archive else {}),
        }

    def extend_atom(self, root: Any) -> None:
        if self.feed.archive:
            add(root, f"{{{FEED_HISTORY}}}archive")
        for entry in self.feed.gone:
            _add_tombstone(root, entry, self.feed)


class _EntryParts(BaseEntryExtension):  # type: ignore[misc]
    """Adds the language, whole links and cleared pictures to an entry."""

    entry: Entry
    feed: Feed

    def extend_atom(self, element: Any) -> None:
        element.set(f"{{{XML}}}lang", self.entry.language or self.feed.language)
        for link in element.findall("link"):
            element.remove(link)
        add(element, "link", rel="alternate", href=self.entry.url, type="text/html")
        for attributes in entry_links(self.entry, self.feed):
            add(element, "link", **attributes)
        for image in self.entry.images:
            add_picture(element, image)


def _add_tombstone(root: Any, entry: Entry, feed: Feed) -> None:
    """Append at:deleted-entry: `when` is that of the withdrawal, so no copy of the entry counts as newer (RFC 6721 section 3)."""
    tombstone = add(root, f"{{{TOMBSTONES}}}deleted-entry", ref=entry.uri, when=rfc3339(entry.updated))
    by = add(tombstone, f"{{{TOMBSTONES}}}by")
    add(by, "name", feed.terms.newsroom)
    add(tombstone, f"{{{TOMBSTONES}}}comment", f"{withdrawn_title(entry)}. {withdrawal(entry)}")
