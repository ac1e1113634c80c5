"""Daily tallies: what happened how often on a day (UTC), summed up once so that a chart costs a handful of rows."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base


class DailyTally(Base):
    __tablename__ = "daily_tallies"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # 2026-07-21
    name: Mapped[str] = mapped_column(String(40), primary_key=True)  # attempts, pushed, polls, publisher_polls
    label: Mapped[str] = mapped_column(String(64), primary_key=True)  # an outcome, a feed, or the id of a story or publisher
    value: Mapped[int] = mapped_column(default=0)
