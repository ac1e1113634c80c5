"""Conversations (e-mail, SFTP, WordPress), each in a thread, a few to one host: the sender's like for what is no single request.

A conversation keeps its own deadlines. One that raises is a bug of ours: it is logged, and ends as `not-made`.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from syndicator.channels import Deferred, Outcome

log = logging.getLogger(__name__)
THREADS = 16
PER_HOST = 2
BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation to hold, or that was held: `outcome` None when it never began."""

    key: int
    host: str
    hold: Callable[[], Outcome]
    outcome: Outcome | None = None
    duration_ms: int = 0


class Talkers:
    """Not safe to share between threads. Hosts take turns; one that is slow keeps PER_HOST threads at most."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Talk] = deque()
        self._held: dict[Future[tuple[Outcome, int]], Talk] = {}
        self.may_start: Callable[[int], bool] = lambda _key: True

    @property
    def in_flight(self) -> int:
        return len(self._waiting) + len(self._held)

    def room(self) -> int:
        return max(0, BACKLOG - self.in_flight)

    def submit(self, talk: Talk) -> None:
        """Queue `talk`; it comes out of `finished`."""
        self._waiting.append(talk)

    def finished(self) -> list[Talk]:
        """Start what may start; return what has ended, with its outcome."""
        ended = []
        for future in [future for future in self._held if future.done()]:
            talk = self._held.pop(future)
            outcome, milliseconds = future.result()
            ended.append(Talk(talk.key, talk.host, talk.hold, outcome, milliseconds))
        busy = Counter(talk.host for talk in self._held.values())
        later: deque[Talk] = deque()
        while self._waiting and len(self._held) < THREADS:
            talk = self._waiting.popleft()
            if busy[talk.host] >= PER_HOST:
                later.append(talk)
            elif not self.may_start(talk.key):
                ended.append(talk)
            else:
                busy[talk.host] += 1
                self._held[self._threads().submit(_hold, talk)] = talk
        self._waiting.extendleft(reversed(later))
        return ended

    def close(self) -> None:
        """Wait for nobody; what is being said now is recorded by nobody and said again."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="talk")
        return self._pool


def _hold(talk: Talk) -> tuple[Outcome, int]:
    started = monotonic()
    try:
        outcome = talk.hold()
    except Exception:
        log.exception("conversation failed key=%s", talk.key)
        outcome = Deferred("not-made")
    return outcome, int((monotonic() - started) * 1000)
