"""Keeping the delivery tables small and their times sane, in bounded batches."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from syndicator.domain.deliveries import OWED, Acknowledgement, Attempt, Delivery
from syndicator.domain.letters import Letter, LetterState
from syndicator.domain.subscriptions import CallbackHost, HubRequest, Subscription, Trial

ATTEMPTS_KEPT = timedelta(days=90)
BATCH = 5_000
LONGEST_WAIT = timedelta(days=2)  # no schedule and no Retry-After reaches further
CLOCKS_DIFFER = timedelta(minutes=1)  # those of two machines, at most
KEEP = {"synchronize_session": False}


def forget_attempts(session: Session, *, at: datetime) -> int:
    """Forget attempts, tests and counts that are older than anybody asks for; returns how many attempts."""
    oldest = select(Attempt.id).where(Attempt.at < at - ATTEMPTS_KEPT).order_by(Attempt.id).limit(BATCH)
    gone = session.scalars(delete(Attempt).where(Attempt.id.in_(oldest)).returning(Attempt.id), execution_options=KEEP).all()
    session.execute(delete(Trial).where(Trial.asked_at < at - ATTEMPTS_KEPT), execution_options=KEEP)
    session.execute(delete(CallbackHost).where(CallbackHost.minute < at.timestamp() // 60 - 60), execution_options=KEEP)
    return len(gone)


def mend_schedule(session: Session, *, at: datetime) -> int:
    """Make due what waits longer than anything is made to wait, or was owed in the future: the clock has been set back since.
    Endpoints that would rest as long are tried again, callbacks asked. Returns how many deliveries."""
    far = at + LONGEST_WAIT
    misdated = or_(Delivery.next_attempt_at > far, Delivery.created_at > at + CLOCKS_DIFFER)
    lost = update(Delivery).where(Delivery.state == OWED, Delivery.next_attempt_at > at, misdated).values(next_attempt_at=at)
    for misplaced in (
        update(Subscription).where(Subscription.resting_until > far).values(resting_until=None),
        update(Subscription).where(Subscription.digest_at > far).values(digest_at=at),
        update(HubRequest).where(HubRequest.next_attempt_at > far).values(next_attempt_at=at),
        update(Trial).where(Trial.due_at > far).values(due_at=at),
        update(Letter).where(Letter.state == LetterState.OWED, Letter.next_attempt_at > far).values(next_attempt_at=at),
        update(Acknowledgement).where(Acknowledgement.remind_at > far).values(remind_at=at),
    ):
        session.execute(misplaced, execution_options=KEEP)
    return len(session.scalars(lost.returning(Delivery.id), execution_options=KEEP).all())
