"""Feeds: what a catalogue file may say, which stories a feed selects, and which stories it holds now."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, partial_index
from syndicator.domain.stories import Rights, Story, label_key

FORMATS = ("rss", "atom", "json")
CONTENT_TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}
TOMBSTONE_DAYS = 7


class Selection(BaseModel):
    """Which stories a feed holds; an empty list asks nothing. Names are compared without case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sections: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    rights: tuple[Rights, ...] = (Rights.FREE,)
    exclude_sections: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    exclude_authors: tuple[str, ...] = ()


class FeedDefinition(BaseModel):
    """One file of the catalogue, `feeds/NAME.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str = Field(pattern=r"\S")
    description: str = ""
    language: str = Field("", pattern=r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3})?$")  # empty: the site's
    access: Literal["public", "eligible"] = "public"
    content: Literal["full", "summary"] = "full"
    limit: int = Field(50, ge=1, le=200, strict=True)
    ttl_minutes: int = Field(5, ge=1, le=1440, strict=True)
    websub: bool = Field(True, strict=True)
    select: Selection = Selection()

    @property
    def public(self) -> bool:
        return self.access == "public"

    @property
    def archive_size(self) -> int:
        """How many stories leave a full head document together, for the next archive; a fifth of `limit`."""
        return max(1, self.limit // 5)

    @property
    def licensed(self) -> bool:
        """Whether it holds stories that need an agreement, so that only those whose agreement covers it may read it."""
        return Rights.LICENSED in self.select.rights

    @model_validator(mode="after")
    def _not_for_everybody(self) -> Self:
        if self.public and any(rights is not Rights.FREE for rights in self.select.rights):
            raise ValueError('select.rights: only a feed with access = "eligible" may hold stories that are not free')
        return self

    @property
    def selection_hash(self) -> str:
        """Changes when the file comes to select other stories, so that membership is judged anew."""
        return hashlib.sha256(self.select.model_dump_json().encode()).hexdigest()


def selects(select: Selection, *, section: str, tags: list[str], byline: list[str], rights: Rights) -> bool:
    """Say whether a story with these facts belongs to a feed."""
    if rights not in select.rights:
        return False
    facts = (
        (select.sections, select.exclude_sections, {label_key(section)}),
        (select.tags, select.exclude_tags, {label_key(tag) for tag in tags}),
        (select.authors, select.exclude_authors, {label_key(name) for name in byline}),
    )
    for wanted, unwanted, has in facts:
        if wanted and not has & {label_key(label) for label in wanted}:
            return False
        if has & {label_key(label) for label in unwanted}:
            return False
    return True


class FeedState(Base):
    """How far a feed's documents follow the event log: stale while `rendered_seq < changed_seq`."""

    __tablename__ = "feed_states"

    feed: Mapped[str] = mapped_column(String(64), primary_key=True)
    selection_hash: Mapped[str] = mapped_column(String(64))
    changed_seq: Mapped[int] = mapped_column(default=0)
    rendered_seq: Mapped[int] = mapped_column(default=-1)
    changed_at: Mapped[datetime]  # of the newest change: the feed's `updated`
    frame_hash: Mapped[str] = mapped_column(String(64), default="")  # of what stands around the stories, as archives show it

    @property
    def stale(self) -> bool:
        return self.rendered_seq < self.changed_seq


class FeedEntry(Base):
    """A story's place in a feed. Kept after it left, so that pollers can be told for a while.

    A story is in the head document or in one archive, never in both: `archive` says which.
    """

    __tablename__ = "feed_entries"
    __table_args__ = (
        Index("ix_feed_entries_order", "feed", "left_at", "published_at", "story_id"),
        Index("ix_feed_entries_story", "story_id"),
        partial_index("ix_feed_entries_archive", "feed", "archive", where="archive IS NOT NULL"),
        # The archive is not in this one, so a change costs the same beside a million older stories.
        partial_index("ix_feed_entries_head", "feed", "updated_at", "story_id", where="archive IS NULL AND left_at IS NULL"),
    )

    feed: Mapped[str] = mapped_column(String(64), primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), primary_key=True)
    published_at: Mapped[datetime]
    updated_at: Mapped[datetime]  # as its entry says it: a late import is as old as its story, a correction is news
    left_at: Mapped[datetime | None]
    tombstone: Mapped[bool] = mapped_column(default=False)  # killed or taken down: the head document says so for some days
    archive: Mapped[int | None]  # None: in the head document

    # An outer join with what joins again makes SQLite read every story.
    story: Mapped[Story] = relationship(innerjoin=True)


class FeedArchive(Base):
    """A page of a feed's older stories (RFC 5005 section 4), numbered from 1, the oldest. No story is ever added to it.

    A story leaves it when it is corrected, and so returns to the head document; a withdrawn one stays as a tombstone.
    """

    __tablename__ = "feed_archives"
    __table_args__ = (partial_index("ix_feed_archives_stale", "feed", "stale_at", where="stale_at IS NOT NULL"),)

    feed: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime]
    stale_at: Mapped[datetime | None]  # since when its documents are to be written anew
    written: Mapped[bool] = mapped_column(default=False)  # whether there have been documents of it

    @property
    def stale(self) -> bool:
        return self.stale_at is not None
