"""Conversations (e-mail, SFTP, WordPress), each in a thread, one at a time with each party: the sender's like for what is no
single request.

Whoever hangs keeps one place until its time is over and delays nobody else. A conversation that outlasts its time is answered for
as timed out, and its party is not spoken to again before it has really ended, so that nothing is done twice at once. One that
raises is a bug of ours: it is logged, and ends as `not-made`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic

from syndicator.channels import Deferred, Outcome
from syndicator.channels.answers import OVERLOAD_WAIT_SECONDS

log = logging.getLogger(__name__)
WAITING_PER_PARTY = 32


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation to hold, or that was held: `outcome` None when it never began, as when too many wait (`busy`)."""

    key: int
    party: str
    hold: Callable[[], Outcome]
    urgent: bool = False
    outcome: Outcome | None = None
    busy: bool = False
    started: float = 0.0
    duration_ms: int = 0


class Talkers:
    """Not safe to share between threads. Up to `places` conversations at once, parties in turn, `seconds` for each.

    Those that outlast their time keep a place of as many others. More than WAITING_PER_PARTY for one party come back as `busy`,
    except urgent ones, which go first.
    """

    def __init__(self, *, places: int = 16, seconds: float = 90.0) -> None:
        self._places, self._seconds = places, seconds
        self._waiting: dict[str, deque[Talk]] = {}
        self._line: deque[str] = deque()  # parties that wait and are spoken to by nobody
        self._held: dict[str, Talk] = {}
        self._late: dict[str, Talk] = {}  # answered for, and still not ended
        self._ended: SimpleQueue[tuple[Talk, Outcome]] = SimpleQueue()
        self._back: list[Talk] = []
        self.may_start: Callable[[int], bool] = lambda _key: True

    @property
    def in_flight(self) -> int:
        """How many have been submitted and not handed back."""
        return sum(map(len, self._waiting.values())) + len(self._held) + len(self._back)

    def submit(self, talk: Talk) -> None:
        """Queue `talk`; it comes out of `finished`."""
        waiting = self._waiting.setdefault(talk.party, deque())
        if talk.party in self._late or (len(waiting) >= WAITING_PER_PARTY and not talk.urgent):
            talk.busy = True
            self._back.append(talk)
            if not waiting:
                del self._waiting[talk.party]
            return
        waiting.insert(sum(other.urgent for other in waiting) if talk.urgent else len(waiting), talk)
        if talk.party in self._line:
            if talk.urgent:
                self._line.remove(talk.party)
                self._line.appendleft(talk.party)
        elif talk.party not in self._held:
            (self._line.appendleft if talk.urgent else self._line.append)(talk.party)

    def waiting(self) -> set[int]:
        """The keys of what has been submitted and has not begun."""
        return {talk.key for talks in self._waiting.values() for talk in talks}

    def take_back(self, keys: Collection[int]) -> None:
        """Hand back, without an outcome, those of `keys` that have not begun."""
        for party, talks in list(self._waiting.items()):
            self._back += [talk for talk in talks if talk.key in keys]
            left = deque(talk for talk in talks if talk.key not in keys)
            if left:
                self._waiting[party] = left
            else:
                del self._waiting[party]
                if party in self._line:
                    self._line.remove(party)

    def finished(self, wait_seconds: float = 0.0) -> list[Talk]:
        """Start what may start; return what has ended, with its outcome; wait for that up to `wait_seconds`."""
        self._start()
        self._collect(0.0 if self._back or not self._held else wait_seconds)
        self._answer_for_late()
        self._start()
        back, self._back = self._back, []
        return back

    def close(self) -> None:
        """Wait for nobody; what is being said now is recorded by nobody and said again."""
        self._waiting.clear()
        self._line.clear()

    def _start(self) -> None:
        while self._line and len(self._held) < self._places and len(self._late) < self._places:
            party = self._line.popleft()
            talk = self._waiting[party].popleft()
            if not self.may_start(talk.key):
                self._back.append(talk)
                self._line_up(party)
                continue
            talk.started = monotonic()
            self._held[party] = talk
            threading.Thread(target=_hold, args=(talk, self._ended), daemon=True, name=f"talk-{talk.key}").start()

    def _line_up(self, party: str) -> None:
        if self._waiting.get(party):
            self._line.append(party)
        else:
            self._waiting.pop(party, None)

    def _collect(self, wait_seconds: float) -> None:
        """Take what has ended, and wait for the first of it."""
        limit = monotonic() + wait_seconds
        while True:
            try:
                left = limit - monotonic()
                talk, outcome = self._ended.get(timeout=left) if left > 0 else self._ended.get_nowait()
            except Empty:
                return
            limit = 0.0
            if self._late.pop(talk.party, None) is None:
                del self._held[talk.party]
                self._answer(talk, outcome)
            self._line_up(talk.party)

    def _answer_for_late(self) -> None:
        now = monotonic()
        for talk in [talk for talk in self._held.values() if now - talk.started > self._seconds]:
            log.warning("conversation outlasts its time key=%s party=%s", talk.key, talk.party)
            self._late[talk.party] = self._held.pop(talk.party)
            self._answer(talk, Deferred("timeout", OVERLOAD_WAIT_SECONDS))
            for waiting in self._waiting.pop(talk.party, ()):
                waiting.busy = True
                self._back.append(waiting)

    def _answer(self, talk: Talk, outcome: Outcome) -> None:
        talk.outcome, talk.duration_ms = outcome, int((monotonic() - talk.started) * 1000)
        self._back.append(talk)


def _hold(talk: Talk, ended: SimpleQueue[tuple[Talk, Outcome]]) -> None:
    outcome: Outcome = Deferred("not-made")
    try:
        outcome = talk.hold()
    except Exception:
        log.exception("conversation failed key=%s party=%s", talk.key, talk.party)
    finally:
        ended.put((talk, outcome))
