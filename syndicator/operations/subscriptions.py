"""Subscriptions: made, paused, resumed, ended, given new secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, literal, select, update
from sqlalchemy.orm import Session

from syndicator.access import decide_feed
from syndicator.border import Border
from syndicator.channels.webhook import new_signing_key, new_webhook_secret, public_key_of
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import DIGEST_LANE, OWED, Delivery, DeliveryState
from syndicator.domain.publishers import FeedToken, Publisher
from syndicator.domain.stories import Event, EventType
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Told
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit, destinations
from syndicator.operations.agreements import read_viewer
from syndicator.operations.backfill import catch_up
from syndicator.storage.queries import last_value

OLD_SECRET_SIGNS_FOR = timedelta(hours=24)
DENIED = "denied: "  # so begins why a subscription is paused whose callback was told so (see denials.py)
KEEP = {"synchronize_session": False}
WITHDRAWALS = [kind for kind in EventType if kind.withdraws]


def subscribe(
    session: Session,
    house: House,
    border: Border,
    publisher: Publisher,
    *,
    feed: str,
    channel: ChannelKind,
    endpoint: str,
    options: dict[str, Any] | None = None,
    credential: str = "",
    actor: str,
    at: datetime,
) -> tuple[Subscription, str]:
    """Owe the events of `feed` to `endpoint` from now on; returns the subscription and its signing secret, shown once.

    `credential` is what we log in with there (SFTP: password or private key; WordPress: application password). It is kept
    encrypted and never shown; such subscriptions have no signing secret. Raises AccessDenied when the publisher may not have the
    feed, FeedNotFound, AddressRefused, InvalidRequest.
    """
    definition = house.catalogue.get(feed)
    decide_feed(read_viewer(session, house, publisher, at=at), definition, at).require()
    owner = session.get_one(Publisher, publisher.id)  # the caller's may be detached, and its sites are read
    chosen = destinations.check(border, owner, channel, endpoint, options or {}, credential)
    secret = new_webhook_secret() if channel is ChannelKind.WEBHOOK else ""
    subscription = Subscription(
        public_id=new_id("sub_"),
        publisher_id=publisher.id,
        feed=feed,
        channel=channel,
        endpoint=endpoint,
        options=chosen,
        secret=house.vault.lock(secret or credential) if secret or credential else None,
        digest_at=destinations.first_digest_at(channel, chosen, at),
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


def subscriptions_of(session: Session, publisher_id: int | None) -> Sequence[Subscription]:
    """Return the subscriptions of one publisher or, with None, of all, newest first."""
    wanted = select(Subscription).order_by(Subscription.id.desc()).limit(1000)
    if publisher_id is not None:
        wanted = wanted.where(Subscription.publisher_id == publisher_id)
    return session.scalars(wanted).all()


def pause(session: Session, subscription: Subscription, *, reason: str, actor: str, at: datetime) -> None:
    """Send nothing more until it is resumed; what is owed by now is kept, what happens meanwhile is not owed (kills are).

    Pausing what is paused gives it another reason: what it has missed by now is still caught up when it is resumed.
    """
    if subscription.state is SubscriptionState.ACTIVE:
        subscription.paused_after_seq = last_value(session, "events")
    park_owed(session, subscription.id)
    _change_state(session, subscription, SubscriptionState.PAUSED, reason=reason, actor=actor, at=at)


def resume(session: Session, subscription: Subscription, *, actor: str, at: datetime) -> None:
    """Send again: what was owed when it was paused, and the newest state of each story that it missed since it last worked; where
    a digest is wanted, at its hour.

    Raises Conflict when it has ended, was made by the address of a feed whose token has been revoked, or when its callback was
    told that it had ended, which has to ask for it anew.
    """
    if subscription.token_id is not None and session.get_one(FeedToken, subscription.token_id).revoked_at is not None:
        raise Conflict("the feed's token was revoked; subscribe again with one that works")
    if subscription.state is SubscriptionState.PAUSED and subscription.state_reason.startswith(DENIED):
        raise Conflict("its callback was told that the subscription had ended; have it subscribe again at the hub")
    owed = update(Delivery).where(Delivery.subscription_id == subscription.id, Delivery.state == OWED)
    for_digest = and_(Delivery.lane == DIGEST_LANE, Delivery.attempt_count == 0)
    due = case((for_digest, literal(subscription.digest_at or at, type_=Delivery.created_at.type)), else_=at)
    session.execute(owed.values(next_attempt_at=due).execution_options(synchronize_session=False))
    if subscription.state is SubscriptionState.PAUSED:
        catch_up(session, subscription, at=at)
    subscription.failing_since, subscription.failures_in_row, subscription.resting_until = None, 0, None
    subscription.told, subscription.paused_after_seq = Told.NOTHING, None
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


def park_owed(session: Session, subscription_id: int) -> None:
    """Let what is owed wait until the subscription is resumed; what withdraws a story goes on."""
    withdrawals = select(Event.seq).where(Event.seq == Delivery.event_seq, Event.type.in_(WITHDRAWALS))
    owed = update(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.state == OWED, ~withdrawals.exists())
    session.execute(owed.values(next_attempt_at=None).execution_options(synchronize_session=False))


def rotate_secret(session: Session, house: House, subscription: Subscription, *, actor: str, at: datetime) -> str:
    """Give the subscription a new secret; the old one signs beside it for a day. Raises InvalidRequest where none signs."""
    if subscription.channel is not ChannelKind.WEBHOOK:
        raise InvalidRequest(f"subscriptions by {subscription.channel.value} have no signing secret", "channel")
    secret = new_webhook_secret()
    subscription.old_secret, subscription.old_secret_until = subscription.secret, at + OLD_SECRET_SIGNS_FOR
    subscription.secret = house.vault.lock(secret)
    audit.record(session, actor, "subscription.rotate-secret", subscription.public_id, at=at)
    return secret


def revise(
    session: Session,
    house: House,
    border: Border,
    subscription: Subscription,
    *,
    endpoint: str | None,
    options: dict[str, Any] | None,
    credential: str | None = None,
    actor: str,
    at: datetime,
) -> None:
    """Give the subscription another endpoint, other options or another credential; None leaves each as it is.

    A credential belongs to its address: at a new one it is asked for again, so that nobody has it sent to a server of his own.
    Raises AddressRefused, InvalidRequest, Conflict.
    """
    if subscription.state is SubscriptionState.ENDED:
        raise Conflict(f"subscription {subscription.public_id} has ended; make a new one")
    if subscription.publisher is None or subscription.channel is ChannelKind.WEBSUB:
        raise Conflict(f"subscriptions by {subscription.channel.value} are changed where they were made")
    given = {"endpoint": endpoint, "options": options, "credential": credential}
    stays = house.vault.unlock(subscription.secret) if subscription.channel.logs_in and subscription.secret else ""
    moved = endpoint is not None and endpoint != subscription.endpoint
    if endpoint is not None and moved:
        subscription.endpoint = endpoint
        _begin_anew(session, subscription, at)
    subscription.options = destinations.check(
        border,
        subscription.publisher,
        subscription.channel,
        subscription.endpoint,
        subscription.options if options is None else options,
        credential or ("" if moved else stays),
    )
    if credential:
        subscription.secret = house.vault.lock(credential)
    if options is not None:
        subscription.digest_at = destinations.first_digest_at(subscription.channel, subscription.options, at)
    changed = [name for name, value in given.items() if value is not None]
    audit.record(session, actor, "subscription.revise", subscription.public_id, at=at, changed=changed)


def _begin_anew(session: Session, subscription: Subscription, at: datetime) -> None:
    """Hold nothing against another endpoint that the former one did: it is not rested, and what waited for that goes now."""
    subscription.failing_since, subscription.failures_in_row, subscription.resting_until = None, 0, None
    waits = update(Delivery).where(
        Delivery.subscription_id == subscription.id, Delivery.state == OWED, Delivery.lane != DIGEST_LANE
    )
    session.execute(waits.where(Delivery.next_attempt_at > at).values(next_attempt_at=at), execution_options=KEEP)


def sign_with_key(session: Session, house: House, subscription: Subscription, *, actor: str, at: datetime) -> str:
    """Sign webhooks with a fresh Ed25519 key too, beside the secret (signature v1a); returns the public key.

    A key that there was signs no more: whoever verifies with it has the secret's signature meanwhile.
    """
    if subscription.channel is not ChannelKind.WEBHOOK:
        raise InvalidRequest("only webhooks are signed with a key", "channel")
    key = new_signing_key()
    subscription.signing_key = house.vault.lock(key)
    audit.record(session, actor, "subscription.sign-with-key", subscription.public_id, at=at)
    return public_key_of(key)


def public_key(house: House, subscription: Subscription) -> str | None:
    """Return what the subscription's v1a signatures are verified with, None if there are none."""
    return public_key_of(house.vault.unlock(subscription.signing_key)) if subscription.signing_key else None


def _change_state(
    session: Session, subscription: Subscription, state: SubscriptionState, *, reason: str, actor: str, at: datetime
) -> None:
    if subscription.state is SubscriptionState.ENDED:
        raise Conflict(f"subscription {subscription.public_id} has ended; make a new one")
    subscription.state, subscription.state_reason = state, reason
    audit.record(session, actor, f"subscription.{state.value}", subscription.public_id, at=at, reason=reason)
