"""Where stories were published again: pages that publishers report, and daily sums of views that a beacon counted.

Of a view nothing is kept but a sum: no address, agent, cookie or path. A host is one of the publisher's own sites or `other`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story

OTHER_HOST = "other"


class Beacon(Base):
    """The opaque token in one publisher's copy of one story."""

    __tablename__ = "beacons"
    __table_args__ = (UniqueConstraint("publisher_id", "story_id"),)

    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))


class BeaconDay(Base):
    """How often a publisher's copies of a story were looked at on one day (UTC) on one host."""

    __tablename__ = "beacon_days"
    __table_args__ = (Index("ix_beacon_days_day", "day"),)

    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"), primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    host: Mapped[str] = mapped_column(String(253), primary_key=True)
    views: Mapped[int]


class Republication(Base):
    """A page on which a publisher says it published a story, and what the last look at it found."""

    __tablename__ = "republications"
    __table_args__ = (
        UniqueConstraint("publisher_id", "story_id", "url_hash"),
        Index("ix_republications_due", "next_check_at"),
        Index("ix_republications_story", "story_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))
    url: Mapped[str] = mapped_column(String(2048))
    url_hash: Mapped[str] = mapped_column(String(64))  # SHA-256, since addresses are too long for an index
    reported_at: Mapped[datetime]
    check: Mapped[bool] = mapped_column(default=False)  # whether its owner wants it looked at
    next_check_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    findings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # as intake/republished.py writes them

    publisher: Mapped[Publisher] = relationship()
    story: Mapped[Story] = relationship()
