"""Agreements (a paid or special license with one publisher) and takes (who took which story first, when and how).

An agreement opens stories of rights `licensed` within its scope, and may let its holder have stories under embargo. The rules are
pure: a Grant is an agreement as the gate sees it at one moment, its quota counted already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice
from syndicator.domain.feeds import Selection, selects
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story, label_key


class QuotaPeriod(StrEnum):
    """Calendar periods in UTC; `term` is the whole agreement."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    TERM = "term"


class Way(StrEnum):
    """How a story was taken."""

    API = "api"
    EMBED = "embed"
    RECEIPT = "receipt"
    PUSH = "push"
    COPY = "copy"  # by hand, in the portal


class Agreement(Base):
    """What one publisher may have beyond the free-use license. An empty scope covers everything that is offered."""

    __tablename__ = "agreements"
    __table_args__ = (Index("ix_agreements_publisher", "publisher_id", "valid_until"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    title: Mapped[str] = mapped_column(String(200))
    feeds: Mapped[list[str]] = mapped_column(default=list)  # names in the catalogue
    sections: Mapped[list[str]] = mapped_column(default=list)
    stories: Mapped[list[str]] = mapped_column(default=list)  # public ids
    territory: Mapped[str] = mapped_column(String(200), default="")  # in words; it binds, but no machine checks it
    fee_note: Mapped[str] = mapped_column(Text, default="")
    quota: Mapped[int | None]  # stories in each period; None: as many as there are
    quota_period: Mapped[QuotaPeriod] = mapped_column(choice(QuotaPeriod), default=QuotaPeriod.TERM)
    embargo_trusted: Mapped[bool] = mapped_column(default=False)
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(Text, default="")

    publisher: Mapped[Publisher] = relationship(lazy="joined", innerjoin=True)

    def in_force(self, at: datetime) -> bool:
        return self.ended_at is None and self.valid_from <= at < self.valid_until


class Take(Base):
    """That a publisher took a story, the first time. Written once; taking it again, in any version, is free."""

    __tablename__ = "takes"
    __table_args__ = (
        Index("ix_takes_publisher", "publisher_id", "first_taken_at"),
        Index("ix_takes_agreement", "agreement_id", "first_taken_at"),
        Index("ix_takes_story", "story_id"),
        Index("ix_takes_first", "first_taken_at", "story_id"),
    )

    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"), primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), primary_key=True)
    first_taken_at: Mapped[datetime]
    version_number: Mapped[int]
    way: Mapped[Way] = mapped_column(choice(Way))
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreements.id"))  # None: under the free-use license

    story: Mapped[Story] = relationship(innerjoin=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One agreement in force, as the gate judges by it."""

    agreement_id: int
    public_id: str
    feeds: frozenset[str] = frozenset()
    selections: tuple[Selection, ...] = ()  # of those feeds
    sections: frozenset[str] = frozenset()  # label keys
    stories: frozenset[str] = frozenset()
    valid_from: datetime
    valid_until: datetime
    embargo_trusted: bool = False
    quota: int | None = None
    quota_left: int | None = None  # None: no quota
    taken: Collection[int] = ()  # ids of stories that its holder took already, filled in once the quota is spent

    def in_force(self, at: datetime) -> bool:
        return self.valid_from <= at < self.valid_until

    def covers(self, story: Story) -> bool:
        """Say whether `story` lies within the scope. Reads the current version for scopes of feeds and sections."""
        if not (self.feeds or self.sections or self.stories):
            return True
        if story.public_id in self.stories:
            return True
        if not (self.selections or self.sections):
            return False
        version = story.current
        return label_key(version.section) in self.sections or any(
            selects(selection, section=version.section, tags=version.tags, byline=version.byline, rights=story.rights)
            for selection in self.selections
        )

    def has_room_for(self, story: Story) -> bool:
        return self.quota_left is None or self.quota_left > 0 or story.id in self.taken

    def opens_feed(self, name: str) -> bool:
        """Say whether the documents of feed `name`, which hold stories by the dozen, may be read: never under a quota."""
        return self.quota is None and (name in self.feeds or not (self.feeds or self.sections or self.stories))


def period_start(period: QuotaPeriod, valid_from: datetime, at: datetime) -> datetime:
    """Return when the quota period that `at` lies in began, never before the agreement itself."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begun = {
        QuotaPeriod.DAY: day,
        QuotaPeriod.WEEK: day - timedelta(days=day.weekday()),
        QuotaPeriod.MONTH: day.replace(day=1),
        QuotaPeriod.YEAR: day.replace(month=1, day=1),
        QuotaPeriod.TERM: valid_from,
    }[period]
    return max(begun, valid_from)
