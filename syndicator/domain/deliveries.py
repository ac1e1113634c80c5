"""Deliveries: one event owed to one subscription, and every attempt at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice, partial_index
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event
from syndicator.domain.subscriptions import Subscription


class DeliveryState(StrEnum):
    OWED = "owed"  # to be sent at next_attempt_at; while claimed_until lies ahead, somebody is at it
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"  # a newer version of the story is owed instead
    CANCELLED = "cancelled"  # the subscription ended, or its publisher may no longer have the story
    GIVEN_UP = "given_up"  # the schedule is spent, or the endpoint is gone; somebody is told


# Written into the statement, not bound: the planner must see it to use the indexes of what is owed.
OWED: ColumnElement[str] = literal_column("'owed'")
GIVEN_UP: ColumnElement[str] = literal_column("'given_up'")


class Lane(StrEnum):
    """Kept as numbers in the table so that the due index serves the urgent first."""

    URGENT = "urgent"
    ORDINARY = "ordinary"
    BACKFILL = "backfill"
    TOPIC = "topic"  # not one event, but a WebSub topic as it stands (see operations/backfill.py)


LANE_ORDER = {Lane.URGENT: 0, Lane.ORDINARY: 1, Lane.BACKFILL: 2, Lane.TOPIC: 3}
TOPIC_LANE = LANE_ORDER[Lane.TOPIC]
SPREAD_SECONDS = 12.0  # no second of it sees more than a tenth of a crowd
DIGEST_LANE = 9  # waits for the subscriber's hour and leaves in one letter with others (delivery/digests.py)


class Delivery(Base):
    """One event owed to one subscription, until an attempt settles it."""

    __tablename__ = "deliveries"
    __table_args__ = (
        # Owed once, tried often; an event is of one story. The story comes first, so that what is owed for a new one goes to the
        # end of the index, and what one subscription had of a story lies together.
        UniqueConstraint("story_id", "subscription_id", "event_seq"),
        # Finished rows are not in these, so a claim costs the same beside a million of them.
        partial_index("ix_deliveries_due", "lane", "next_attempt_at", "event_seq", where="state = 'owed'"),
        partial_index("ix_deliveries_given_up", "id", where="state = 'given_up'"),
        Index("ix_deliveries_subscription", "subscription_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscriptions.id"))
    event_seq: Mapped[int] = mapped_column(ForeignKey("events.seq"))
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))
    version_number: Mapped[int]
    sequence: Mapped[int | None] = mapped_column(BigInteger)  # the how-manieth sent to its subscription; None until claimed first
    state: Mapped[DeliveryState] = mapped_column(choice(DeliveryState), default=DeliveryState.OWED)
    lane: Mapped[int] = mapped_column(SmallInteger, default=1)
    created_at: Mapped[datetime]
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]  # None once settled
    claimed_by: Mapped[str | None] = mapped_column(String(80))
    claimed_until: Mapped[datetime | None]  # a claim lapses by itself, so a dead worker delays and never loses
    settled_at: Mapped[datetime | None]
    last_reason: Mapped[str] = mapped_column(String(200), default="")

    subscription: Mapped[Subscription] = relationship(innerjoin=True)
    event: Mapped[Event] = relationship(innerjoin=True)


class Attempt(Base):
    """One try at a delivery and what came of it."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_delivery", "delivery_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"))
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(12))  # accepted, deferred, refused
    reason: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[int | None]  # HTTP status, where there was one
    duration_ms: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)  # of the answer; some of them, masked
    answer: Mapped[str] = mapped_column(Text, default="")  # a bounded excerpt


class Acknowledgement(Base):
    """One publisher's word, asked for or given, that it has acted on a correction, kill or takedown of a story it had."""

    __tablename__ = "acknowledgements"
    __table_args__ = (
        UniqueConstraint("publisher_id", "event_seq"),
        Index("ix_acknowledgements_event", "event_seq"),
        partial_index("ix_acknowledgements_due", "remind_at", where="remind_at IS NOT NULL"),
        partial_index(
            "ix_acknowledgements_pending",
            "id",
            where="acknowledged_at IS NULL AND overtaken IS 0",
            on_postgresql="acknowledged_at IS NULL AND NOT overtaken",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    event_seq: Mapped[int] = mapped_column(ForeignKey("events.seq"))
    asked_at: Mapped[datetime]
    reminders: Mapped[int] = mapped_column(default=0)  # letters sent, the first one included
    remind_at: Mapped[datetime | None]  # None: acknowledged, overtaken by something newer, or nothing more to be sent
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(String(254), default="")
    overtaken: Mapped[bool] = mapped_column(default=False)  # a newer correction or kill of the story asks instead

    publisher: Mapped[Publisher] = relationship()
    event: Mapped[Event] = relationship(innerjoin=True)


class Tally(Base):
    """A number that only grows, kept for those who watch the service: attempts by channel and outcome, how long they took."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    labels: Mapped[str] = mapped_column(String(120), primary_key=True)  # such as webhook/accepted
    value: Mapped[float] = mapped_column(default=0.0)


def delivery_uid(subscription_public_id: str, event_seq: int) -> str:
    """Return the id that receivers see: the same for every attempt, a fixed function of what is owed to whom."""
    return f"dlv_{subscription_public_id.removeprefix('sub_')}_{event_seq}"


def next_attempt_at(schedule_seconds: Sequence[int], failures: int, now: datetime, spread: float) -> datetime | None:
    """Return when to try again after `failures` attempts, or None once `schedule_seconds` is spent.

    The schedule's first wait is that before the first attempt.
    """
    if failures >= len(schedule_seconds):
        return None
    return now + spread_out(schedule_seconds[failures], spread)


def spread_out(seconds: float, spread: float) -> timedelta:
    """Return a wait of `seconds` and more, so that a crowd does not return together: `spread`, drawn by the caller from [0, 1),
    adds up to a fifth, and up to SPREAD_SECONDS where that is more."""
    return timedelta(seconds=seconds + spread * max(seconds / 5, SPREAD_SECONDS))
