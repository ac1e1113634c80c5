"""The ledger of what is owed: claiming rows, keeping a claim alive, settling them. All in short transactions.

A claim names its worker and lapses by itself, so a dead worker delays and never loses. Every settling compares the claim, so a
worker that slept past it changes nothing. Per subscription and story one delivery is in flight, and never an older after a newer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from syndicator.channels import Accepted, Answer, Deferred, Outcome, Refused
from syndicator.domain.deliveries import OWED, Attempt, Delivery, DeliveryState, next_attempt_at
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.operations.subscriptions import cancel_owed, reschedule_owed

KEPT_OF_ANSWER = 2000


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt's end."""

    delivery_id: int
    outcome: Outcome
    answer: Answer


def anything_due(session: Session, *, at: datetime) -> bool:
    """Say whether a claim would find something; a read, so that an idle worker takes no write lock."""
    due = select(Delivery.id).where(Delivery.state == OWED, Delivery.next_attempt_at <= at, _unclaimed(at)).limit(1)
    return session.scalar(due) is not None


def count_due(session: Session, *, at: datetime, most: int = 8_000) -> int:
    """Count what is due, up to `most`."""
    due = select(Delivery.id).where(Delivery.state == OWED, Delivery.next_attempt_at <= at, _unclaimed(at)).limit(most)
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0


def claim_due(session: Session, *, worker: str, at: datetime, limit: int, up_to_seq: int, lease: timedelta) -> Sequence[int]:
    """Mark up to `limit` due deliveries as `worker`'s until `at + lease`, urgent ones first; returns their ids.

    Only events up to `up_to_seq` are taken: those that the feed documents already show.
    """
    other = aliased(Delivery)
    blocked = (
        select(other.id)
        .where(
            other.story_id == Delivery.story_id,
            other.subscription_id == Delivery.subscription_id,
            other.id != Delivery.id,
            other.state == OWED,
            or_(other.event_seq > Delivery.event_seq, other.claimed_until > at),
        )
        .exists()
    )
    due = (
        select(Delivery.id)
        .where(
            Delivery.state == OWED,
            Delivery.next_attempt_at <= at,
            _unclaimed(at),
            Delivery.event_seq <= up_to_seq,
            ~blocked,
        )
        .order_by(Delivery.lane, Delivery.next_attempt_at)
        .limit(limit)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    ids = session.scalars(due).all()
    if ids:
        mine = update(Delivery).where(Delivery.id.in_(ids)).values(claimed_by=worker, claimed_until=at + lease)
        session.execute(mine.execution_options(synchronize_session=False))
    return ids


def renew_claims(session: Session, ids: Sequence[int], *, worker: str, at: datetime, lease: timedelta) -> set[int]:
    """Keep the claims that are still `worker`'s alive; returns them. What is missing was taken by somebody else."""
    mine = (
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker)
        .values(claimed_until=at + lease)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return set(session.scalars(mine))


def release(session: Session, ids: Sequence[int], *, worker: str) -> None:
    """Give claimed deliveries back unsent, as when a worker stops."""
    mine = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker)
    session.execute(mine.values(claimed_by=None, claimed_until=None).execution_options(synchronize_session=False))


def release_all(session: Session, workers: Sequence[str]) -> int:
    """Give back everything that `workers`, who are dead, had claimed; returns how much."""
    theirs = update(Delivery).where(Delivery.state == OWED, Delivery.claimed_by.in_(workers))
    freed = theirs.values(claimed_by=None, claimed_until=None).returning(Delivery.id)
    return len(session.scalars(freed.execution_options(synchronize_session=False)).all())


def postpone(session: Session, ids: Sequence[int], *, worker: str, until: datetime) -> None:
    """Give claimed deliveries back that were not tried, since their host had its share already."""
    mine = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker)
    later = mine.values(claimed_by=None, claimed_until=None, next_attempt_at=until)
    session.execute(later.execution_options(synchronize_session=False))


def settle(
    session: Session,
    results: Sequence[Result],
    *,
    worker: str,
    at: datetime,
    schedule_seconds: Sequence[int],
    spread: Mapping[int, float],
    disable_after: timedelta,
) -> list[Delivery]:
    """Record each attempt and what follows from it; returns the deliveries that were given up.

    `spread` gives each delivery's chance number in [0, 1). A result whose claim was lost meanwhile changes nothing.
    """
    ours = select(Delivery).where(
        Delivery.id.in_([result.delivery_id for result in results]), Delivery.state == OWED, Delivery.claimed_by == worker
    )
    rows = {row.id: row for row in session.scalars(ours.order_by(Delivery.id).with_for_update())}
    subscriptions = _subscriptions(session, {row.subscription_id for row in rows.values()})
    attempts = []
    for result in results:
        row = rows.get(result.delivery_id)
        if row is None:
            continue
        attempts.append(_attempt(result, at))
        _apply(row, result.outcome, at, schedule_seconds, spread.get(row.id, 0.0))
        _judge_endpoint(session, subscriptions[row.subscription_id], row, result.outcome, at, disable_after)
    if attempts:
        session.execute(insert(Attempt), attempts)
    session.flush()
    _drop_overtaken(session, list(rows.values()), at)
    return [row for row in rows.values() if row.state is DeliveryState.GIVEN_UP]


