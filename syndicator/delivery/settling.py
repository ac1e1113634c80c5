"""Settling: what an attempt's outcome means for the delivery, for its endpoint, and for whom it has to be told.

An endpoint that fails RESTS_AFTER times in a row is left alone for a while, longer each time, then tried with one delivery (a
circuit breaker); its state is in the subscription's row, where every worker sees it. What succeeds is settled in bulk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session, joinedload

from syndicator.channels import Accepted, Answer, Deferred, Outcome, Refused
from syndicator.delivery.ledger import AT, DELIVERIES, KEEP, SUBSCRIPTIONS, lock_subscriptions, moment, unclaimed
from syndicator.domain.deliveries import LANE_ORDER, OWED, Attempt, Delivery, DeliveryState, Lane, next_attempt_at, spread_out
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Told
from syndicator.house import House
from syndicator.operations.endpoints import pause_failing, tell_owner
from syndicator.operations.subscriptions import cancel_owed
from syndicator.storage.queries import among, overtaken

KEPT_OF_ANSWER = 2000
KEPT_HEADERS, KEPT_OF_HEADER = 20, 200
MASKED_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization", "www-authenticate", "x-api-key"})
RESTS_AFTER = 8
FIRST_REST, LONGEST_REST = timedelta(seconds=30), timedelta(minutes=15)
TELL_AFTER_TRIES = 4
SHORTEST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=15)  # until we try again what failed for a reason of ours
ATTEMPTS = cast("Table", Attempt.__table__)  # many rows are written, and none of them needed as an object
# Run for every batch, so built once: to build one takes as long as to run it.
HELD = (
    select(Delivery.id, Delivery.subscription_id, Delivery.story_id)
    .where(among(Delivery.id, "ids"), Delivery.state == OWED, Delivery.claimed_by == bindparam("worker"))
    .order_by(Delivery.id)
    .with_for_update()
)
DELIVER = (
    update(DELIVERIES)
    .where(among(Delivery.id, "ids"))
    .values(
        state=DeliveryState.DELIVERED,
        settled_at=AT,
        next_attempt_at=None,
        last_reason="",
        claimed_by=None,
        claimed_until=None,
        attempt_count=Delivery.attempt_count + 1,
    )
)
ACTIVE = Subscription.state == SubscriptionState.ACTIVE
AILING = select(Subscription).where(
    among(Subscription.id, "ids"), ACTIVE, or_(Subscription.told != Told.NOTHING, Subscription.resting_until.is_not(None))
)
CLEAR = (
    update(SUBSCRIPTIONS)
    .where(among(Subscription.id, "ids"), ACTIVE)
    .values(last_delivered_at=AT, failing_since=None, failures_in_row=0, resting_until=None)
)
DROP_OVERTAKEN = (
    update(DELIVERIES)
    .where(
        among(Delivery.story_id, "stories"),
        among(Delivery.subscription_id, "ids"),
        Delivery.state == OWED,
        unclaimed(),
        overtaken(),
    )
    .values(
        state=DeliveryState.SUPERSEDED,
        settled_at=AT,
        next_attempt_at=None,
        last_reason="superseded by a newer version",
    )
)
PATIENT = [LANE_ORDER[lane] for lane in (Lane.ORDINARY, Lane.BACKFILL, Lane.TOPIC)]  # the lanes that wait while an endpoint rests


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt's end."""

    delivery_id: int
    outcome: Outcome
    answer: Answer


