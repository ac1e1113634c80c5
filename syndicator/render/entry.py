"""The neutral values that every format is rendered from. No format, no database, no clock.

An Entry is one story version as it may leave: cleared pictures only, the notice *not yet* in the body. Each renderer puts the
notice in, exactly once, by `html_with_notice` or `text_with_notice` (render/notice.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syndicator.domain.stories import Image, PubStatus, Rights


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

    @property
    def rights_text(self) -> str:
        """One line for places that take a line about rights. It does not repeat the notice."""
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
    embargoed_until: datetime | None = None
    expires: datetime | None = None
    rights: Rights = Rights.FREE
    ednote: str = ""
    correction_note: str = ""
    withdrawn_reason: str = ""
    images: tuple[Image, ...] = ()  # cleared ones only

    @property
    def withdrawn(self) -> bool:
        """Killed or taken down: the entry stays to say so, emptied."""
        return self.status is not PubStatus.USABLE


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
    archive: bool = False