def cancel(session: Session, reasons: Mapping[int, str], *, worker: str, at: datetime) -> None:
    """Settle claimed deliveries that may not be sent any more, each with its reason."""
    for delivery_id, reason in reasons.items():
        session.execute(
            update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state == OWED, Delivery.claimed_by == worker)
            .values(
                state=DeliveryState.CANCELLED, settled_at=at, next_attempt_at=None, claimed_by=None, claimed_until=None,
                last_reason=reason,
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip


def owed_summary(session: Session) -> tuple[int, datetime | None]:
    """Return how many deliveries are owed, and since when the oldest is."""
    count, oldest = session.execute(select(func.count(), func.min(Delivery.created_at)).where(Delivery.state == OWED)).one()
    return count, oldest


def _unclaimed(at: datetime):  # type: ignore[no-untyped-def]  # SQLAlchemy's own name for this type is longer than the line
    return or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= at)


def _subscriptions(session: Session, ids: set[int]) -> dict[int, Subscription]:
    wanted = select(Subscription).where(Subscription.id.in_(ids)).order_by(Subscription.id).with_for_update()
    return {subscription.id: subscription for subscription in session.scalars(wanted)}


def _attempt(result: Result, at: datetime) -> dict[str, object]:
    match result.outcome:
        case Accepted():
            word, reason = "accepted", ""
        case Deferred(reason=reason):
            word = "deferred"
        case Refused(reason=reason):
            word = "refused"
    return {
        "delivery_id": result.delivery_id,
        "at": at,
        "outcome": word,
        "reason": reason,
        "status": result.answer.status or None,
        "duration_ms": result.answer.duration_ms,
        "answer": result.answer.body[:KEPT_OF_ANSWER].decode("utf-8", "replace").replace("\x00", ""),
    }


def _apply(row: Delivery, outcome: Outcome, at: datetime, schedule_seconds: Sequence[int], spread: float) -> None:
    """Move `row` to where `outcome` leads."""
    row.claimed_by = row.claimed_until = None
    row.attempt_count += 1
    match outcome:
        case Accepted():
            row.state, row.settled_at, row.next_attempt_at, row.last_reason = DeliveryState.DELIVERED, at, None, ""
        case Refused(reason=reason):
            row.state, row.settled_at, row.next_attempt_at, row.last_reason = DeliveryState.GIVEN_UP, at, None, reason
        case Deferred(reason=reason, retry_after_seconds=wait):
            again = next_attempt_at(schedule_seconds, row.attempt_count, at, spread)
            row.last_reason = reason
            if again is None:
                row.state, row.settled_at, row.next_attempt_at = DeliveryState.GIVEN_UP, at, None
            else:
                asked = at + timedelta(seconds=wait * (1 + spread / 5)) if wait else at
                row.next_attempt_at = max(again, asked)


def _judge_endpoint(
    session: Session, subscription: Subscription, row: Delivery, outcome: Outcome, at: datetime, disable_after: timedelta
) -> None:
    """Note how the endpoint fares: a success clears its record, days of nothing but failure pause it, "gone" ends it.

    A WebSub subscriber is kept until its lease ends, however it fails (WebSub 7).
    """
    match outcome:
        case Accepted():
            subscription.failing_since, subscription.last_delivered_at = None, at
        case Refused(ends_subscription=True, reason=reason):
            subscription.state, subscription.state_reason = SubscriptionState.ENDED, f"the endpoint answered: {reason}"
            session.flush()
            cancel_owed(session, subscription.id, "the subscription has ended", at=at)
        case _:
            subscription.failing_since = subscription.failing_since or at
            failing_long = at - subscription.failing_since >= disable_after
            lasting = subscription.channel is not ChannelKind.WEBSUB and subscription.state is SubscriptionState.ACTIVE
            if failing_long and lasting:
                subscription.state = SubscriptionState.PAUSED
                subscription.state_reason = f"nothing but failure since {subscription.failing_since:%Y-%m-%d}: {row.last_reason}"
                session.flush()
                reschedule_owed(session, subscription.id, None)


def _drop_overtaken(session: Session, rows: list[Delivery], at: datetime) -> None:
    """Supersede what was in flight, or lapsed, while something newer for the same story and subscription came to be owed."""
    newer = aliased(Delivery)
    overtaken = (
        select(newer.id)
        .where(
            newer.subscription_id == Delivery.subscription_id,
            newer.story_id == Delivery.story_id,
            newer.event_seq > Delivery.event_seq,
        )
        .exists()
    )
    session.execute(
        update(Delivery)
        .where(Delivery.story_id.in_({row.story_id for row in rows}), Delivery.state == OWED, _unclaimed(at), overtaken)
        .values(state=DeliveryState.SUPERSEDED, settled_at=at, next_attempt_at=None, last_reason="superseded by a newer version")
        .execution_options(synchronize_session=False)
    )