def settle(
    session: Session, house: House, results: Sequence[Result], *, worker: str, at: datetime, spread: Mapping[int, float]
) -> list[Delivery]:
    """Record each attempt and what follows from it; returns the deliveries that were given up.

    `spread` gives each delivery's chance number in [0, 1). A result whose claim was lost meanwhile changes nothing.
    """
    mine = {"ids": [result.delivery_id for result in results], "worker": worker}
    places = {row.id: row for row in session.execute(HELD, mine)}
    held = [result for result in results if result.delivery_id in places]
    if not held:
        return []
    touched = {row.subscription_id for row in places.values()}
    lock_subscriptions(session, touched)
    session.execute(insert(ATTEMPTS), [_attempt(result, at) for result in held])
    accepted = [result.delivery_id for result in held if isinstance(result.outcome, Accepted)]
    _accept(session, house, accepted, {places[delivery_id].subscription_id for delivery_id in accepted}, at)
    failed = {result.delivery_id: result.outcome for result in held if not isinstance(result.outcome, Accepted)}
    rows = _rows(session, failed)
    for delivery_id, outcome in failed.items():
        row, chance = rows[delivery_id], spread.get(delivery_id, 0.0)
        _apply(row, outcome, at, house.config.push.retry_schedule_seconds, chance)
        if row.subscription.state is SubscriptionState.PAUSED and not row.event.type.withdraws:
            row.next_attempt_at = None  # until it is resumed
        _judge_endpoint(session, house, row.subscription, row, outcome, at, chance)
    session.flush()
    for subscription in {row.subscription for row in rows.values()}:
        _put_off(session, subscription, at)
    _drop_overtaken(session, {row.story_id for row in places.values()}, touched, at)
    return [row for row in rows.values() if row.state is DeliveryState.GIVEN_UP]


def rest_after(failures: int, spread: float) -> timedelta | None:
    """Return how long an endpoint that failed so often in a row is left alone, None while that is not often enough."""
    if failures < RESTS_AFTER:
        return None
    doublings = min(failures - RESTS_AFTER, 10)
    return spread_out(min(FIRST_REST * float(2**doublings), LONGEST_REST).total_seconds(), spread)


def _rows(session: Session, ids: Collection[int]) -> dict[int, Delivery]:
    if not ids:
        return {}
    wanted = select(Delivery).where(Delivery.id.in_(ids)).options(joinedload(Delivery.subscription), joinedload(Delivery.event))
    return {row.id: row for row in session.scalars(wanted)}


def _attempt(result: Result, at: datetime) -> dict[str, object]:
    match result.outcome:
        case Accepted():
            word, reason = "accepted", ""
        case Deferred(reason=reason):
            word = "deferred"
        case Refused(reason=reason):
            word = "refused"
    answer = result.answer
    return {
        "delivery_id": result.delivery_id,
        "at": at,
        "outcome": word,
        "reason": reason[:200],
        "status": answer.status or None,
        "duration_ms": answer.duration_ms,
        "headers": {
            storable(name)[:60]: "…" if name in MASKED_HEADERS else storable(value)[:KEPT_OF_HEADER]
            for name, value in list(answer.headers.items())[:KEPT_HEADERS]
        },
        "answer": storable(answer.body[:KEPT_OF_ANSWER].decode("utf-8", "replace")),
    }


def storable(text: str) -> str:
    """PostgreSQL takes no NUL in text."""
    return text.replace("\x00", "")


def _accept(session: Session, house: House, ids: list[int], working: set[int], at: datetime) -> None:
    """Settle what was delivered, and clear the record of the subscriptions `working`, whose endpoints took it.

    A kill that reaches one that is paused clears nothing: it has to be resumed still, and then what was given up before is owed.
    Most deliveries end here, so no object is made of any of them.
    """
    if not ids:
        return
    session.execute(DELIVER, {"ids": ids, "at": at})
    recovered = session.scalars(AILING, {"ids": working}).all()
    for subscription in recovered:
        if subscription.told is not Told.NOTHING and subscription.failing_since is not None:
            tell_owner(session, house, subscription, Told.NOTHING, "", at=at)
        subscription.told = Told.NOTHING  # also of a delivery that was refused alone, while the endpoint worked all the time
    session.flush()
    awake = [subscription.id for subscription in recovered if subscription.resting_until is not None]
    if awake:  # what was put off while it rested goes now
        owed = update(Delivery).where(Delivery.subscription_id.in_(awake), Delivery.state == OWED, Delivery.lane.in_(PATIENT))
        session.execute(owed.where(Delivery.next_attempt_at > at).values(next_attempt_at=at), execution_options=KEEP)
    session.execute(CLEAR, {"ids": working, "at": at})
    session.expire_all()


