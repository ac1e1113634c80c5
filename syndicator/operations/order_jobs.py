"""Jobs wanted now: a person orders one, and the process that runs the timetable begins it within seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.jobs import JobRun
from syndicator.errors import NotFound
from syndicator.operations import audit
from syndicator.storage.queries import insert_into


def list_jobs(session: Session, names: Iterable[str]) -> None:
    """Make a record for each job of the timetable that has none yet, so that it can be seen and ordered before its first run."""
    for name in sorted(names):  # two timetables may start at once
        row = insert_into(session, JobRun).values(job=name, outcome="", failures=0)
        session.execute(row.on_conflict_do_nothing(index_elements=["job"]))


def order_job(session: Session, name: str, *, actor: str, at: datetime) -> None:
    """Have the job run as soon as the timetable looks; ordering it twice runs it once. Raises NotFound."""
    run = session.get(JobRun, name, with_for_update=True)
    if run is None:
        raise NotFound(f"there is no job {name!r}")
    run.ordered_at = at
    audit.record(session, actor, "job.order", name, at=at)


def take_orders(session: Session) -> Sequence[str]:
    """Return the jobs that are wanted now, which are wanted no more."""
    wanted = select(JobRun).where(JobRun.ordered_at.is_not(None)).order_by(JobRun.ordered_at).limit(100).with_for_update()
    runs = session.scalars(wanted).all()
    for run in runs:
        run.ordered_at = None
    return [run.job for run in runs]
