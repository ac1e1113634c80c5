"""The WebSub hub: what may be subscribed to, requests kept until they are verified, denials.

A public feed's topic is its address. A private feed's topic is its token address, which ties the subscription to the publisher.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from syndicator.access import decide_feed
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import ChannelKind, HubRequest, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.agreements import read_viewer
from syndicator.operations.backfill import owe_state
from syndicator.operations.keys import find_token
from syndicator.operations.subscriptions import end
from syndicator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Topic:
    """A feed document that can be subscribed to, and on whose behalf, if it is private."""

    feed: str
    format: str
    publisher: Publisher | None = None


def read_topic(house: House, session: Session, url: str) -> Topic | None:
    """Return what `url` is the topic of, or None if it is none of ours or may not be had."""
    base = re.escape(house.config.site.base_url)
    found = re.fullmatch(rf"{base}/(?:feeds|f/(?P<token>[A-Za-z0-9_]+))/(?P<feed>[a-z0-9-]+)\.(?P<format>rss|atom|json)", url)
    definition = house.catalogue.find(found["feed"]) if found else None
    if found is None or definition is None or not definition.websub:
        return None
    if found["token"] is None:
        return Topic(definition.name, found["format"]) if definition.public else None
    token = find_token(session, found["token"])
    if token is None or token.feed != definition.name:
        return None
    at = house.clock()
    decision = decide_feed(read_viewer(session, house, token.publisher, at=at), definition, at)
    return Topic(definition.name, found["format"], token.publisher) if decision.granted else None


def keep_request(
    session: Session,
    house: House,
    *,
    mode: str,
    topic: str,
    callback: str,
    secret: str | None,
    lease_seconds: int,
    at: datetime,
) -> HubRequest:
    """Keep a well-formed request; the answer to its sender depends on nothing that is found out later (WebSub 5.1.2).

    A newer request for the same topic and callback takes the place of one not yet verified. A topic that cannot be had is denied.
    """
    known = read_topic(house, session, topic)
    key = websub_key(topic, callback)
    session.execute(delete(HubRequest).where(HubRequest.websub_key == key))
    denied = mode == "subscribe" and known is None
    request = HubRequest(
        mode="denied" if denied else mode,
        websub_key=key,
        topic=house.vault.lock(topic),
        callback=callback,
        host=urlsplit(callback).hostname or "",
        secret=house.vault.lock(secret) if secret else None,
        lease_seconds=lease_seconds,
        publisher_id=known.publisher.id if known and known.publisher else None,
        reason=Reason.UNKNOWN_FEED.words if denied else "",
        created_at=at,
        next_attempt_at=at,
    )
    session.add(request)
    session.flush()
    return request


def websub_key(topic: str, callback: str) -> str:
    """The identity of a WebSub subscription: topic and callback, query included (5.1)."""
    return hashlib.sha256(f"{topic}\n{callback}".encode()).hexdigest()


def settle_hub_request(session: Session, house: House, request: HubRequest, *, at: datetime) -> None:
    """Do what a verified request asks: make or renew the subscription, or end it. A topic lost meanwhile makes nothing."""
    wanted = select(Subscription).where(Subscription.websub_key == request.websub_key).with_for_update()
    subscription = session.scalars(wanted).one_or_none()
    if request.mode == "unsubscribe":
        if subscription is not None and subscription.state is not SubscriptionState.ENDED:
            end(session, subscription, reason="unsubscribed", actor="hub", at=at)
        return
    topic = read_topic(house, session, house.vault.unlock(request.topic))
    if topic is None:
        return
    fresh = subscription is None or subscription.state is not SubscriptionState.ACTIVE
    if subscription is None:
        subscription = Subscription(
            public_id=new_id("sub_"), channel=ChannelKind.WEBSUB, created_at=at, websub_key=request.websub_key
        )
        session.add(subscription)
    subscription.feed, subscription.options = topic.feed, {"format": topic.format}
    subscription.topic, subscription.endpoint = request.topic, request.callback
    subscription.publisher_id = request.publisher_id
    subscription.secret, subscription.old_secret = request.secret, None
    subscription.state, subscription.state_reason = SubscriptionState.ACTIVE, ""
    subscription.lease_until = at + timedelta(seconds=request.lease_seconds)
    if fresh:
        session.flush()
        owe_state(session, subscription, at=at)


def deny_subscriptions(session: Session, publisher_id: int, reason: str, *, at: datetime) -> int:
    """Tell the callbacks of the publisher's WebSub subscriptions that they are not, or no longer, subscribed (5.2); returns how
    many. The subscriptions are paused, so that they still hear of kills until their lease ends; subscribing again starts anew.
    """
    wanted = select(Subscription).where(
        Subscription.publisher_id == publisher_id,
        Subscription.channel == ChannelKind.WEBSUB,
        Subscription.state == SubscriptionState.ACTIVE,
    )
    subscriptions = session.scalars(wanted.with_for_update()).all()
    for subscription in subscriptions:
        subscription.state, subscription.state_reason = SubscriptionState.PAUSED, f"denied: {reason}"
        session.execute(delete(HubRequest).where(HubRequest.websub_key == subscription.websub_key))
        session.add(
            HubRequest(
                mode="denied",
                websub_key=subscription.websub_key,
                topic=subscription.topic,
                callback=subscription.endpoint,
                host=urlsplit(subscription.endpoint).hostname or "",
                lease_seconds=0,
                publisher_id=publisher_id,
                reason=reason,
                created_at=at,
                next_attempt_at=at,
            )
        )
    session.flush()
    return len(subscriptions)
