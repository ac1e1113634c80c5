"""Announcing: what happened to a story becomes an event, its place in the feeds, and deliveries owed; all in the story's own
transaction, so that either everything is true or nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, false, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from syndicator.access import embargoed
from syndicator.bell import ring_after
from syndicator.catalogue import Catalogue
from syndicator.domain.agreements import Agreement
from syndicator.domain.deliveries import DIGEST_LANE, LANE_ORDER, OWED, TOPIC_LANE, Delivery, DeliveryState, Lane
from syndicator.domain.feeds import FeedEntry, FeedState, selects
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Event, EventType, PubStatus, Story, StoryVersion
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.operations import acknowledge
from syndicator.operations.archives import reopen
from syndicator.storage.queries import next_value

WITHDRAWALS = frozenset({EventType.KILLED, EventType.TAKEN_DOWN})
SILENT = frozenset({EventType.EXPIRED})  # copies said from the start when they end, so nobody is pushed


@dataclass(frozen=True, slots=True)
class Placement:
    """Which feeds an event concerns: those that hold the story (or did until now), and those whose documents change."""

    concerned: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def announce(
    session: Session,
    catalogue: Catalogue,
    story: Story,
    version: StoryVersion,
    kind: EventType,
    *,
    at: datetime,
    reason: str = "",
) -> Event:
    """Record that `kind` happened to `story`, whose newest version is `version`."""
    session.flush()
    hidden = embargoed(story, at)
    seq = next_value(session, "events")
    placement = _place(session, catalogue, story, version, kind, at=at)
    event = Event(
        seq=seq,
        type=kind,
        at=at,
        story=story,
        version_number=version.number,
        feeds=placement.concerned,
        embargoed=hidden,
        reason=reason,
    )
    session.add(event)
    session.flush()
    if placement.changed:
        stale = update(FeedState).where(FeedState.feed.in_(placement.changed)).values(changed_seq=seq, changed_at=at)
        session.execute(stale)
    ring_after(session)
    if kind not in SILENT:
        before = select(Event.seq).where(Event.story_id == event.story_id, Event.seq < event.seq).limit(1)
        first = session.scalar(before) is None
        _owe(session, event, at, first=first)
        if not first:
            _supersede(session, event, at)
        acknowledge.ask(session, event, at=at)
    return event


def selecting_feeds(catalogue: Catalogue, version: StoryVersion) -> list[str]:
    """Return the names of the feeds that a story like `version` belongs to."""
    return [
        feed.name
        for feed in catalogue
        if selects(feed.select, section=version.section, tags=version.tags, byline=version.byline, rights=version.rights)
    ]


def _place(
    session: Session, catalogue: Catalogue, story: Story, version: StoryVersion, kind: EventType, *, at: datetime
) -> Placement:
    """Move `story` into and out of the feeds."""
    selecting = selecting_feeds(catalogue, version)
    if embargoed(story, at):
        return Placement(concerned=selecting)
    over = story.expires_at is not None and story.expires_at <= at
    shown = set(selecting) if story.pubstatus is PubStatus.USABLE and not over else set()
    places = {place.feed: place for place in session.scalars(select(FeedEntry).where(FeedEntry.story_id == story.id))}
    # A feed that a story left before is told of its kill too: somebody may have it from there.
    held = {name for name, place in places.items() if place.left_at is None or kind in WITHDRAWALS}
    reopen(session, [place for place in places.values() if place.feed in shown | held], at=at)
    for name in shown:
        place = places.get(name)
        if place is None:
            place = FeedEntry(feed=name, story_id=story.id)
            session.add(place)
        place.left_at, place.tombstone, place.archive = None, False, None
        place.published_at, place.updated_at = story.published_at, version.updated_of(story)
    for name in held - shown:
        places[name].left_at, places[name].tombstone = at, kind in WITHDRAWALS
    return Placement(concerned=sorted(shown | held), changed=sorted(shown | held))


def _owe(session: Session, event: Event, at: datetime, *, first: bool) -> None:
    """Owe `event` to every subscription that matches now, in one statement.

    Those who were owed an earlier event of the story are told of what follows although their feed no longer holds it. What
    withdraws a story carries no content, so it reaches even prior recipients who are suspended or paused by now. The `first`
    event of a story has none, and is spared asking for them: it is the one that goes to thousands.
    """
    prior = Subscription.id.in_(select(Delivery.subscription_id).where(Delivery.story_id == event.story_id))
    may_take = or_(
        Subscription.publisher_id.is_(None),
        and_(Publisher.state == PublisherState.APPROVED, Publisher.approved_until > at),
    )
    matching = and_(
        Subscription.state == SubscriptionState.ACTIVE,
        or_(Subscription.lease_until.is_(None), Subscription.lease_until > at),
        Subscription.feed.in_(event.feeds) if first else or_(Subscription.feed.in_(event.feeds), prior),
        may_take,
    )
    if event.embargoed:
        matching = and_(matching, or_(Publisher.embargo_trusted.is_(True), _embargo_agreed(at)))
    if event.type.withdraws:
        matching = or_(matching, and_(prior, Subscription.state != SubscriptionState.ENDED))
    in_digest = false() if event.type.urgent else Subscription.digest_at.is_not(None)
    lane = LANE_ORDER[Lane.URGENT if event.type.urgent else Lane.ORDINARY]
    owed = (
        select(
            Subscription.id,
            literal(event.seq),
            literal(event.story_id),
            literal(event.version_number),
            literal(DeliveryState.OWED.value),
            case((in_digest, DIGEST_LANE), else_=lane),
            literal(at, type_=Delivery.created_at.type),
            literal(0),
            case((in_digest, Subscription.digest_at), else_=literal(at, type_=Delivery.created_at.type)),
            literal(""),
            null(),
        )
        .outerjoin(Publisher, Publisher.id == Subscription.publisher_id)
        .where(matching)
    )
    columns = [
        "subscription_id",
        "event_seq",
        "story_id",
        "version_number",
        "state",
        "lane",
        "created_at",
        "attempt_count",
        "next_attempt_at",
        "last_reason",
        "claimed_by",
    ]
    session.execute(insert(Delivery).from_select(columns, owed))


def _embargo_agreed(at: datetime) -> ColumnElement[bool]:
    """Whether the publisher has an agreement that trusts it with embargoes; the gate asks which stories, when it is sent."""
    agreed = select(Agreement.id).where(
        Agreement.publisher_id == Publisher.id,
        Agreement.embargo_trusted.is_(True),
        Agreement.ended_at.is_(None),
        Agreement.valid_from <= at,
        Agreement.valid_until > at,
    )
    return agreed.exists()


def _supersede(session: Session, event: Event, at: datetime) -> None:
    """Settle older deliveries of the story that nobody is sending just now; one in flight is settled by its own outcome."""
    newer = aliased(Delivery)
    also = select(newer.id).where(
        newer.story_id == event.story_id, newer.event_seq == event.seq, newer.subscription_id == Delivery.subscription_id
    )
    older = (
        update(Delivery)
        .where(
            Delivery.story_id == event.story_id,
            Delivery.event_seq < event.seq,
            Delivery.state == OWED,
            Delivery.lane != TOPIC_LANE,
            or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= at),
            also.exists(),
        )
        .values(state=DeliveryState.SUPERSEDED, settled_at=at, next_attempt_at=None, last_reason=f"superseded by {event.seq}")
        .execution_options(synchronize_session=False)
    )
    session.execute(older)
