"""The log of what happened to stories, in order and without gaps; a caller may wait for news.

A waiting caller holds a thread and nothing else: no connection to the database. One look-up, twice a second, serves all who wait
in one process. Seats are bounded, so that threads are left to everybody else; who finds no seat is answered at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flask import current_app
from pydantic import Field

from syndicator.access import decide_viewer, embargoed, trusted_with
from syndicator.domain.publishers import Scope
from syndicator.domain.stories import Event
from syndicator.storage.engine import reading
from syndicator.storage.queries import changes_after, last_value
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import LARGEST_NUMBER, Answer, Moment, Query, endpoint
from syndicator.web.identity import forget_caller, require, the_house

SEATS = 2  # of the requests that a web process has room for (web/load.py)
LOOK_EVERY_SECONDS = 0.5
MOST_SECONDS = 25


class ChangesAsked(Query):
    after: int = Field(0, ge=0, le=LARGEST_NUMBER, description="`last_seq` of the answer before; 0 for all there is.")
    limit: int = Field(100, ge=1, le=1000)
    wait: int = Field(0, ge=0, le=MOST_SECONDS, description="Seconds to wait for news when there are none.")


class Change(Answer):
    seq: int
    type: str = Field(description="story.published, updated, corrected, killed, taken_down, embargo_lifted or expired.")
    at: Moment
    uri: str
    id: str
    version: int
    feeds: list[str]
    reason: str
    url: str


class Changes(Answer):
    changes: list[Change]
    last_seq: int = Field(description="Where to go on: the `after` of the next request.")


class WaitingRoom:
    """Where callers wait for an event later than one they know. `newest` asks the store."""

    def __init__(self, newest: Callable[[], int], seats: int = SEATS, look_every_seconds: float = LOOK_EVERY_SECONDS) -> None:
        self._newest, self._every = newest, look_every_seconds
        self._seats = threading.BoundedSemaphore(seats)
        self._looking = threading.Lock()
        self._seen, self._looked = 0, float("-inf")
        self._pause = threading.Event()  # never set: waiting on it is a sleep

    def wait_beyond(self, seq: int, seconds: float) -> None:
        """Return when there is something after `seq`, when the time is over, or at once when every seat is taken."""
        if not self._seats.acquire(blocking=False):
            return
        try:
            until = time.monotonic() + seconds
            while self._look() <= seq and (left := until - time.monotonic()) > 0:
                self._pause.wait(min(self._every, left))
        finally:
            self._seats.release()

    def _look(self) -> int:
        with self._looking:
            if time.monotonic() - self._looked >= self._every:
                self._seen, self._looked = self._newest(), time.monotonic()
            return self._seen


def open_waiting_room() -> WaitingRoom:
    """Return the process's waiting room, made when the first caller waits."""
    house = the_house()

    def newest() -> int:
        with reading(house.sessions) as session:
            return last_value(session, "events")

    room: WaitingRoom = current_app.extensions.setdefault("waiting_room", WaitingRoom(newest))
    return room


@api.get("/changes")
@endpoint()
def changes(asked: ChangesAsked) -> Changes:
    """Tell what happened after `after`, in order; `last_seq` is where to go on."""
    house, asker = the_house(), require(Scope.READ)
    decide_viewer(asker.viewer, house.clock()).require()
    if asked.wait:
        open_waiting_room().wait_beyond(asked.after, asked.wait)
        forget_caller()
        asker = require(Scope.READ)
        decide_viewer(asker.viewer, house.clock()).require()
    viewer, at = asker.viewer, house.clock()
    trusted = viewer.embargo_trusted or viewer.newsroom or any(grant.embargo_trusted for grant in viewer.grants)
    with reading(house.sessions) as session:
        # Read first: a number is only known once every smaller one is committed, so nothing up to it can be missing below.
        newest = last_value(session, "events")
        events = changes_after(session, asked.after, limit=asked.limit, embargo_trusted=trusted, at=at)
    last = events[-1].seq if events else asked.after
    base = house.config.site.base_url
    told = [each for each in events if not (each.embargoed or embargoed(each.story, at)) or trusted_with(viewer, each.story, at)]
    return Changes(
        changes=[change_of(event, base) for event in told], last_seq=last if len(events) == asked.limit else max(newest, last)
    )


def change_of(event: Event, base_url: str) -> Change:
    return Change(
        seq=event.seq,
        type=f"story.{event.type.value}",
        at=event.at,
        uri=event.story.uri,
        id=event.story.public_id,
        version=event.version_number,
        feeds=event.feeds,
        reason=event.reason,
        url=f"{base_url}/v1/stories/{event.story.public_id}",
    )
