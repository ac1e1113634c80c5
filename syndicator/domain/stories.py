"""Stories, their immutable versions, where they come from, and what happened to them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice, partial_index


class PubStatus(StrEnum):
    """IPTC's: canceled (one l) means the content must not be used; withheld, that it is recalled without fault."""

    USABLE = "usable"
    WITHHELD = "withheld"
    CANCELED = "canceled"


class Rights(StrEnum):
    """Who may have a story: every eligible publisher, holders of an agreement, or nobody."""

    FREE = "free"
    LICENSED = "licensed"
    NONE = "none"


class EventType(StrEnum):
    """What can happen to a story; `story.` is put before it where it leaves the house."""

    PUBLISHED = "published"
    UPDATED = "updated"
    CORRECTED = "corrected"
    KILLED = "killed"
    TAKEN_DOWN = "taken_down"
    EMBARGO_LIFTED = "embargo_lifted"
    EXPIRED = "expired"

    @property
    def urgent(self) -> bool:
        """Whether it goes ahead of ordinary traffic."""
        return self in {EventType.KILLED, EventType.TAKEN_DOWN, EventType.CORRECTED}

    @property
    def withdraws(self) -> bool:
        """Whether the story may no longer be used after it."""
        return self in {EventType.KILLED, EventType.TAKEN_DOWN, EventType.EXPIRED}


class SourceKind(StrEnum):
    WORDPRESS = "wordpress"
    FEED = "feed"
    PAGE = "page"
    WXR = "wxr"
    API = "api"
    SUPERDESK = "superdesk"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture with rights of its own; one that is not FREE never leaves as a picture."""

    url: str
    caption: str = ""
    credit: str = ""
    rights: Rights = Rights.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryDraft:
    """What every way in yields: one story as its source has it now.

    `external_id` is the source's own stable key. Text fields are plain text; `body_html` is HTML that intake has reduced to the
    safe subset, with absolute links and without the notice. Instants are aware.
    """

    external_id: str
    headline: str
    body_html: str
    summary: str = ""
    byline: tuple[str, ...] = ()
    section: str = ""
    tags: tuple[str, ...] = ()
    language: str = ""
    canonical_url: str = ""
    published_at: datetime | None = None
    embargoed_until: datetime | None = None
    expires_at: datetime | None = None
    rights: Rights = Rights.FREE
    ednote: str = ""
    images: tuple[Image, ...] = ()

    @property
    def content_hash(self) -> str:
        """SHA-256 over everything that makes a version; equal drafts give equal hashes."""
        values = asdict(self) | {"external_id": None, "published_at": None}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str, ensure_ascii=True).encode()).hexdigest()


class Source(Base):
    """Where stories come from, and how the last pull went."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[SourceKind] = mapped_column(choice(SourceKind))
    url: Mapped[str] = mapped_column(String(2048), default="")
    section: Mapped[str] = mapped_column(String(200), default="")
    every_seconds: Mapped[int]
    credentials: Mapped[str | None] = mapped_column(Text)  # encrypted, since they must be replayed
    paused: Mapped[bool] = mapped_column(default=False)
    cursor: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # validators and high-water mark; moves only past what was read whole
    next_pull_at: Mapped[datetime | None]  # None: never pulled, such as the API
    failures: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    last_error_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    quiet_since: Mapped[datetime | None]  # since when it brings nothing, once the editors were told: it is silent, or it fails


