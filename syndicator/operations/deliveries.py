"""Looking at deliveries, and sending one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload

from syndicator.domain.deliveries import GIVEN_UP, LANE_ORDER, OWED, Attempt, Delivery, DeliveryState, Lane
from syndicator.domain.stories import Event, EventType, Story, StoryVersion
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.errors import Conflict, NotFound
from syndicator.operations import audit
from syndicator.storage.queries import of_events

REPLAYED_AT_ONCE = 10_000
RECENT = 200
ORDINARY, BACKFILL = LANE_ORDER[Lane.ORDINARY], LANE_ORDER[Lane.BACKFILL]
NEWER = "a newer version of the story has been sent or is owed; replay that one"
_STORY = joinedload(Delivery.event).joinedload(Event.story)
WHOLE = (joinedload(Delivery.subscription), _STORY)
SHOWN = (  # to people, who know stories by their headlines
    joinedload(Delivery.subscription).joinedload(Subscription.publisher),
    _STORY.joinedload(Story.current).load_only(StoryVersion.headline),
)


def deliveries_of(
    session: Session,
    publisher_id: int | None,
    *,
    before_id: int,
    limit: int,
    subscription_id: int | None = None,
    state: DeliveryState | None = None,
    story: str | None = None,
) -> Sequence[Delivery]:
    """Return the newest deliveries before `before_id`, of one publisher or, with None, of all; `story` is an id or uri."""
    wanted = select(Delivery).where(Delivery.id < before_id).order_by(Delivery.id.desc()).limit(limit).options(*SHOWN)
    if subscription_id is not None:
        wanted = wanted.where(Delivery.subscription_id == subscription_id)
    if state is not None:
        wanted = wanted.where(Delivery.state == (GIVEN_UP if state is DeliveryState.GIVEN_UP else state))
    if story is not None:
        meant = select(Story.id).where(or_(Story.public_id == story, Story.uri == story)).scalar_subquery()
        wanted = wanted.where(Delivery.story_id == meant)
    if publisher_id is not None:
        mine = select(Subscription.id).where(Subscription.publisher_id == publisher_id)
        wanted = wanted.where(Delivery.subscription_id.in_(mine))
    return session.scalars(wanted).all()


def get_delivery(session: Session, uid: str, publisher_id: int | None = None) -> Delivery:
    """Return the delivery that receivers know as `uid`; with `publisher_id`, only if it is that publisher's."""
    _, _, tail = uid.partition("dlv_")
    subscription_id, _, seq = tail.rpartition("_")
    wanted = (
        select(Delivery)
        .join(Delivery.subscription)
        .where(
            Subscription.public_id == f"sub_{subscription_id}",
            of_events([int(seq)] if seq.isascii() and seq.isdigit() and len(seq) < 10 else []),
        )
        .options(*SHOWN)
    )
    if publisher_id is not None:
        wanted = wanted.where(Subscription.publisher_id == publisher_id)
    delivery = session.scalars(wanted).one_or_none()
    if delivery is None:
        raise NotFound(f"there is no delivery {uid!r}")
    return delivery


def attempts_of(session: Session, delivery_id: int, limit: int = 50) -> Sequence[Attempt]:
    """Return the newest attempts first."""
    wanted = select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.id.desc()).limit(limit)
    return session.scalars(wanted).all()


def last_attempts(session: Session, subscription: Subscription, limit: int = 50) -> Sequence[tuple[Attempt, Delivery]]:
    """Return the newest attempts at the endpoint, newest first, each with what it was of. Looked for are those of its newest
    deliveries, RECENT of them and all that are owed, so that no attempt of years is looked through."""
    mine = select(Delivery.id).where(Delivery.subscription_id == subscription.id)
    newest = mine.order_by(Delivery.id.desc()).limit(RECENT)
    wanted = select(Attempt, Delivery).join(Delivery, Delivery.id == Attempt.delivery_id)
    wanted = wanted.where(or_(Delivery.id.in_(newest), Delivery.id.in_(mine.where(Delivery.state == OWED))))
    wanted = wanted.order_by(Attempt.id.desc()).limit(limit).options(joinedload(Delivery.subscription), _STORY)
    return [(attempt, delivery) for attempt, delivery in session.execute(wanted)]


