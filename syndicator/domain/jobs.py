"""The timetable's records: who runs it, and how each job last went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base


class LeaderLease(Base):
    """Who runs the timetable. A holder that stops renewing loses it at `until`."""

    __tablename__ = "leader_leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(80))
    until: Mapped[datetime]


class JobRun(Base):
    """How a job last went, and whether somebody wants it run before its time."""

    __tablename__ = "job_runs"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    started_at: Mapped[datetime | None]  # None: known to the timetable, and not run yet
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(Text, default="")  # a sentence
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    ordered_at: Mapped[datetime | None]  # somebody wants it run now; None once the timetable has begun it
