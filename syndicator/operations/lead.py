"""Leading: of many that could run the timetable, one does, by a lease in the database."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from syndicator.domain.jobs import LeaderLease

LEASE = timedelta(seconds=30)


def take_lead(session: Session, holder: str, *, at: datetime, name: str = "timetable") -> bool:
    """Take or renew the lease; False while somebody else holds it. A dead leader is followed when its lease is over."""
    lease = session.scalars(select(LeaderLease).where(LeaderLease.name == name).with_for_update()).one_or_none()
    if lease is None:
        try:
            with session.begin_nested():
                session.add(LeaderLease(name=name, holder=holder, until=at + LEASE))
        except IntegrityError:
            return False
        return True
    # A lease that ends far ahead was taken under a clock that has been set back since.
    if lease.holder != holder and at < lease.until <= at + 2 * LEASE:
        return False
    lease.holder, lease.until = holder, at + LEASE
    return True


def give_up_lead(session: Session, holder: str, *, at: datetime, name: str = "timetable") -> None:
    """End the lease early, so that a successor need not wait."""
    lease = session.get(LeaderLease, name, with_for_update=True)
    if lease is not None and lease.holder == holder:
        lease.until = at