class Story(Base):
    """A story as it stands now; what it said at each time is in its versions."""

    __tablename__ = "stories"
    __table_args__ = (
        UniqueConstraint("source_id", "external_id"),
        Index("ix_stories_released", "released_at", "id"),
        Index("ix_stories_updated", "updated_at", "id"),
        Index("ix_stories_published", "published_at", "id"),  # newest first: the front, /latest, the sitemap
        partial_index("ix_stories_withdrawn", "published_at", "id", where="pubstatus <> 'usable'"),
        partial_index("ix_stories_embargo_due", "embargoed_until", where="released_at IS NULL"),
        partial_index("ix_stories_expiry_due", "expires_at", where="expired_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    uri: Mapped[str] = mapped_column(String(255), unique=True)  # tag URI (RFC 4151); never changes
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"))
    external_id: Mapped[str] = mapped_column(String(500))
    pubstatus: Mapped[PubStatus] = mapped_column(choice(PubStatus), default=PubStatus.USABLE)
    rights: Mapped[Rights] = mapped_column(choice(Rights))
    version_number: Mapped[int] = mapped_column(default=1)
    source_hash: Mapped[str] = mapped_column(String(64), default="")  # of what its source said last, which no correction is
    published_at: Mapped[datetime]  # when readers first could have it: the source's time, or the release
    updated_at: Mapped[datetime]  # of the current version
    embargoed_until: Mapped[datetime | None]
    released_at: Mapped[datetime | None]  # None while embargoed: it has not been out yet
    expires_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str | None] = mapped_column(Text)  # of a kill or takedown

    source: Mapped[Source] = relationship(lazy="joined", innerjoin=True)
    versions: Mapped[list[StoryVersion]] = relationship(
        back_populates="story", order_by="StoryVersion.number", lazy="raise_on_sql"
    )
    current: Mapped[StoryVersion] = relationship(
        primaryjoin="and_(Story.id == foreign(StoryVersion.story_id), Story.version_number == foreign(StoryVersion.number))",
        viewonly=True,
        uselist=False,
    )


class StoryVersion(Base):
    """What a story said at one time. Rows are only ever added."""

    __tablename__ = "story_versions"
    __table_args__ = (UniqueConstraint("story_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))
    number: Mapped[int]
    created_at: Mapped[datetime]
    pubstatus: Mapped[PubStatus] = mapped_column(choice(PubStatus))
    headline: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="")
    body_html: Mapped[str] = mapped_column(Text)
    byline: Mapped[list[str]] = mapped_column(default=list)
    section: Mapped[str] = mapped_column(String(200), default="")
    tags: Mapped[list[str]] = mapped_column(default=list)
    language: Mapped[str] = mapped_column(String(35))
    canonical_url: Mapped[str] = mapped_column(String(2048), default="")
    rights: Mapped[Rights] = mapped_column(choice(Rights))
    ednote: Mapped[str] = mapped_column(Text, default="")
    images: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    correction_note: Mapped[str] = mapped_column(Text, default="")  # what was wrong; readers see it
    content_hash: Mapped[str] = mapped_column(String(64))

    story: Mapped[Story] = relationship(back_populates="versions")

    def updated_of(self, story: Story) -> datetime:
        """When `story` came to say this, as entries tell it. A first version taken in late is as old as its story: a bulk import
        must not look like news."""
        return story.published_at if self.number == 1 else max(self.created_at, story.published_at)


class Event(Base):
    """One line of the log that partners read: `seq` has no gaps and grows in commit order."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_story", "story_id", "seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[EventType] = mapped_column(choice(EventType))
    at: Mapped[datetime]
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))
    version_number: Mapped[int]
    feeds: Mapped[list[str]] = mapped_column(default=list)
    embargoed: Mapped[bool] = mapped_column(default=False)  # told only to publishers trusted with embargoes
    reason: Mapped[str] = mapped_column(Text, default="")  # of a kill or takedown, or what a correction says was wrong

    story: Mapped[Story] = relationship(innerjoin=True)


def slug_of(headline: str, limit: int = 80) -> str:
    """Return lower-case ASCII words joined by hyphens, for the readable end of an address; may be empty."""
    plain = unicodedata.normalize("NFKD", headline).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"['’]", "", plain)
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:limit].rstrip("-")


def label_key(label: str) -> str:
    """Return the form in which two section or tag names are the same name: case and spacing do not count."""
    return " ".join(label.split()).casefold()