def _apply(row: Delivery, outcome: Outcome, at: datetime, schedule_seconds: Sequence[int], spread: float) -> None:
    """Move `row` to where a failure leads."""
    row.claimed_by = row.claimed_until = None
    if isinstance(outcome, Deferred) and outcome.ours:
        rest = min(max((at - row.created_at) / 2, SHORTEST_WAIT), LONGEST_WAIT)
        row.last_reason, row.next_attempt_at = outcome.reason[:200], at + spread_out(rest.total_seconds(), spread)
        return
    row.attempt_count += 1
    if isinstance(outcome, Refused):
        row.state, row.settled_at, row.next_attempt_at, row.last_reason = DeliveryState.GIVEN_UP, at, None, outcome.reason[:200]
    elif isinstance(outcome, Deferred):
        again = next_attempt_at(schedule_seconds, row.attempt_count, at, spread)
        row.last_reason = outcome.reason[:200]
        if again is None:
            row.state, row.settled_at, row.next_attempt_at = DeliveryState.GIVEN_UP, at, None
        else:
            wait = outcome.retry_after_seconds
            row.next_attempt_at = max(again, at + spread_out(wait, spread)) if wait else again


def _judge_endpoint(
    session: Session,
    house: House,
    subscription: Subscription,
    row: Delivery,
    outcome: Outcome,
    at: datetime,
    spread: float,
) -> None:
    """Note that the endpoint failed: it rests when it has failed often, is paused after days of nothing else, "gone" ends it.

    A WebSub subscriber is kept until its lease ends, however it fails (WebSub 7).
    """
    if isinstance(outcome, Refused) and outcome.ends_subscription:
        subscription.state, subscription.state_reason = SubscriptionState.ENDED, f"the endpoint answered: {outcome.reason}"
        session.flush()
        cancel_owed(session, subscription.id, "the subscription has ended", at=at)
        tell_owner(session, house, subscription, Told.ENDED, outcome.reason, at=at)
        return
    if isinstance(outcome, Refused):  # of this delivery alone; the endpoint works
        tell_owner(session, house, subscription, Told.GIVEN_UP, outcome.reason, at=at)
        return
    if isinstance(outcome, Deferred) and outcome.ours:
        return
    subscription.failing_since = subscription.failing_since or at
    subscription.failures_in_row += 1
    rests = [rest_after(subscription.failures_in_row, spread)]
    if isinstance(outcome, Deferred) and outcome.throttled:
        rests.append(timedelta(seconds=outcome.retry_after_seconds or 0))
    rest = max((rest for rest in rests if rest is not None), default=None)
    if rest is not None:
        subscription.resting_until = max(at + rest, subscription.resting_until or at)
    if subscription.channel is ChannelKind.WEBSUB:
        return
    needs_person = isinstance(outcome, Deferred) and outcome.needs_person
    if subscription.state is SubscriptionState.ACTIVE and (needs_person or _failing_long(subscription, house, at)):
        since = f"nothing but failure since {subscription.failing_since:%Y-%m-%d}: "
        pause_failing(session, subscription, row.last_reason if needs_person else since + row.last_reason)
        tell_owner(session, house, subscription, Told.PAUSED, row.last_reason, at=at)
    elif row.state is DeliveryState.GIVEN_UP:
        tell_owner(session, house, subscription, Told.GIVEN_UP, row.last_reason, at=at)
    elif row.attempt_count >= TELL_AFTER_TRIES:
        tell_owner(session, house, subscription, Told.FAILING, row.last_reason, at=at)


def _failing_long(subscription: Subscription, house: House, at: datetime) -> bool:
    limit = timedelta(days=house.config.push.disable_after_days)
    return subscription.failing_since is not None and at - subscription.failing_since >= limit


def _put_off(session: Session, subscription: Subscription, at: datetime) -> None:
    """Make what is owed to an endpoint that rests due when it has rested, so that no claim has to look past it."""
    until = subscription.resting_until
    if until is not None and until > at:
        waits = update(Delivery).where(
            Delivery.subscription_id == subscription.id, Delivery.state == OWED, Delivery.lane.in_(PATIENT)
        )
        waits = waits.where(Delivery.next_attempt_at < until, unclaimed())
        session.execute(waits.values(next_attempt_at=until), moment(at), execution_options=KEEP)


def _drop_overtaken(session: Session, stories: set[int], subscriptions: set[int], at: datetime) -> None:
    """Supersede what was in flight, or lapsed, while something newer for the same story and subscription came to be owed."""
    session.execute(DROP_OVERTAKEN, {"stories": stories, "ids": subscriptions} | moment(at))
