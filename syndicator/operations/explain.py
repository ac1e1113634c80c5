"""Why a publisher got a story, or did not: the gate's word, the feeds, and what became of each push.

One answer for the command line, the desk and the portal. It reads and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from syndicator.access import Decision, Purpose, decide
from syndicator.channels.answers import in_words
from syndicator.domain.agreements import Take
from syndicator.domain.deliveries import Delivery
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story
from syndicator.domain.subscriptions import Subscription
from syndicator.errors import StoryNotFound
from syndicator.house import House
from syndicator.operations.agreements import read_viewer
from syndicator.operations.deliveries import WHOLE
from syndicator.reasons import Reason

MOST_DELIVERIES = 100
MOST_SUBSCRIPTIONS = 200
SECRET_REASONS = frozenset({Reason.EMBARGOED, Reason.NOT_FOR_SYNDICATION})  # of these a publisher may not even know the story
_PAGE = re.compile(r"/(?:stories|portal/stories|desk/stories)/([0-9a-z]{1,32})(?:/|$)")


@dataclass(frozen=True, slots=True)
class Way:
    """One subscription of the publisher, and why the story came or did not come by it."""

    subscription: Subscription
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    story: Story
    decision: Decision
    feeds: Sequence[FeedEntry]  # where the story stands or stood
    ways: Sequence[Way]
    deliveries: Sequence[Delivery]  # the newest first
    take: Take | None  # the first time it was taken from the API, an embed or a receipt


def story_meant(session: Session, reference: str) -> Story:
    """Return the story by id, uri, or the address of its page here. Raises StoryNotFound."""
    wanted = reference.strip()[:2048]
    page = _PAGE.search(urlsplit(wanted).path) if "/" in wanted else None
    ids = [wanted, page[1]] if page else [wanted]
    found = session.scalars(
        select(Story).where(or_(Story.public_id.in_(ids), Story.uri == wanted)).options(joinedload(Story.current)).limit(1)
    ).one_or_none()
    if found is None or not wanted:
        raise StoryNotFound(reference)
    return found


def explain(session: Session, house: House, publisher: Publisher, story: Story, *, at: datetime) -> Explanation:
    """Say everything that decides, and decided, whether `publisher` has `story`."""
    decision = decide(read_viewer(session, house, publisher, at=at), story, Purpose.TAKE, at)
    feeds = session.scalars(select(FeedEntry).where(FeedEntry.story_id == story.id).order_by(FeedEntry.feed).limit(100)).all()
    subscriptions = session.scalars(
        select(Subscription).where(Subscription.publisher_id == publisher.id).order_by(Subscription.id).limit(MOST_SUBSCRIPTIONS)
    ).all()
    deliveries = session.scalars(
        select(Delivery)
        .where(Delivery.story_id == story.id, Delivery.subscription_id.in_([each.id for each in subscriptions]))
        .order_by(Delivery.event_seq.desc())
        .limit(MOST_DELIVERIES)
        .options(*WHOLE)
    ).all()
    newest: dict[int, Delivery] = {}
    for delivery in deliveries:
        newest.setdefault(delivery.subscription_id, delivery)
    names = {entry.feed for entry in feeds}
    return Explanation(
        story=story,
        decision=decision,
        feeds=feeds,
        ways=[Way(each, _words(each, newest.get(each.id), names, story)) for each in subscriptions],
        deliveries=deliveries,
        take=session.get(Take, (publisher.id, story.id)),
    )


def explain_to_publisher(session: Session, house: House, publisher: Publisher, reference: str, *, at: datetime) -> Explanation:
    """Explain to the publisher itself: a story it may not know of, and was never sent, is as unknown as none."""
    found = explain(session, house, publisher, story_meant(session, reference), at=at)
    viewer = read_viewer(session, house, publisher, at=at)
    hidden = decide(viewer, found.story, Purpose.READ, at).reason in SECRET_REASONS
    if hidden and not found.decision.granted and not found.deliveries and found.take is None:
        raise StoryNotFound(reference)
    return found


def _words(subscription: Subscription, delivery: Delivery | None, feeds: set[str], story: Story) -> str:
    """Say in a sentence how the story and this subscription met."""
    if delivery is not None:
        state = delivery.state.value.replace("_", " ")
        return f"{state}: {in_words(delivery.last_reason)}" if delivery.last_reason else state
    if subscription.feed not in feeds:
        return f"the story is not in the feed “{subscription.feed}”"
    if subscription.created_at > story.updated_at:
        return "the subscription was made after the story's last change; ask for a backfill to get older stories"
    if subscription.state.value != "active":
        return f"the subscription is {subscription.state.value}" + (
            f": {subscription.state_reason}" if subscription.state_reason else ""
        )
    return "nothing was owed: when it happened, the publisher could not have the story, or the subscription was paused"
