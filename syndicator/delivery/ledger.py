"""The ledger of what is owed: claiming rows, keeping a claim alive, giving it back. All in short transactions.

A claim names its worker and lapses by itself, so a dead worker delays and never loses. Every change compares the claim, so a
worker that slept past it changes nothing. Per subscription and story one delivery is in flight, and never an older after a newer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import cast

from sqlalchemy import ColumnElement, Select, Table, Update, bindparam, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from syndicator.domain.base import UtcDateTime
from syndicator.domain.deliveries import LANE_ORDER, OWED, Delivery, DeliveryState, Lane
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.storage.queries import among, lock_rows

PER_SUBSCRIPTION = 8  # deliveries that one worker holds for one subscription at once, so that ten thousand of one starve nobody
LOOKS = 4  # how often a claim looks further when one subscription's deliveries lie in the way
IMPOSSIBLE = timedelta(minutes=10)  # no claim reaches so far
PROBE = timedelta(seconds=60)  # how long others leave a resting endpoint alone while one delivery tries it
KEEP = {"synchronize_session": False}
AT, FAR = (bindparam(name, type_=UtcDateTime()) for name in ("at", "far"))
DELIVERIES, SUBSCRIPTIONS = cast("Table", Delivery.__table__), cast("Table", Subscription.__table__)


def unclaimed(delivery: type[Delivery] = Delivery) -> ColumnElement[bool]:
    """Nobody's, or somebody's whose time is over; a claim that reaches far ahead was made under a clock set back since.

    The statement it stands in wants the parameters of `moment`.
    """
    until = delivery.claimed_until
    return or_(until.is_(None), until <= AT, until > FAR)


def moment(at: datetime) -> dict[str, datetime]:
    """The parameters that stand for the present in statements which are built once."""
    return {"at": at, "far": at + IMPOSSIBLE}


def _awake() -> ColumnElement[bool]:
    return or_(Subscription.resting_until.is_(None), Subscription.resting_until <= AT)


# What runs for each batch is built once: to build it takes as long as to run it.
DUE_AT_ALL = (
    select(Delivery.id)
    .join(Subscription, Subscription.id == Delivery.subscription_id)
    .where(
        Delivery.state == OWED,
        Delivery.lane.in_(LANE_ORDER.values()),  # named, so that each is a seek in the index
        Delivery.next_attempt_at <= AT,
        unclaimed(),
        or_(Delivery.lane == LANE_ORDER[Lane.URGENT], _awake()),
    )
)
CLAIM = (
    update(DELIVERIES)
    .where(among(Delivery.id, "ids"))
    .values(claimed_by=bindparam("worker"), claimed_until=bindparam("until", type_=UtcDateTime()))
)
SUBSCRIPTION_ROWS = select(Subscription.id).where(among(Subscription.id, "ids")).order_by(Subscription.id)
NEXT_NUMBER = update(SUBSCRIPTIONS).where(among(Subscription.id, "ids")).values(last_sequence=Subscription.last_sequence + 1)
NUMBER = (
    update(DELIVERIES)
    .where(among(Delivery.id, "ids"))
    .values(sequence=select(Subscription.last_sequence).where(Subscription.id == Delivery.subscription_id).scalar_subquery())
)


@dataclass(frozen=True, slots=True)
class Owed:
    """One row a claim may take."""

    delivery_id: int
    subscription_id: int
    numbered: bool
    probing: bool  # its endpoint's breaker is half open


class _Choice:
    """What a claim takes. `held` counts what the worker holds by subscription; who has its share is in `full`."""

    def __init__(self, held: Mapping[int, int]) -> None:
        self.held = Counter(held)
        self.full = {subscription_id for subscription_id, count in held.items() if count >= PER_SUBSCRIPTION}
        self.rows: list[Owed] = []

    def take(self, row: Owed) -> None:
        if self.held[row.subscription_id] >= (1 if row.probing else PER_SUBSCRIPTION):
            self.full.add(row.subscription_id)
            return
        self.held[row.subscription_id] += 1
        self.rows.append(row)


def count_due(session: Session, *, at: datetime, most: int = 8_000) -> int:
    """Count what is due, up to `most`."""
    return session.scalar(select(func.count()).select_from(DUE_AT_ALL.limit(most).subquery()), moment(at)) or 0


def claim_due(
    session: Session,
    *,
    worker: str,
    at: datetime,
    limit: int,
    up_to_seq: int,
    lease: timedelta,
    held: Mapping[int, int] | None = None,
) -> list[int]:
    """Mark up to `limit` due deliveries as `worker`'s until `at + lease`, urgent ones first; returns their ids.

    Only events up to `up_to_seq` are taken: those that the feed documents already show. `held` says how many deliveries the
    worker holds by subscription. What goes for the first time gets the next number of its subscription.
    """
    choice = _Choice(held or {})
    for lane in LANE_ORDER:
        _choose(session, choice, lane, at=at, limit=limit, up_to_seq=up_to_seq)
    if choice.rows:
        ids = [row.delivery_id for row in choice.rows]
        lock_subscriptions(session, {row.subscription_id for row in choice.rows})
        session.execute(CLAIM, {"ids": ids, "worker": worker, "until": at + lease})
        _number(session, [row for row in choice.rows if not row.numbered])
        probing = [row.subscription_id for row in choice.rows if row.probing]
        if probing:
            rest = update(Subscription).where(Subscription.id.in_(probing)).values(resting_until=at + PROBE)
            session.execute(rest, execution_options=KEEP)
    return [row.delivery_id for row in choice.rows]


def renew_claims(session: Session, ids: Sequence[int], *, worker: str, at: datetime, lease: timedelta) -> set[int]:
    """Keep the claims that are still `worker`'s alive; returns them. What is missing was taken by somebody else."""
    mine = _mine(ids, worker).values(claimed_until=at + lease).returning(Delivery.id)
    return set(session.scalars(mine, execution_options=KEEP))


