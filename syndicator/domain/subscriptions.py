"""Subscriptions: a feed's events to an endpoint by a channel. And the WebSub requests that still have to be verified."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice
from syndicator.domain.publishers import Publisher


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    WEBSUB = "websub"
    EMAIL = "email"
    SFTP = "sftp"
    WORDPRESS = "wordpress"


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # by its owner, or by us after days of failure; what happens meanwhile is not owed
    ENDED = "ended"  # unsubscribed, gone (410), lease over, or removed


class Subscription(Base):
    """One feed's events, owed to one endpoint."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        # INSERT … SELECT of what an event owes reads exactly this.
        Index("ix_subscriptions_owed", "feed", "state"),
        Index("ix_subscriptions_publisher", "publisher_id"),
        UniqueConstraint("websub_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int | None] = mapped_column(
        ForeignKey("publishers.id")
    )  # None: an open WebSub subscription to a public feed
    feed: Mapped[str] = mapped_column(String(64))
    channel: Mapped[ChannelKind] = mapped_column(choice(ChannelKind))
    endpoint: Mapped[str] = mapped_column(String(2048))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[SubscriptionState] = mapped_column(choice(SubscriptionState), default=SubscriptionState.ACTIVE)
    state_reason: Mapped[str] = mapped_column(Text, default="")
    secret: Mapped[str | None] = mapped_column(Text)  # encrypted
    old_secret: Mapped[str | None] = mapped_column(Text)  # encrypted; signs beside the new one until old_secret_until
    old_secret_until: Mapped[datetime | None]
    topic: Mapped[str | None] = mapped_column(Text)  # WebSub: the feed URL subscribed to; encrypted, a private one holds a token
    websub_key: Mapped[str | None] = mapped_column(
        String(64)
    )  # SHA-256 of topic and callback: they are the identity (WebSub 5.1)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    last_delivered_at: Mapped[datetime | None]

    publisher: Mapped[Publisher | None] = relationship()


class HubRequest(Base):
    """A WebSub request that was answered 202 and is still to be verified at its callback, or a denial still to be told."""

    __tablename__ = "hub_requests"
    __table_args__ = (Index("ix_hub_requests_due", "next_attempt_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(String(12))  # subscribe, unsubscribe, denied
    websub_key: Mapped[str] = mapped_column(String(64), unique=True)  # a newer request takes the place of an older one
    topic: Mapped[str] = mapped_column(Text)  # encrypted, since a private one holds a token
    callback: Mapped[str] = mapped_column(String(2048))
    secret: Mapped[str | None] = mapped_column(Text)  # encrypted
    lease_seconds: Mapped[int]
    publisher_id: Mapped[int | None] = mapped_column(ForeignKey("publishers.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
