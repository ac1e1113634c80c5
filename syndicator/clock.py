"""The only reader of the wall clock. Everybody else is handed the time."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import CLOCK_BOOTTIME, clock_gettime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def ticks() -> float:
    """Seconds since the machine started, also while it slept; moved by nobody who sets the clock."""
    return clock_gettime(CLOCK_BOOTTIME)
