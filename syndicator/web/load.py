"""More work than there is room for is turned away at once, so that what is taken in is done.

Only so many requests are in the application at a time, and only so many wait for it, not for long; everybody else gets 503 and
Retry-After. Polls of feed documents never come here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from syndicator.reasons import Reason
from syndicator.web.refusal import RETRY_AFTER_SECONDS, refusal

# Few threads: those that want the interpreter at once make each other slow, and polls, which have none.
RUNNING, WAITING, WAITING_SECONDS = 5, 64, 2.0
BUSY = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "More is asked of us than we can do at once; please come back.",
    retry_after_seconds=RETRY_AFTER_SECONDS,
    reason=Reason.RATE_LIMITED,
)

Result = TypeVar("Result")


class NoRoom(Exception):
    """Too much is being done already."""


class Room:
    """Threads for `running` requests at once; `waiting` more may wait for one, each at most `seconds`. Used on one event loop."""

    def __init__(self, *, running: int = RUNNING, waiting: int = WAITING, seconds: float = WAITING_SECONDS) -> None:
        self._threads = ThreadPoolExecutor(running, "application")
        self._free = asyncio.Semaphore(running)
        self._may_wait, self._seconds = waiting, seconds

    async def do(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returned, in a thread. Raises NoRoom, and what `work` raises."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._free.release()

    def close(self) -> None:
        """Take no more; what is being done is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait(self) -> None:
        if not self._may_wait:
            raise NoRoom
        self._may_wait -= 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoRoom from None
        finally:
            self._may_wait += 1