def release(session: Session, ids: Sequence[int], *, worker: str) -> None:
    """Give claimed deliveries back unsent, as when a worker stops."""
    session.execute(_mine(ids, worker).values(claimed_by=None, claimed_until=None), execution_options=KEEP)


def release_all(session: Session, workers: Sequence[str]) -> int:
    """Give back everything that `workers`, who are dead, had claimed; returns how much."""
    theirs = update(Delivery).where(Delivery.state == OWED, Delivery.claimed_by.in_(workers))
    freed = theirs.values(claimed_by=None, claimed_until=None).returning(Delivery.id)
    return len(session.scalars(freed, execution_options=KEEP).all())


def postpone(session: Session, ids: Sequence[int], *, worker: str, until: datetime) -> None:
    """Give claimed deliveries back that were not tried, since their host had its share already."""
    later = _mine(ids, worker).values(claimed_by=None, claimed_until=None, next_attempt_at=until)
    session.execute(later, execution_options=KEEP)


def park(session: Session, ids: Sequence[int], *, worker: str) -> None:
    """Give claimed deliveries back that wait until their subscription is resumed. One that has been meanwhile is due at once."""
    if not ids:
        return
    ours = select(Delivery.id, Delivery.subscription_id).where(
        Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker
    )
    rows = session.execute(ours.order_by(Delivery.id).with_for_update()).all()
    lock_subscriptions(session, {row.subscription_id for row in rows})
    paused = select(Subscription.id).where(Subscription.state == SubscriptionState.PAUSED)
    waits = _mine(ids, worker).where(Delivery.subscription_id.in_(paused)).values(next_attempt_at=None)
    session.execute(waits, execution_options=KEEP)
    release(session, ids, worker=worker)


