"""Subscriptions: made, paused, resumed, ended, given new secrets."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.access import decide_feed, viewer_of
from syndicator.channels.webhook import new_webhook_secret
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import OWED, Delivery, DeliveryState
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import ChannelKind, HubRequest, Subscription, SubscriptionState
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.outbound import Outbound

OLD_SECRET_SIGNS_FOR = timedelta(hours=24)
MADE_HERE = (ChannelKind.WEBHOOK,)  # WebSub subscriptions are made by the hub, once verified


def subscribe(
    session: Session,
    house: House,
    outbound: Outbound,
    publisher: Publisher,
    *,
    feed: str,
    channel: ChannelKind,
    endpoint: str,
    options: dict[str, Any] | None = None,
    actor: str,
    at: datetime,
) -> tuple[Subscription, str]:
    """Owe the events of `feed` to `endpoint` from now on; returns the subscription and its signing secret, shown once.

    Raises AccessDenied when the publisher may not have the feed, FeedNotFound, AddressRefused, InvalidRequest.
    """
    definition = house.catalogue.get(feed)
    decide_feed(viewer_of(publisher, house.config.license.version), definition, at).require()
    if channel not in MADE_HERE:
        raise InvalidRequest(f"subscriptions by {channel.value} are not made here", "channel")
    outbound.check_url(endpoint)
    secret = new_webhook_secret()
    subscription = Subscription(
        public_id=new_id("sub_"),
        publisher_id=publisher.id,
        feed=feed,
        channel=channel,
        endpoint=endpoint,
        options=options or {},
        secret=house.vault.lock(secret),
        created_at=at,
    )
    session.add(subscription)
    session.flush()
    audit.record(session, actor, "subscription.add", subscription.public_id, at=at, feed=feed, channel=channel.value)
    return subscription, secret


def get_subscription(session: Session, public_id: str, publisher_id: int | None = None) -> Subscription:
    """Return the subscription; with `publisher_id`, only if it is that publisher's. Raises NotFound."""
    wanted = select(Subscription).where(Subscription.public_id == public_id)
    if publisher_id is not None:
        wanted = wanted.where(Subscription.publisher_id == publisher_id)
    subscription = session.scalars(wanted).one_or_none()
    if subscription is None:
        raise NotFound(f"there is no subscription {public_id!r}")
    return subscription


def pause(session: Session, subscription: Subscription, *, reason: str, actor: str, at: datetime) -> None:
    """Send nothing more until it is resumed; what is owed by now is kept, what happens meanwhile is not owed (kills are)."""
    reschedule_owed(session, subscription.id, None)
    _change_state(session, subscription, SubscriptionState.PAUSED, reason=reason, actor=actor, at=at)


def resume(session: Session, subscription: Subscription, *, actor: str, at: datetime) -> None:
    """Send again, beginning with what was owed when it was paused."""
    reschedule_owed(session, subscription.id, at)
    subscription.failing_since = None
    _change_state(session, subscription, SubscriptionState.ACTIVE, reason="", actor=actor, at=at)


def end(session: Session, subscription: Subscription, *, reason: str, actor: str, at: datetime) -> None:
    """End the subscription for good; what it is still owed is cancelled."""
    _change_state(session, subscription, SubscriptionState.ENDED, reason=reason, actor=actor, at=at)
    cancel_owed(session, subscription.id, reason, at=at)


def cancel_owed(session: Session, subscription_id: int, reason: str, *, at: datetime) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.subscription_id == subscription_id, Delivery.state == OWED)
        .values(state=DeliveryState.CANCELLED, settled_at=at, next_attempt_at=None, last_reason=reason[:200])
        .execution_options(synchronize_session=False)
    )


def reschedule_owed(session: Session, subscription_id: int, at: datetime | None) -> None:
    """Make what is owed due at `at`, or park it (None) until the subscription is resumed."""
    owed = update(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.state == OWED)
    session.execute(owed.values(next_attempt_at=at).execution_options(synchronize_session=False))


def rotate_secret(session: Session, house: House, subscription: Subscription, *, actor: str, at: datetime) -> str:
    """Give the subscription a new secret; the old one signs beside it for a day."""
    secret = new_webhook_secret()
    subscription.old_secret, subscription.old_secret_until = subscription.secret, at + OLD_SECRET_SIGNS_FOR
    subscription.secret = house.vault.lock(secret)
    audit.record(session, actor, "subscription.rotate-secret", subscription.public_id, at=at)
    return secret


def _change_state(
    session: Session, subscription: Subscription, state: SubscriptionState, *, reason: str, actor: str, at: datetime
) -> None:
    if subscription.state is SubscriptionState.ENDED:
        raise Conflict(f"subscription {subscription.public_id} has ended; make a new one")
    subscription.state, subscription.state_reason = state, reason
    audit.record(session, actor, f"subscription.{state.value}", subscription.public_id, at=at, reason=reason)


# -- WebSub: a request is kept, verified at its callback by the engine, and only then counts (WebSub 5.3) ----------------------


def websub_key(topic: str, callback: str) -> str:
    """The identity of a WebSub subscription: topic and callback, query included (5.1)."""
    return hashlib.sha256(f"{topic}\n{callback}".encode()).hexdigest()


def settle_hub_request(session: Session, request: HubRequest, feed: str, *, at: datetime) -> Subscription | None:
    """Do what a verified request asks: make or renew the subscription, or end it."""
    key = websub_key(request.topic, request.callback)
    subscription = session.scalars(select(Subscription).where(Subscription.websub_key == key).with_for_update()).one_or_none()
    if request.mode == "unsubscribe":
        if subscription is not None and subscription.state is not SubscriptionState.ENDED:
            end(session, subscription, reason="unsubscribed", actor="hub", at=at)
        return subscription
    if subscription is None:
        subscription = Subscription(
            public_id=new_id("sub_"), channel=ChannelKind.WEBSUB, created_at=at, websub_key=key, options={}
        )
        session.add(subscription)
    subscription.feed = feed
    subscription.topic, subscription.endpoint = request.topic, request.callback
    subscription.publisher_id = request.publisher_id
    subscription.secret, subscription.old_secret = request.secret, None
    subscription.state, subscription.state_reason = SubscriptionState.ACTIVE, ""
    subscription.lease_until = at + timedelta(seconds=request.lease_seconds)
    session.flush()
    return subscription