def replay(session: Session, delivery: Delivery, *, actor: str, at: datetime) -> None:
    """Owe a settled delivery again, with the same id. Raises Conflict as _owe_again does."""
    _owe_again(session, delivery, at)
    audit.record(session, actor, "delivery.replay", delivery.subscription.public_id, at=at, seq=delivery.event_seq)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of many at once: how many are owed again, and how many cannot be, by reason."""

    owed: int
    refused: dict[str, int]

    @property
    def words(self) -> str:
        parts = [f"{self.owed} are on their way again"] + [f"{count} are not: {why}" for why, count in self.refused.items()]
        return "; ".join(parts) + "."


def replay_given_up(session: Session, *, since: datetime, subscription_id: int | None, actor: str, at: datetime) -> Replayed:
    """Owe again what was given up since `since`, and say why the rest cannot be: for after an outage."""
    owed = replay_many(session, None, actor=actor, at=at, subscription_id=subscription_id, since=since)
    left = (
        select(Subscription.state, func.count())
        .select_from(Delivery)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .where(Delivery.state == GIVEN_UP, Delivery.settled_at >= since)
        .group_by(Subscription.state)
    )
    if subscription_id is not None:
        left = left.where(Delivery.subscription_id == subscription_id)
    refused = {NEWER if state is SubscriptionState.ACTIVE else not_active(state): count for state, count in session.execute(left)}
    return Replayed(owed, refused)


def not_active(state: SubscriptionState) -> str:
    """Say why nothing more is sent to a subscription of this state."""
    return "its subscription has ended" if state is SubscriptionState.ENDED else "its subscription is paused; resume it first"


def _owe_again(session: Session, delivery: Delivery, at: datetime) -> None:
    """Owe a settled delivery again. Raises Conflict while it is owed, when its subscription is not active, or
    when something newer about the story has been owed since: an older version is never sent after a newer one.
    """
    if delivery.state is DeliveryState.OWED:
        raise Conflict("this delivery is still owed; it will be sent by itself")
    if delivery.subscription.state is not SubscriptionState.ACTIVE:
        raise Conflict(not_active(delivery.subscription.state))
    newer = select(Delivery.id).where(
        Delivery.subscription_id == delivery.subscription_id,
        Delivery.story_id == delivery.story_id,
        Delivery.event_seq > delivery.event_seq,
    )
    if session.scalar(newer.limit(1)) is not None and delivery.event.type is not EventType.KILLED:
        raise Conflict(NEWER)
    delivery.state, delivery.next_attempt_at, delivery.settled_at = DeliveryState.OWED, at, None
    delivery.attempt_count, delivery.last_reason = 0, "replayed"


def replay_many(
    session: Session,
    publisher_id: int | None,
    *,
    actor: str,
    at: datetime,
    subscription_id: int | None = None,
    state: DeliveryState = DeliveryState.GIVEN_UP,
    since: datetime | None = None,
) -> int:
    """Owe again, with the same ids, what ended in `state` since `since`; returns how many, REPLAYED_AT_ONCE of the newest.

    Left out is what `replay` would refuse: versions that are not the newest their subscription was owed, subscriptions that are
    not active. They go behind ordinary traffic, so that new stories do not wait for them.
    """
    if state is DeliveryState.OWED:
        raise Conflict("what is owed will be sent by itself")
    newer = aliased(Delivery)
    overtaken = select(newer.id).where(
        newer.subscription_id == Delivery.subscription_id,
        newer.story_id == Delivery.story_id,
        newer.event_seq > Delivery.event_seq,
    )
    wanted = (
        select(Delivery.id)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .where(
            Delivery.state == (GIVEN_UP if state is DeliveryState.GIVEN_UP else state),
            Subscription.state == SubscriptionState.ACTIVE,
            ~overtaken.exists(),
        )
        .order_by(Delivery.id.desc())
        .limit(REPLAYED_AT_ONCE)
    )
    if publisher_id is not None:
        wanted = wanted.where(Subscription.publisher_id == publisher_id)
    if subscription_id is not None:
        wanted = wanted.where(Delivery.subscription_id == subscription_id)
    if since is not None:
        wanted = wanted.where(Delivery.settled_at >= since)
    owed = {"state": DeliveryState.OWED, "next_attempt_at": at, "settled_at": None, "attempt_count": 0, "last_reason": "replayed"}
    again = (
        update(Delivery)
        .where(Delivery.id.in_(wanted))
        .values(**owed, lane=case((Delivery.lane == ORDINARY, BACKFILL), else_=Delivery.lane))
    )
    replayed = session.scalars(again.returning(Delivery.id), execution_options={"synchronize_session": False}).all()
    audit.record(
        session, actor, "delivery.replay-many", str(subscription_id or "all"), at=at, state=state.value, count=len(replayed)
    )
    return len(replayed)
