"""Subscriptions: a feed's events to an endpoint by a channel. And the WebSub requests that still have to be verified."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice, partial_index
from syndicator.domain.publishers import Publisher


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    WEBSUB = "websub"
    EMAIL = "email"
    SFTP = "sftp"
    WORDPRESS = "wordpress"

    @property
    def logs_in(self) -> bool:
        """Whether we need a password or key there."""
        return self in {ChannelKind.SFTP, ChannelKind.WORDPRESS}

    @property
    def converses(self) -> bool:
        """Whether a delivery takes more than one request."""
        return self.logs_in or self is ChannelKind.EMAIL

    @property
    def words(self) -> str:
        """Its name, as people write it."""
        names = {"websub": "WebSub", "email": "e-mail", "sftp": "SFTP", "wordpress": "WordPress"}
        return names.get(self.value, self.value)


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # by its owner, or by us after days of failure; what happens meanwhile is owed when it is resumed
    ENDED = "ended"  # unsubscribed, gone (410), lease over, or removed


class Told(StrEnum):
    """What the owner has been told about an endpoint that fails; each once, until it has recovered."""

    NOTHING = "nothing"
    FAILING = "failing"
    GIVEN_UP = "given_up"
    PAUSED = "paused"
    ENDED = "ended"


class Subscription(Base):
    """One feed's events, owed to one endpoint."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        # INSERT … SELECT of what an event owes reads exactly this.
        Index("ix_subscriptions_owed", "feed", "state"),
        Index("ix_subscriptions_publisher", "publisher_id"),
        partial_index("ix_subscriptions_resting", "resting_until", where="resting_until IS NOT NULL"),
        partial_index("ix_subscriptions_callback_host", "callback_host", where="callback_host IS NOT NULL"),
        partial_index("ix_subscriptions_token", "token_id", where="token_id IS NOT NULL"),
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
    callback_host: Mapped[str | None] = mapped_column(String(255))  # WebSub: so many subscriptions lead to one host at most
    token_id: Mapped[int | None] = mapped_column(ForeignKey("feed_tokens.id"))  # WebSub: the one in a private topic
    lease_until: Mapped[datetime | None]
    digest_at: Mapped[datetime | None]  # when the next daily letter goes; None: what is owed goes at once
    created_at: Mapped[datetime]
    signing_key: Mapped[str | None] = mapped_column(Text)  # Ed25519, encrypted; None: signatures v1 only
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)  # of the newest delivery that was numbered
    last_delivered_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    failures_in_row: Mapped[int] = mapped_column(default=0)
    resting_until: Mapped[datetime | None]  # the breaker is open till then, then half open until an attempt settles it
    told: Mapped[Told] = mapped_column(choice(Told), default=Told.NOTHING)
    paused_after_seq: Mapped[int | None]  # the newest event when it was paused; resuming catches up from there

    publisher: Mapped[Publisher | None] = relationship()


class TrialKind(StrEnum):
    SEND = "send"  # a test send: what stories will come as really comes, once
    LOGIN = "login"  # we log in and write nothing, before a subscription counts


class Trial(Base):
    """One try at an endpoint that its owner asked for, and what came of it."""

    __tablename__ = "trials"
    __table_args__ = (
        Index("ix_trials_subscription", "subscription_id", "id"),
        partial_index("ix_trials_due", "due_at", where="due_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscriptions.id"))
    kind: Mapped[TrialKind] = mapped_column(choice(TrialKind), default=TrialKind.SEND)
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime | None]  # None once it was sent
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(12), default="")  # accepted, deferred, refused
    reason: Mapped[str] = mapped_column(String(200), default="")
    done: Mapped[str] = mapped_column(Text, default="")  # which file, post or story it was, in words for people
    status: Mapped[int | None]
    duration_ms: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str] = mapped_column(Text, default="")

    subscription: Mapped[Subscription] = relationship()


class HubRequest(Base):
    """A WebSub request that was answered 202 and is still to be verified at its callback, or a denial still to be told."""

    __tablename__ = "hub_requests"
    __table_args__ = (Index("ix_hub_requests_due", "next_attempt_at"), Index("ix_hub_requests_host", "host"))

    id: Mapped[int] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(String(12))  # subscribe, unsubscribe, denied
    websub_key: Mapped[str] = mapped_column(String(64), unique=True)  # a newer request takes the place of an older one
    topic: Mapped[str] = mapped_column(Text)  # encrypted, since a private one holds a token
    callback: Mapped[str] = mapped_column(String(2048))
    host: Mapped[str] = mapped_column(String(255))  # of the callback; it is asked so many times a minute
    secret: Mapped[str | None] = mapped_column(Text)  # encrypted
    lease_seconds: Mapped[int]
    publisher_id: Mapped[int | None] = mapped_column(ForeignKey("publishers.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]


class CallbackHost(Base):
    """How often a host was asked to verify in one minute, so that nobody can have us flood a server that is not theirs."""

    __tablename__ = "callback_hosts"

    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger)  # since 1970
    asked: Mapped[int] = mapped_column(default=0)
