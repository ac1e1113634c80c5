"""Keeping the delivery tables small and their times sane, in bounded batches."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from syndicator.domain.deliveries import OWED, Attempt, Delivery
from syndicator.domain.subscriptions import CallbackHost, Trial

ATTEMPTS_KEPT = timedelta(days=90)
BATCH = 5_000
LONGEST_WAIT = timedelta(days=2)  # no schedule and no Retry-After reaches further
KEEP = {"synchronize_session": False}


def forget_attempts(session: Session, *, at: datetime) -> int:
    """Forget attempts, tests and counts that are older than anybody asks for; returns how many attempts."""
    oldest = select(Attempt.id).where(Attempt.at < at - ATTEMPTS_KEPT).order_by(Attempt.id).limit(BATCH)
    gone = session.scalars(delete(Attempt).where(Attempt.id.in_(oldest)).returning(Attempt.id), execution_options=KEEP).all()
    session.execute(delete(Trial).where(Trial.asked_at < at - ATTEMPTS_KEPT), execution_options=KEEP)
    session.execute(delete(CallbackHost).where(CallbackHost.minute < at.timestamp() // 60 - 60), execution_options=KEEP)
    return len(gone)


def mend_schedule(session: Session, *, at: datetime) -> int:
    """Make due what waits longer than anything is made to wait: it was put off under a clock that has been set back since."""
    lost = update(Delivery).where(Delivery.state == OWED, Delivery.next_attempt_at > at + LONGEST_WAIT).values(next_attempt_at=at)
    return len(session.scalars(lost.returning(Delivery.id), execution_options=KEEP).all())
