"""WebSub subscriptions that end from our side: their callbacks are told `denied` (WebSub 5.2).

They are paused, so that they still hear of kills until their lease ends; subscribing again starts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from syndicator.catalogue import Catalogue
from syndicator.domain.deliveries import OWED, Delivery, DeliveryState
from syndicator.domain.publishers import FeedToken
from syndicator.domain.stories import Event, EventType
from syndicator.domain.subscriptions import ChannelKind, HubRequest, Subscription, SubscriptionState
from syndicator.operations.subscriptions import DENIED

WITHDRAWALS = [kind for kind in EventType if kind.withdraws]


def deny_publisher(session: Session, publisher_id: int, reason: str, *, at: datetime) -> int:
    """End what the publisher subscribed to; returns how many subscriptions."""
    return _deny(session, Subscription.publisher_id == publisher_id, reason, at)


def deny_token(session: Session, token: FeedToken, *, at: datetime) -> int:
    """End what was subscribed to by the address that `token` is part of; returns how many subscriptions."""
    return _deny(session, Subscription.token_id == token.id, "the feed's token was revoked", at)


def deny_lost_topics(session: Session, catalogue: Catalogue, *, at: datetime) -> int:
    """End what was subscribed to at addresses that are topics no more, since the feed is gone, private now or not pushed; returns
    how many subscriptions."""
    topics = [feed.name for feed in catalogue if feed.websub]
    public = [feed.name for feed in catalogue if feed.websub and feed.public]
    lost = or_(Subscription.feed.not_in(topics), and_(Subscription.token_id.is_(None), Subscription.feed.not_in(public)))
    return _deny(session, lost, "the feed is no longer to be had at this address", at)


def _deny(session: Session, whose: ColumnElement[bool], reason: str, at: datetime) -> int:
    wanted = select(Subscription).where(
        whose, Subscription.channel == ChannelKind.WEBSUB, Subscription.state == SubscriptionState.ACTIVE
    )
    subscriptions: Sequence[Subscription] = session.scalars(wanted.with_for_update()).all()
    _cancel_stories(session, [subscription.id for subscription in subscriptions], reason, at)
    for subscription in subscriptions:
        subscription.state, subscription.state_reason = SubscriptionState.PAUSED, f"{DENIED}{reason}"
        session.execute(delete(HubRequest).where(HubRequest.websub_key == subscription.websub_key))
        session.add(
            HubRequest(
                mode="denied",
                websub_key=subscription.websub_key,
                topic=subscription.topic,
                callback=subscription.endpoint,
                host=urlsplit(subscription.endpoint).hostname or "",
                lease_seconds=0,
                publisher_id=subscription.publisher_id,
                reason=reason,
                created_at=at,
                next_attempt_at=at,
            )
        )
    session.flush()
    return len(subscriptions)


def _cancel_stories(session: Session, subscription_ids: Sequence[int], reason: str, at: datetime) -> None:
    """Cancel what is owed and withdraws nothing; one in flight is settled by its own outcome."""
    withdrawals = select(Event.seq).where(Event.seq == Delivery.event_seq, Event.type.in_(WITHDRAWALS))
    stories = update(Delivery).where(
        Delivery.subscription_id.in_(subscription_ids),
        Delivery.state == OWED,
        or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= at),
        ~withdrawals.exists(),
    )
    cancelled = {
        "state": DeliveryState.CANCELLED,
        "settled_at": at,
        "next_attempt_at": None,
        "last_reason": f"{DENIED}{reason}"[:200],
    }
    session.execute(stories.values(cancelled), execution_options={"synchronize_session": False})
