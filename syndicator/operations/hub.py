"""The WebSub hub: what may be subscribed to, requests kept until they are verified, denials.

A public feed's topic is its address. A private feed's topic is its token address, which ties the subscription to the publisher.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from syndicator.access import decide_feed
from syndicator.bell import ring_after
from syndicator.border import Border
from syndicator.channels.websub import parse_hub_request
from syndicator.domain.base import new_id
from syndicator.domain.publishers import FeedToken, Publisher
from syndicator.domain.subscriptions import ChannelKind, HubRequest, Subscription, SubscriptionState
from syndicator.errors import InvalidRequest, TooManyRequests
from syndicator.house import House
from syndicator.operations.agreements import read_viewer
from syndicator.operations.backfill import owe_state
from syndicator.operations.keys import find_token
from syndicator.operations.subscriptions import end
from syndicator.reasons import Reason

PENDING_PER_HOST = 100  # requests that wait until their host may be asked again
ASKED_PER_MINUTE = 10  # questions to one host, so that nobody can have us flood a server that is not theirs
FULL_SECONDS = 3600  # a host with all the subscriptions that it may have is told to come back after


@dataclass(frozen=True, slots=True)
class Topic:
    """A feed document that can be subscribed to, and by which token, if it is private."""

    feed: str
    format: str
    token: FeedToken | None = None


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
    return Topic(definition.name, found["format"], token) if decision.granted else None


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
    Raises TooManyRequests where the callback's host has too many of us already.
    """
    known = read_topic(house, session, topic)
    key, host = websub_key(topic, callback), urlsplit(callback).hostname or ""
    _require_room(session, house, host, key)
    session.execute(delete(HubRequest).where(HubRequest.websub_key == key))
    denied = mode == "subscribe" and known is None
    request = HubRequest(
        mode="denied" if denied else mode,
        websub_key=key,
        topic=house.vault.lock(topic),
        callback=callback,
        host=host,
        secret=house.vault.lock(secret) if secret else None,
        lease_seconds=lease_seconds,
        publisher_id=known.token.publisher_id if known and known.token else None,
        reason=Reason.UNKNOWN_FEED.words if denied else "",
        created_at=at,
        next_attempt_at=at,
    )
    session.add(request)
    session.flush()
    ring_after(session)
    return request


def ask_callback(
    session: Session, house: House, border: Border, publisher: Publisher, *, feed: str, callback: str, form: str, at: datetime
) -> tuple[HubRequest, str]:
    """Ask `callback` in the publisher's name whether it wants `feed`, as if it had come to the hub; returns its secret too.

    Once it confirms there is a subscription, until its lease is over. Raises InvalidRequest, AccessDenied, FeedNotFound.
    """
    definition = house.catalogue.get(feed)
    decide_feed(read_viewer(session, house, publisher, at=at), definition, at).require()
    if not definition.websub or not definition.public:
        raise InvalidRequest(f"the feed {feed!r} has no public topic; subscribe at /hub with the feed's token address", "feed")
    secret = token_urlsafe(32)
    topic = f"{house.config.site.base_url}/feeds/{feed}.{form}"
    fields = [("hub.mode", "subscribe"), ("hub.topic", topic), ("hub.callback", callback), ("hub.secret", secret)]
    order = parse_hub_request(fields, house.config.websub, border.check_url)
    request = keep_request(
        session,
        house,
        mode=order.mode,
        topic=order.topic,
        callback=order.callback,
        secret=order.secret,
        lease_seconds=order.lease_seconds,
        at=at,
    )
    request.publisher_id = publisher.id
    return request, secret


def _require_room(session: Session, house: House, host: str, key: str) -> None:
    """Bound what `host` is asked and sent. Renewing and ending what there is are never refused."""
    live = Subscription.state != SubscriptionState.ENDED
    if session.scalar(select(Subscription.id).where(Subscription.websub_key == key, live)) is not None:
        return
    pending = session.scalar(select(func.count()).where(HubRequest.host == host, HubRequest.websub_key != key)) or 0
    if pending >= PENDING_PER_HOST:
        wait = 60 * (pending // ASKED_PER_MINUTE)
        raise TooManyRequests(wait, "verifications of one callback host")
    subscribed = session.scalar(select(func.count()).where(Subscription.callback_host == host, live)) or 0
    if subscribed + pending >= house.config.websub.subscriptions_per_host:
        raise TooManyRequests(FULL_SECONDS, "subscriptions of one callback host")


def _lapsed(subscription: Subscription, at: datetime) -> bool:
    return subscription.lease_until is not None and subscription.lease_until <= at


def websub_key(topic: str, callback: str) -> str:
    """The identity of a WebSub subscription: topic and callback, query included (5.1)."""
    return hashlib.sha256(f"{topic}\n{callback}".encode()).hexdigest()


def settle_hub_request(session: Session, house: House, request: HubRequest, *, at: datetime) -> None:
    """Do what a verified request asks and forget it: make, renew or end the subscription. A topic lost meanwhile is denied."""
    wanted = select(Subscription).where(Subscription.websub_key == request.websub_key).with_for_update()
    subscription = session.scalars(wanted).one_or_none()
    if request.mode == "unsubscribe":
        if subscription is not None and subscription.state is not SubscriptionState.ENDED:
            end(session, subscription, reason="unsubscribed", actor="hub", at=at)
        session.delete(request)
        return
    topic = read_topic(house, session, house.vault.unlock(request.topic))
    if topic is None:
        request.mode, request.reason, request.attempts, request.next_attempt_at = "denied", Reason.UNKNOWN_FEED.words, 0, at
        return
    # One whose lease is over is owed nothing, also before the timetable has ended it: what it missed comes with the topic.
    fresh = subscription is None or subscription.state is not SubscriptionState.ACTIVE or _lapsed(subscription, at)
    if subscription is None:
        subscription = Subscription(
            public_id=new_id("sub_"), channel=ChannelKind.WEBSUB, created_at=at, websub_key=request.websub_key
        )
        session.add(subscription)
    subscription.feed, subscription.options = topic.feed, {"format": topic.format}
    subscription.topic, subscription.endpoint = request.topic, request.callback
    subscription.callback_host = request.host
    asked_for = request.publisher_id or (None if fresh else subscription.publisher_id)  # whoever renews names nobody
    subscription.publisher_id = topic.token.publisher_id if topic.token else asked_for
    subscription.token_id = topic.token.id if topic.token else None
    subscription.secret, subscription.old_secret = request.secret, None
    subscription.state, subscription.state_reason = SubscriptionState.ACTIVE, ""
    subscription.lease_until = at + timedelta(seconds=request.lease_seconds)
    session.delete(request)
    if fresh:
        session.flush()
        owe_state(session, subscription, at=at)
