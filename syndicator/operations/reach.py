"""Reach: who had a story, by which ways that we know, and who has been told of its end. Asked before a kill and after it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.agreements import Take
from syndicator.domain.deliveries import Acknowledgement, Delivery, DeliveryState
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.publishers import FeedToken, Publisher
from syndicator.domain.stories import Event, EventType, Story
from syndicator.domain.subscriptions import Subscription

MOST_PUBLISHERS = 2000
TELLS = frozenset({EventType.KILLED, EventType.TAKEN_DOWN, EventType.CORRECTED})


@dataclass(slots=True)
class Holder:
    """One publisher that had the story, or may have had it."""

    name: str
    public_id: str
    ways: list[str] = field(default_factory=list)
    told: str = ""  # what became of the newest correction or end of the story, in words; empty while there is none
    told_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """`open_subscriptions` are WebSub subscribers whom we know by their callback alone; `public_feeds` are read by anybody."""

    holders: list[Holder]
    open_subscriptions: int
    public_feeds: list[str]
    news: Event | None  # the newest correction, kill or takedown

    @property
    def told(self) -> int:
        return sum(holder.told_at is not None for holder in self.holders)

    @property
    def acknowledged(self) -> int:
        return sum(holder.acknowledged_at is not None for holder in self.holders)


def reach_of(session: Session, story: Story, public_feeds: frozenset[str]) -> Reach:
    """Return who had `story`: pushes and takes are known to the copy, of token feeds only who has looked since it was there."""
    ways: defaultdict[int, list[str]] = defaultdict(list)
    open_subscriptions = _pushed(session, story, ways)
    for take in session.scalars(select(Take).where(Take.story_id == story.id).limit(MOST_PUBLISHERS)):
        ways[take.publisher_id].append(take.way.value)
    feeds = {each.feed: each for each in session.scalars(select(FeedEntry).where(FeedEntry.story_id == story.id).limit(200))}
    _polled(session, feeds, ways)
    news = _news(session, story)
    told = _told(session, story, news) if news else {}
    words = _acknowledged(session, news) if news else {}
    names = session.execute(
        select(Publisher.id, Publisher.public_id, Publisher.name).where(Publisher.id.in_(list(ways)[:MOST_PUBLISHERS]))
    )
    holders = [
        Holder(
            name, public_id, ways[key], *told.get(key, ("not sent by push" if news else "", None)), *words.get(key, (None, ""))
        )
        for key, public_id, name in names
    ]
    holders.sort(key=lambda each: (each.acknowledged_at is not None, each.told_at is not None, each.name.casefold()))
    return Reach(holders, open_subscriptions, sorted(public_feeds & feeds.keys()), news)


def _pushed(session: Session, story: Story, ways: defaultdict[int, list[str]]) -> int:
    """Add the channels that delivered; returns how many open subscriptions did."""
    counted = (
        select(Subscription.publisher_id, Subscription.channel, func.count(Subscription.id.distinct()))
        .join(Delivery, Delivery.subscription_id == Subscription.id)
        .where(Delivery.story_id == story.id, Delivery.state == DeliveryState.DELIVERED)
        .group_by(Subscription.publisher_id, Subscription.channel)
        .limit(MOST_PUBLISHERS * 2)
    )
    unknown = 0
    for publisher_id, channel, count in session.execute(counted):
        if publisher_id is None:
            unknown += count
        else:
            ways[publisher_id].append(channel.value)
    return unknown


def _polled(session: Session, feeds: dict[str, FeedEntry], ways: defaultdict[int, list[str]]) -> None:
    tokens = select(FeedToken.publisher_id, FeedToken.feed, func.max(FeedToken.last_used_at))
    tokens = tokens.where(FeedToken.feed.in_(feeds), FeedToken.last_used_at.is_not(None))
    for publisher_id, feed, used_at in session.execute(tokens.group_by(FeedToken.publisher_id, FeedToken.feed)):
        if used_at is not None and used_at >= feeds[feed].published_at and f"feed {feed}" not in ways[publisher_id]:
            ways[publisher_id].append(f"feed {feed}")
    for publisher_id in [each for each, found in ways.items() if not found]:
        del ways[publisher_id]


def _news(session: Session, story: Story) -> Event | None:
    wanted = select(Event).where(Event.story_id == story.id, Event.type.in_(TELLS)).order_by(Event.seq.desc()).limit(1)
    return session.scalars(wanted).one_or_none()


def _told(session: Session, story: Story, news: Event) -> dict[int, tuple[str, datetime | None]]:
    """Return what became of the pushes of `news`: for each publisher the best of its subscriptions."""
    wanted = (
        select(Subscription.publisher_id, Delivery.state, Delivery.settled_at)
        .join(Delivery, Delivery.subscription_id == Subscription.id)
        .where(Delivery.story_id == story.id, Delivery.event_seq == news.seq)
        .limit(MOST_PUBLISHERS * 2)
    )
    told: dict[int, tuple[str, datetime | None]] = {}
    for publisher_id, state, settled_at in session.execute(wanted):
        if publisher_id is None:
            continue
        if state is DeliveryState.DELIVERED:
            told[publisher_id] = ("told by push", settled_at)
        elif publisher_id not in told:
            told[publisher_id] = (f"push {state.value.replace('_', ' ')}", None)
    return told


def _acknowledged(session: Session, news: Event) -> dict[int, tuple[datetime | None, str]]:
    """Return who has said to have acted on `news`, and in whose name."""
    wanted = select(Acknowledgement.publisher_id, Acknowledgement.acknowledged_at, Acknowledgement.acknowledged_by)
    wanted = wanted.where(Acknowledgement.event_seq == news.seq).limit(MOST_PUBLISHERS)
    return {publisher_id: (at, by) for publisher_id, at, by in session.execute(wanted)}
