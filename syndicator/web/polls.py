"""Polls of feed documents: counted in memory by the web process that answers them, and written down twice a minute.

Nothing is written while a poll is answered. What a process has counted and not written down when it ends, half a minute's at
most, is lost: these are figures, and no decision or bill rests on them.
"""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from syndicator.house import House
from syndicator.operations.tallies import POLLS, PUBLISHER_POLLS, add_daily, add_tallies

log = logging.getLogger(__name__)
WRITE_SECONDS = 30.0

Poll = tuple[str, str, int]  # feed, format, status
Key = tuple[int | None, Poll]  # with the publisher whose token it was


class PollBook:
    """`public` is counted by the byte layer, of documents that exist; `private` by publisher too, of those with a token."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.public: dict[Poll, int] = {}
        self.private: dict[Key, int] = {}
        self._written: dict[Key, int] = {}
        self._writing = threading.Lock()

    def note_private(self, publisher_id: int, poll: Poll) -> None:
        key = (publisher_id, poll)
        self.private[key] = self.private.get(key, 0) + 1

    def write_down(self) -> None:
        """Add what was counted since the last time to the sums of all processes, and to those of the day it now is (UTC)."""
        with self._writing:
            counted: dict[Key, int] = {(None, poll): number for poll, number in self.public.copy().items()}
            counted |= self.private.copy()
            fresh = {key: count - self._written.get(key, 0) for key, count in counted.items() if count != self._written.get(key)}
            if fresh:
                self._add(fresh)
                self._written = counted

    def keep_writing(self) -> None:
        """Write down now and then, in a thread that ends with the process."""
        threading.Thread(target=self._write_for_ever, daemon=True, name="polls").start()

    def _add(self, fresh: dict[Key, int]) -> None:
        sums: dict[tuple[str, str], float] = {}
        days: dict[tuple[str, str], int] = {}
        for (publisher_id, (feed, fmt, status)), count in fresh.items():
            label = ("polls", f"{feed}/{fmt}/{status}")
            sums[label] = sums.get(label, 0) + count
            days[POLLS, feed] = days.get((POLLS, feed), 0) + count
            if publisher_id is not None:
                whose = (PUBLISHER_POLLS, str(publisher_id))
                days[whose] = days.get(whose, 0) + count
        with self._house.sessions.begin() as session:
            add_tallies(session, sums)
            add_daily(session, self._house.clock().date(), days)

    def _write_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(WRITE_SECONDS):
            try:
                self.write_down()
            except SQLAlchemyError as error:  # the database is away: what was counted is kept and written the next time
                log.warning("polls not written down error=%s", type(error).__name__)
