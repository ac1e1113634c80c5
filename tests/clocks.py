"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class HandClock:
    """A `Clock` (syndicator.clock) that shows `now`; a test advances it by hand and never sleeps."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move on by `by` and return the new time."""
        self.now += by
        return self.now
