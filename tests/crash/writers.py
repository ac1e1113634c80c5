"""Writers of a newsroom: they put stories in and correct them over HTTP, repeat each request with its key until it is answered,
and remember what they were told. And what must then be true: each acknowledged write is in the store once, and the newest of each
story at each subscriber.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import select

from syndicator.domain.publishers import Scope
from syndicator.domain.stories import Event, Story, StoryVersion
from syndicator.house import House
from syndicator.operations.audit_heads import prove_log
from syndicator.operations.keys import create_key
from syndicator.storage.backup import check
from tests.crash.scene import Scene, wait_until
from tests.receiver import Received, Receiver

ANSWER_SECONDS = 40.0  # longer than a writer waits for the lock of SQLite
AGAIN_SECONDS = 0.1  # sooner than Retry-After asks for
COME_BACK = {429, 503, 507}
STILL_RUNNING, ANSWER_LOST = b"being carried out just now", b"its answer was lost"


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def done(self) -> bool:
        return self.status < 300 or (self.status == 409 and ANSWER_LOST in self.body)


@dataclass(slots=True)
class Order:
    """One write, and what was answered. `mark` is the headline of a new story, or the note of a correction, and of no other."""

    external_id: str
    mark: str
    corrects: bool
    answer: Answer | None = None
    asked: int = 0
    rests_until: float = 0.0  # monotonic

    @property
    def request(self) -> tuple[str, str, bytes]:
        path = f"/v1/newsroom/stories/{self.external_id}"
        if self.corrects:
            return "POST", f"{path}/correct", json.dumps({"note": self.mark}).encode()
        return "PUT", path, json.dumps({"headline": self.mark, "body_html": "<p>They report.</p>"}).encode()


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer | None:
    """Return the answer of the service on loopback `port`, None when there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        with connection.getresponse() as response:
            return Answer(response.status, response.read())
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def served(folder: Path, database_url: str, receiver: Receiver) -> Scene:
    """A scene that runs `syndicator serve`, with no limit to what one key may ask."""
    command = (sys.executable, "-m", "syndicator", "serve")
    return Scene(folder, database_url, receiver, command=command, more="[limits]\nenabled = false\n")


def wait_until_ready(port: int, seconds: float) -> None:
    wait_until(lambda: (answer := ask(port, "GET", "/readyz")) is not None and answer.status == 200, seconds)


