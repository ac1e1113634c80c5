"""Catching up: a subscription is owed the newest state of stories it has missed, each once, behind ordinary traffic.

Only the newest event of a story is owed, never an older one, and the gate is asked again when it is sent. What was given up or
cancelled on the way is owed again under its own id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, and_, case, func, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session

from syndicator.domain.deliveries import DIGEST_LANE, LANE_ORDER, OWED, TOPIC_LANE, Delivery, DeliveryState, Lane
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.stories import Event, EventType, Story
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.errors import Conflict
from syndicator.operations import audit
from syndicator.storage.queries import of_events, overtaken

AT_MOST = 10_000
BACKFILL = LANE_ORDER[Lane.BACKFILL]
KEEP = {"synchronize_session": False}
MISSED = (DeliveryState.GIVEN_UP, DeliveryState.CANCELLED, DeliveryState.SUPERSEDED)


def backfill(
    session: Session,
    subscription: Subscription,
    *,
    actor: str,
    at: datetime,
    since: datetime | None = None,
    after_seq: int | None = None,
) -> int:
    """Owe `subscription` the stories of its feed that were published since an instant, or to which something happened after an
    event, and that it has not had as they stand now; returns how many, AT_MOST of the newest. Raises Conflict unless active.
    """
    if subscription.state is not SubscriptionState.ACTIVE:
        raise Conflict(f"this subscription is {subscription.state.value}; resume it first")
    count = owe_newest(session, subscription, at=at, since=since, after_seq=after_seq or 0)
    audit.record(
        session, actor, "subscription.backfill", subscription.public_id, at=at, since=since and since.isoformat(), count=count
    )
    return count


def catch_up(session: Session, subscription: Subscription, *, at: datetime) -> int:
    """Owe what `subscription` missed while it was paused, or failing before that; returns how many stories."""
    given_up = select(func.min(Delivery.event_seq)).where(
        Delivery.subscription_id == subscription.id, Delivery.state == DeliveryState.GIVEN_UP
    )
    if subscription.last_delivered_at is not None:
        given_up = given_up.where(Delivery.settled_at > subscription.last_delivered_at)
    first_lost = session.scalar(given_up)
    known = [seq for seq in (subscription.paused_after_seq, first_lost and first_lost - 1) if seq is not None]
    had = select(Delivery.story_id).where(Delivery.subscription_id == subscription.id)  # it may have left the feed meanwhile
    return owe_newest(session, subscription, at=at, after_seq=min(known), also=had) if known else 0


def owe_state(session: Session, subscription: Subscription, *, at: datetime) -> None:
    """Owe a new WebSub subscriber its topic as it stands, as one delivery: what happened between its fetch and now is in it."""
    head = _shown(subscription.feed).where(FeedEntry.archive.is_(None))
    event = session.scalars(
        select(Event).where(Event.seq.in_(_newest(head, 0))).order_by(Event.seq.desc()).limit(1)
    ).one_or_none()
    if event is None:
        return
    owed = select(Delivery).where(Delivery.subscription_id == subscription.id, of_events([event.seq]))
    delivery = session.scalars(owed).one_or_none() or Delivery(
        subscription_id=subscription.id, event_seq=event.seq, story_id=event.story_id, created_at=at
    )
    delivery.version_number, delivery.lane = event.version_number, TOPIC_LANE
    delivery.state, delivery.next_attempt_at, delivery.settled_at, delivery.attempt_count = DeliveryState.OWED, at, None, 0
    session.add(delivery)


def owe_newest(
    session: Session,
    subscription: Subscription,
    *,
    at: datetime,
    after_seq: int,
    since: datetime | None = None,
    also: Select[int] | None = None,
) -> int:
    """Owe the newest event, if it is after `after_seq`, of each story of the feed that was published since `since`, and of those
    stories `also`."""
    session.flush()
    shown = _shown(subscription.feed)
    if since is not None:
        shown = shown.where(FeedEntry.published_at >= since)
    stories = select(Story.id).where(Story.id.in_(shown) if also is None else or_(Story.id.in_(shown), Story.id.in_(also)))
    seqs = session.scalars(_newest(stories, after_seq).order_by(func.max(Event.seq).desc()).limit(AT_MOST)).all()
    count = 0
    for start in range(0, len(seqs), 1000):
        count += _owe(session, subscription, seqs[start : start + 1000], at)
    _supersede_older(session, subscription, at)
    return count


def _shown(feed: str) -> Select[int]:
    return select(FeedEntry.story_id).where(FeedEntry.feed == feed, FeedEntry.left_at.is_(None))


def _newest(stories: Select[int], after_seq: int) -> Select[int]:
    """The newest event of each of `stories`, as far as it lies after `after_seq`."""
    told = and_(Event.seq > after_seq, Event.type != EventType.EXPIRED, Event.embargoed.is_(False))
    return select(func.max(Event.seq)).where(Event.story_id.in_(stories), told).group_by(Event.story_id)


def _owe(session: Session, subscription: Subscription, seqs: Sequence[int], at: datetime) -> int:
    lane, due = (BACKFILL, at) if subscription.digest_at is None else (DIGEST_LANE, subscription.digest_at)
    again = (
        update(Delivery)
        .where(Delivery.subscription_id == subscription.id, of_events(seqs), Delivery.state.in_(MISSED))
        .values(state=DeliveryState.OWED, next_attempt_at=due, settled_at=None, attempt_count=0)
        .values(lane=case((Delivery.lane == TOPIC_LANE, TOPIC_LANE), else_=lane))
        .returning(Delivery.id)
    )
    reopened = len(session.scalars(again, execution_options=KEEP).all())
    known = select(Delivery.event_seq).where(Delivery.subscription_id == subscription.id, of_events(seqs))
    rows = {
        "subscription_id": literal(subscription.id),
        "event_seq": Event.seq,
        "story_id": Event.story_id,
        "version_number": Event.version_number,
        "state": literal(DeliveryState.OWED.value),
        "lane": literal(lane),
        "created_at": literal(at, type_=Delivery.created_at.type),
        "attempt_count": literal(0),
        "next_attempt_at": literal(due, type_=Delivery.created_at.type),
        "last_reason": literal(""),
        "claimed_by": null(),
    }
    fresh = select(*rows.values()).where(Event.seq.in_(seqs), Event.seq.not_in(known)).order_by(Event.seq)
    made = session.execute(insert(Delivery).from_select(list(rows), fresh).returning(Delivery.id)).all()
    return reopened + len(made)


def _supersede_older(session: Session, subscription: Subscription, at: datetime) -> None:
    """Settle what was kept from before and is older than what is owed now for the same story."""
    older = update(Delivery).where(
        Delivery.subscription_id == subscription.id, Delivery.state == OWED, Delivery.claimed_until.is_(None), overtaken()
    )
    superseded = {"state": DeliveryState.SUPERSEDED, "settled_at": at, "next_attempt_at": None}
    session.execute(older.values(**superseded, last_reason="superseded by a newer version"), execution_options=KEEP)
