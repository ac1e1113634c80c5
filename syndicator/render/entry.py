"""The neutral values that every format is rendered from. No format, no database, no clock.

An Entry is one story version as it may leave: cleared pictures only, the notice *not yet* in the body. Each renderer puts the
notice in, exactly once, by `html_with_notice` or `text_with_notice` (render/notice.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from syndicator.domain.stories import Image, PubStatus, Rights, label_key


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """What machines may do with the stories; every signal to crawlers and inside feeds is written from this one answer."""

    search: bool = True  # index and show in search results
    ai_train: bool = False  # train models
    ai_input: bool = False  # feed an assistant's answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What stands beside every story: who gives it, the notice, and the license in force."""

    newsroom: str  # such as Daily Caller News Foundation
    base_url: str
    notice_version: str
    notice_text: str
    contact_email: str
    license_version: str
    license_title: str
    license_url: str  # absolute, immutable
    apply_url: str  # where a publisher asks to be approved
    machine_use: MachineUse = MachineUse()
    noindex: bool = False  # copies ask search engines to list only the original
    free: bool = True  # False: beside a story that needs an agreement
    clean: bool = field(default=False, init=False, compare=False, repr=False)  # see Entry

    @property
    def rights_text(self) -> str:
        """One line for places that take a line about rights. It does not repeat the notice."""
        if not self.free:
            return f"© {self.newsroom}. By license agreement only: {self.license_url}"
        return f"© {self.newsroom}. Free for approved publishers under {self.license_url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One story version, ready to be written in any format."""

    uri: str
    public_id: str
    version: int
    status: PubStatus
    url: str  # the story's page here, absolute, without the readable end
    canonical_url: str  # where the newsroom itself published it; may be empty
    headline: str
    summary: str
    body_html: str  # safe subset, absolute links, no notice
    byline: tuple[str, ...]
    section: str
    tags: tuple[str, ...]
    language: str
    published: datetime
    updated: datetime
    first_created: datetime
    embargoed_until: datetime | None = None  # only while it lies ahead: the copy of a trusted publisher says so
    expires: datetime | None = None
    rights: Rights = Rights.FREE
    ednote: str = ""
    correction_note: str = ""
    withdrawn_reason: str = ""
    images: tuple[Image, ...] = ()  # cleared ones only
    left_out: tuple[str, ...] = ()  # what its copies do not hold, a line each
    example: bool = False  # made for a test send: canceled, so that nobody publishes it, and yet with a body to look at
    clean: bool = field(default=False, init=False, compare=False, repr=False)  # marked by `cleaned`; lost by any replacement

    @property
    def withdrawn(self) -> bool:
        """Killed or taken down: the entry stays to say so, emptied."""
        return self.status is not PubStatus.USABLE and not self.example

    @property
    def original_url(self) -> str:
        """Where the newsroom itself published it, if that is an address of the web and the story may still be used."""
        return self.canonical_url if self.canonical_url.startswith(("https://", "http://")) and not self.withdrawn else ""

    @property
    def canonical(self) -> str:
        """The one address that search engines should show for all copies: the original, else its page here."""
        return self.original_url or self.url

    @property
    def authors(self) -> tuple[str, ...]:
        """The names of the byline, each in one line; a withdrawn story has none."""
        return () if self.withdrawn else tuple(name for name in (" ".join(name.split()) for name in self.byline) if name)

    @property
    def labels(self) -> tuple[str, ...]:
        """The section and the tags, each name once; a withdrawn story has none."""
        found: dict[str, str] = {}
        for label in () if self.withdrawn else (self.section, *self.tags):
            if key := label_key(label):
                found.setdefault(key, " ".join(label.split()))
        return tuple(found.values())


def terms_beside(entry: Entry, terms: Terms) -> Terms:
    """Return the terms that stand beside `entry`: those of the free-use license, unless it needs an agreement."""
    if entry.rights is not Rights.LICENSED:
        return terms
    return replace(terms, license_url=f"{terms.base_url}/licensing", license_title="License agreement needed", free=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed document's content, the same for RSS, Atom and JSON Feed."""

    name: str
    id: str  # tag URI, never changes
    title: str
    description: str
    language: str
    home_url: str
    self_url: dict[str, str]  # by format: rss, atom, json
    hub_url: str | None  # None: no push for this feed
    full: bool  # whole bodies, or summaries only
    ttl_minutes: int
    updated: datetime
    entries: tuple[Entry, ...]  # newest first
    withdrawn: tuple[Entry, ...]  # killed and taken down within the last days, newest first; emptied entries or tombstones
    terms: Terms
    prev_archive: dict[str, str] | None = None  # RFC 5005, by format
    next_archive: dict[str, str] | None = None
    current: dict[str, str] | None = None  # of an archive: where the newest stories are

    @property
    def archive(self) -> bool:
        return self.current is not None

    @property
    def usable(self) -> tuple[Entry, ...]:
        """The stories that may be used, in the feed's order; one that is withdrawn anywhere is not among them."""
        gone = {entry.uri for entry in self.gone}
        return tuple(entry for entry in self.entries if entry.uri not in gone)

    @property
    def gone(self) -> tuple[Entry, ...]:
        """The withdrawn stories, in whichever list they came, each once."""
        return tuple({entry.uri: entry for entry in (*self.entries, *self.withdrawn) if entry.withdrawn}.values())

    @property
    def all_entries(self) -> tuple[Entry, ...]:
        """Usable and withdrawn stories together, newest first, for formats that have no tombstones."""
        return tuple(sorted((*self.usable, *self.gone), key=lambda entry: entry.published, reverse=True))
