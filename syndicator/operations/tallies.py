"""Tallies: numbers that every process adds to and that /metrics reads; and the state of deliveries, counted when asked.

Each process keeps its own counts and adds them now and then in one small transaction, so that counting costs no attempt anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from syndicator.domain.deliveries import DIGEST_LANE, GIVEN_UP, OWED, Delivery, Tally
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.domain.tallies import DailyTally
from syndicator.storage.queries import insert_into

POLLS, PUBLISHER_POLLS = "polls", "publisher_polls"  # daily: by feed, and of private feeds by publisher
BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


def add_tallies(session: Session, counts: Mapping[tuple[str, str], float]) -> None:
    """Add `counts`, by name and labels, to what is there."""
    for (name, labels), count in sorted(counts.items()):  # in one order, so that two processes do not wait for each other
        row = insert_into(session, Tally).values(name=name, labels=labels, value=count)
        session.execute(row.on_conflict_do_update(index_elements=["name", "labels"], set_={"value": Tally.value + count}))


def add_daily(session: Session, day: date, counts: Mapping[tuple[str, str], int]) -> None:
    """Add `counts`, by name and label, to the sums of `day`."""
    for (name, label), count in sorted(counts.items()):
        row = insert_into(session, DailyTally).values(day=day.isoformat(), name=name, label=label, value=count)
        added = {"value": DailyTally.value + count}
        session.execute(row.on_conflict_do_update(index_elements=["day", "name", "label"], set_=added))


def read_tallies(session: Session, name: str) -> dict[tuple[str, ...], float]:
    """Return the counts called `name` by their labels."""
    found = session.execute(select(Tally.labels, Tally.value).where(Tally.name == name).order_by(Tally.labels).limit(5000))
    return {tuple(labels.split("/")): value for labels, value in found}


def attempt_counts(channel: str, outcome: str, seconds: float) -> dict[tuple[str, str], float]:
    """Return what one attempt adds: itself, its seconds, and itself in the first bucket that is wide enough."""
    bucket = next((f"{limit:g}" for limit in BUCKETS_SECONDS if seconds <= limit), "+Inf")
    return {
        ("attempts", f"{channel}/{outcome}"): 1,
        ("attempt_seconds", channel): seconds,
        ("attempt_buckets", f"{channel}/{bucket}"): 1,
    }


def delivery_states(session: Session, *, at: datetime) -> dict[str, float]:
    """Count what is owed, in flight and given up, how long the oldest has been owed, and endpoints that rest. Only indexes of
    what is not finished are read.

    What waits for a subscription to be resumed is not counted; a kill, which does not wait for that, is. The oldest is none that
    waits for the hour of a digest. An endpoint that is sent nothing any more has no breaker.
    """
    on_time = and_(Delivery.lane == DIGEST_LANE, Delivery.next_attempt_at > at)
    owed, in_flight, oldest = session.execute(
        select(func.count(), func.count().filter(Delivery.claimed_until > at), func.min(Delivery.created_at).filter(~on_time))
        .select_from(Delivery)
        .where(Delivery.state == OWED, Delivery.next_attempt_at.is_not(None))
    ).one()
    resting = (
        select(func.count())
        .select_from(Subscription)
        .where(Subscription.resting_until.is_not(None), Subscription.state == SubscriptionState.ACTIVE)
    )
    return {
        "owed": owed,
        "in_flight": in_flight,
        "oldest_owed_seconds": max((at - oldest).total_seconds(), 0.0) if oldest else 0.0,
        "given_up": session.scalar(select(func.count()).select_from(Delivery).where(Delivery.state == GIVEN_UP)) or 0,
        "open": session.scalar(resting.where(Subscription.resting_until > at)) or 0,
        "half_open": session.scalar(resting.where(Subscription.resting_until <= at)) or 0,
    }