def cancel(session: Session, reasons: Mapping[int, str], *, worker: str, at: datetime) -> None:
    """Settle claimed deliveries that may not be sent any more, each with its reason."""
    for reason in set(reasons.values()):
        ids = [delivery_id for delivery_id, why in reasons.items() if why == reason]
        settled = _mine(ids, worker).values(
            state=DeliveryState.CANCELLED,
            settled_at=at,
            next_attempt_at=None,
            claimed_by=None,
            claimed_until=None,
            last_reason=reason[:200],
        )
        session.execute(settled, execution_options=KEEP)


def owed_summary(session: Session) -> tuple[int, datetime | None]:
    """Return how many deliveries are owed, and since when the oldest is."""
    count, oldest = session.execute(select(func.count(), func.min(Delivery.created_at)).where(Delivery.state == OWED)).one()
    return count, oldest


def _choose(session: Session, choice: _Choice, lane: Lane, *, at: datetime, limit: int, up_to_seq: int) -> None:
    """Add due deliveries of `lane` to `choice`, oldest first, looking beyond those whose subscription has its share."""
    for _ in range(LOOKS):
        room = limit - len(choice.rows)
        if room <= 0:
            return
        past = {"taken": [row.delivery_id for row in choice.rows], "full": choice.full, "room": room, "up_to_seq": up_to_seq}
        found = session.execute(_due(lane), past | moment(at)).all()
        before = len(choice.rows)
        for delivery_id, subscription_id, sequence, resting_until in found:
            probing = resting_until is not None and lane is not Lane.URGENT
            choice.take(Owed(delivery_id, subscription_id, sequence is not None, probing))
        if len(found) < room or len(choice.rows) - before == len(found):
            return


@cache
def _due(lane: Lane) -> Select[int, int, int | None, datetime | None]:
    """What may be sent now, beyond what is taken. An endpoint that rests is left alone, except for what is urgent."""
    other = aliased(Delivery)
    blocked = (
        select(other.id)
        .where(
            other.story_id == Delivery.story_id,
            other.subscription_id == Delivery.subscription_id,
            other.id != Delivery.id,
            other.state == OWED,
            or_(other.event_seq > Delivery.event_seq, ~unclaimed(other)),
        )
        .exists()
    )
    wanted = (
        select(Delivery.id, Delivery.subscription_id, Delivery.sequence, Subscription.resting_until)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .where(
            Delivery.state == OWED,
            Delivery.lane == LANE_ORDER[lane],
            Delivery.next_attempt_at <= AT,
            unclaimed(),
            Delivery.event_seq <= bindparam("up_to_seq"),
            ~among(Delivery.id, "taken"),
            ~among(Delivery.subscription_id, "full"),
            ~blocked,
        )
        .order_by(Delivery.next_attempt_at, Delivery.event_seq)
        .limit(bindparam("room"))
        .with_for_update(of=Delivery, skip_locked=True)
    )
    if lane is Lane.URGENT:
        return wanted
    return wanted.where(_awake())


def _number(session: Session, rows: list[Owed]) -> None:
    """Give each delivery the next number of its subscription, whose rows are locked; without gaps, in the order of `rows`."""
    for layer in _layers(rows):
        session.execute(NEXT_NUMBER, {"ids": [row.subscription_id for row in layer]})
        session.execute(NUMBER, {"ids": [row.delivery_id for row in layer]})


def _layers(rows: list[Owed]) -> Iterator[list[Owed]]:
    """Yield the first of each subscription, then the second of each that has one, and so on."""
    while rows:
        layer = list({row.subscription_id: row for row in reversed(rows)}.values())
        yield layer
        taken = {row.delivery_id for row in layer}
        rows = [row for row in rows if row.delivery_id not in taken]


def lock_subscriptions(session: Session, ids: Collection[int]) -> None:
    """Lock in one order, so that two workers do not wait for each other."""
    lock_rows(session, SUBSCRIPTION_ROWS, {"ids": ids})


def _mine(ids: Sequence[int], worker: str) -> Update:
    return update(Delivery).where(Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker)