@dataclass(slots=True)
class Writers:
    """So many threads that write `a_second` stories and corrections together, until the `with` block ends."""

    house: House
    port: int
    chance: random.Random
    threads: int = 4
    a_second: float = 20.0
    repeated: float = 0.0  # the share of requests that are sent again although they were answered
    done: list[Order] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    silences: int = 0  # requests that had no answer
    retries: int = 0  # requests with a key that had been used, which got an answer
    faults: list[str] = field(default_factory=list)
    _waiting: list[Order] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _leave: threading.Event = field(default_factory=threading.Event)
    _count: int = 0
    _headers: dict[str, str] = field(default_factory=dict)
    _running: list[threading.Thread] = field(default_factory=list)

    @property
    def refusals(self) -> int:
        """Answers that said: come back."""
        return sum(self.statuses[status] for status in COME_BACK)

    def __enter__(self) -> Self:
        with self.house.sessions.begin() as session:
            _, key = create_key(session, None, actor="crash", at=self.house.clock(), scopes=(Scope.NEWSROOM,))
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._running = [threading.Thread(target=self._write, daemon=True) for _ in range(self.threads)]
        for thread in self._running:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._running:
            thread.join(ANSWER_SECONDS)

    def finish(self, seconds: float) -> None:
        """Write nothing new, and ask for what is not answered yet until it is; TimeoutError if it never is."""
        self.__exit__()
        deadline = time.monotonic() + seconds
        while self._waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"never answered: {self._waiting}")
            self._carry_out(self._waiting.pop(0))

    def _write(self) -> None:
        while not self._leave.wait(self.chance.expovariate(self.a_second / self.threads)):
            self._carry_out(self._next())

    def _next(self) -> Order:
        with self._lock:
            now = time.monotonic()
            for order in self._waiting:
                if order.rests_until <= now:
                    self._waiting.remove(order)
                    return order
            self._count += 1
            stories = [order.external_id for order in self.done[-100:] if not order.corrects]
            if stories and self.chance.random() < 0.3:
                return Order(self.chance.choice(stories), f"mark {self._count}", corrects=True)
            return Order(f"story-{self._count}", f"mark {self._count}", corrects=False)

    def _carry_out(self, order: Order) -> None:
        """Ask until there is an answer, or until the service is gone and we leave."""
        while (answer := self._ask(order)) is None and not self._leave.is_set():
            time.sleep(AGAIN_SECONDS)
        if answer is not None and answer.done:
            order.answer = answer
            with self._lock:
                self.done.append(order)
            if self.chance.random() < self.repeated:
                self._ask_again(order)
        elif answer is None or answer.status in COME_BACK or (answer.status == 409 and STILL_RUNNING in answer.body):
            order.rests_until = time.monotonic() + AGAIN_SECONDS * 5
            with self._lock:
                self._waiting.append(order)
            time.sleep(AGAIN_SECONDS)
        else:
            self.faults.append(f"{order.request[:2]} was answered with {answer}")

    def _ask_again(self, order: Order) -> None:
        """What has been answered is asked once more: the answer is the same, but for a PUT's word that nothing changed."""
        answer = self._ask(order)
        if answer is not None and answer.status not in COME_BACK and order.corrects and answer != order.answer:
            self.faults.append(f"{order} was answered differently later: {answer}")

    def _ask(self, order: Order) -> Answer | None:
        answer = ask(self.port, *order.request, self._headers | {"Idempotency-Key": order.mark})
        order.asked += 1
        with self._lock:
            if answer is None:
                self.silences += 1
            else:
                self.statuses[answer.status] += 1
                self.retries += order.asked > 1
                if b"database is locked" in answer.body:
                    self.faults.append(f"told of a lock: {answer}")
        return answer


def wrong_in_store(house: House, orders: Sequence[Order]) -> list[str]:
    """What is wrong with the store after `orders` were acknowledged, and nothing else was asked for."""
    found = check(house.engine)
    with house.sessions() as session:
        found += prove_log(session, house)
        stories = session.execute(select(Story.id, Story.external_id, Story.version_number)).all()
        versions = session.execute(select(StoryVersion.story_id, StoryVersion.headline, StoryVersion.correction_note)).all()
        events = Counter(session.scalars(select(Event.story_id)))
    ids = {external_id: story_id for story_id, external_id, _ in stories}
    kept = Counter(story_id for story_id, *_ in versions)
    marks = Counter((story_id, note or headline) for story_id, headline, note in versions)
    found += [f"{len(stories)} stories, of which {len(ids)} differ"] if len(stories) != len(ids) else []
    for story_id, external_id, newest in stories:
        if not newest == kept[story_id] == events[story_id]:
            found.append(f"{external_id} is half there: version {newest}, {kept[story_id]} versions, {events[story_id]} events")
    for order in orders:
        if (times := marks[ids.get(order.external_id, 0), order.mark]) != 1:
            found.append(f"{'LOST' if times == 0 else 'DOUBLED'}: {order}")
    found += [f"an unknown write: {extra}" for extra in set(ids) - {order.external_id for order in orders}]
    if extra := len(marks) - len(orders):
        found.append(f"{extra} versions that nobody was told of")
    return found


def not_heard(house: House, received: Sequence[Received], subscribers: int) -> int:
    """How often a subscriber has not got the newest version of a story; what a later one superseded need not have come."""
    heard: dict[tuple[str, str], int] = {}
    for request in received:
        story = json.loads(request.body)["data"]["story"]
        place = (request.target, story["uri"])
        heard[place] = max(heard.get(place, 0), int(story["version"]))
    with house.sessions() as session:
        newest = session.execute(select(Story.uri, Story.version_number)).all()
    return sum(
        heard.get((f"/{number}", uri)) != version_number for uri, version_number in newest for number in range(subscribers)
    )
