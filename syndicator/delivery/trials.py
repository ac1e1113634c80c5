"""Test sends that are one request, as their owners asked for them: taken once, posted once, what came of it written down.

A webhook gets a message of the type `test`. A WebSub callback cannot be told that something is a test (WebSub 7 knows only the
topic's content), and its readers would show an example as news: it gets the topic as the hub brings it, with one entry that it
has had already, which changes nothing for a reader that knows entries by their ids. The gate is asked as for a delivery; where
no story may go, the topic's frame goes alone, since a hub may leave out what was delivered before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.channels import Answer, Deferred, Parcel, webhook, websub
from syndicator.channels.answers import read_answer
from syndicator.delivery.errands import Errand
from syndicator.delivery.ledger import AT
from syndicator.delivery.parcels import load_parcels, secrets_of
from syndicator.delivery.settling import KEPT_OF_ANSWER, storable
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.stories import PubStatus, Story
from syndicator.domain.subscriptions import ChannelKind, Subscription, Trial
from syndicator.house import House
from syndicator.operations.render_feeds import read_feed
from syndicator.operations.try_out import finish

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
LOOKED_AT = 10  # so many of the newest stories that a callback had, for one that it may still have
POSTED = Subscription.channel.in_([channel for channel in ChannelKind if not channel.converses])


class Trials:
    """Errands (see errands.py)."""

    due = select(Trial.id).join(Trial.subscription).where(Trial.due_at <= AT, POSTED)

    def claim_due(self, session: Session, house: House, *, at: datetime, limit: int) -> list[Errand]:
        due = select(Trial).join(Trial.subscription).where(Trial.due_at <= at, POSTED).order_by(Trial.due_at).limit(limit)
        wanted = due.options(joinedload(Trial.subscription)).with_for_update(of=Trial, skip_locked=True)
        errands = []
        for test in session.scalars(wanted):
            try:
                errands.append(_errand(session, test, house, at))
                test.due_at = at + LEASE
            except Exception:  # such as a secret that cannot be read; it must not stop the others
                log.exception("test not made test=%s", test.public_id)
                finish(test, Deferred("not-made"), at=at)
        return errands

    def settle(self, session: Session, house: House, answered: Sequence[tuple[Errand, Answer]], *, at: datetime) -> None:
        for errand, answer in answered:
            test = session.get(Trial, errand.row_id, with_for_update=True)
            if test is None or test.due_at is None:
                continue
            if not answer.tried:
                test.due_at = at
                continue
            outcome = read_answer(answer, at)
            finish(test, outcome, at=at)
            test.status, test.duration_ms = answer.status or None, answer.duration_ms
            test.answer = storable(answer.body[:KEPT_OF_ANSWER].decode("utf-8", "replace"))
            log.info("test sent test=%s outcome=%s status=%s", test.public_id, test.outcome, answer.status)


def _errand(session: Session, test: Trial, house: House, at: datetime) -> Errand:
    subscription = test.subscription
    secrets, signing_key = secrets_of(subscription, house, at)
    if subscription.channel is ChannelKind.WEBSUB:
        return _distribution(session, test, secrets, house, at)
    request = webhook.trial_request(subscription.endpoint, test.public_id, secrets, signing_key, at, feed=subscription.feed)
    return Errand(test.id, request)


def _distribution(session: Session, test: Trial, secrets: tuple[str, ...], house: House, at: datetime) -> Errand:
    subscription = test.subscription
    known = _newest_had(session, subscription, house, at)
    topic = read_feed(session, house, house.catalogue.get(subscription.feed), at=at)
    feed = replace(topic, entries=(known.entry,) if known else (), withdrawn=(), prev_archive=None)
    story = f"holding “{known.entry.headline}”, which it had before" if known else "without a story, as none may be brought again"
    test.done = f"the feed was posted to the callback, {story}"
    request = websub.trial_request(subscription.endpoint, house.vault.unlock(subscription.topic or ""), feed, secrets)
    return Errand(test.id, request, carries_story=known is not None)


def _newest_had(session: Session, subscription: Subscription, house: House, at: datetime) -> Parcel | None:
    """Return the newest story of the feed that has been delivered to the subscription as it stands now, and may still be."""
    shown = select(FeedEntry.story_id).where(
        FeedEntry.feed == subscription.feed, FeedEntry.story_id == Story.id, FeedEntry.left_at.is_(None)
    )
    had = (
        select(Delivery.id)
        .join(Story, Story.id == Delivery.story_id)
        .where(Delivery.subscription_id == subscription.id, Delivery.state == DeliveryState.DELIVERED)
        .where(Delivery.version_number == Story.version_number, Story.pubstatus == PubStatus.USABLE, shown.exists())
        .order_by(Delivery.id.desc())
        .limit(LOOKED_AT)
    )
    parcels = load_parcels(session, house, session.scalars(had).all(), at=at, one_by_one=True).parcels
    return max((parcel for parcel in parcels if not parcel.event.withdraws), key=lambda parcel: parcel.seq, default=None)
