"""`python -m tests.crash.acknowledged [--kills 50] [--retries 1000] [--database sqlite|postgresql]`: kill -9 of `syndicator
serve` with all its processes, and of `syndicator publisher`, at random instants while writers put stories in and correct them
over HTTP and a clerk approves and revokes publishers. Ends with 1 if anything acknowledged was lost, or done twice for one key.

Each request is repeated with its Idempotency-Key until it is answered, and most once more. After every second kill two minutes
are taken to have passed: so long does a request whose process died count as being carried out. Run in the project's folder.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

from sqlalchemy import select

from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.requests import RememberedRequest
from syndicator.house import House
from syndicator.operations.publishers import add_publisher
from syndicator.operations.remembering import CLAIM_LASTS
from tests.crash.scene import HOSTS, PATIENCE_SECONDS, Scene, database, owed, tell, wait_until
from tests.crash.writers import Writers, not_heard, served, wrong_in_store
from tests.receiver import Receiver

SUBSCRIBERS = 5
APPROVED, REVOKED = PublisherState.APPROVED, PublisherState.REVOKED
MOST_BETWEEN_KILLS = 40  # acknowledged writes
CLERK_SECONDS = 1.0  # between two decisions
SPAWN = threading.Lock()


@dataclass(slots=True)
class Clerk:
    """One who approves publishers at the command line and revokes every second, until the `with` block ends."""

    scene: Scene
    house: House
    said: dict[str, PublisherState] = field(default_factory=dict)  # what was acknowledged last
    asked: dict[str, PublisherState] = field(default_factory=dict)  # what was asked last
    decisions: int = 0  # acknowledged ones
    faults: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _killed: bool = False
    _leave: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._decide, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill the command that runs just now."""
        with SPAWN:
            if self._process is not None:
                self._killed = True
                self._process.kill()

    def _decide(self) -> None:
        for number in count():
            public_id = self._applicant(f"p{number}.example")
            for command, state in (("approve", APPROVED), ("revoke", REVOKED))[: 1 + number % 2]:
                if self._leave.wait(CLERK_SECONDS):
                    return
                self.asked[public_id] = state
                if not self._told(command, public_id):
                    break  # killed on its way: nobody knows
                self.said[public_id] = state
                self.decisions += 1

    def _applicant(self, domain: str) -> str:
        with self.house.sessions.begin() as session:
            made = add_publisher(
                session, name=domain, email=f"a@{domain}", domains=[domain], actor="crash", at=self.house.clock()
            )
            return made.public_id

    def _told(self, command: str, public_id: str) -> bool:
        """Whether the command line said that it is done."""
        words = (sys.executable, "-m", "syndicator", "publisher", command, public_id, "--reason", "crash test")
        with SPAWN:
            self._killed = False
            self._process = self.scene.run(words, log="clerk.log")
        status = self._process.wait()
        with SPAWN:
            if status and not self._killed:
                self.faults.append(f"{command} {public_id} ended with {status}; see clerk.log")
            self._process = None
        return status == 0

    def wrong(self) -> list[str]:
        """What is not as it was said; what was asked after it may have come true unsaid."""
        with self.house.sessions() as session:
            found = {publisher.public_id: publisher.state for publisher in session.scalars(select(Publisher))}
        lost = [each for each, state in self.said.items() if found.get(each) not in {state, self.asked[each]}]
        return [*self.faults, *(f"LOST: {each} was {self.said[each]}, is {found.get(each)}" for each in lost)]


@dataclass(slots=True)
class Findings:
    kills: int = 0
    writes: int = 0
    decisions: int = 0
    retries: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.writes} writes and {self.decisions} decisions acknowledged, {self.retries} retries: "
            f"{len(self.faults)} faults; answers {self.statuses}; {self.seconds:.0f} s"
        )


def acknowledged(scene: Scene, *, kills: int, retries: int, chance: random.Random, seconds: float = 3600.0) -> Findings:
    """Kill everything until there were so many kills and retries, or the time is over; then let all finish, and look."""
    began, found = time.monotonic(), Findings()
    house = scene.furnish(SUBSCRIBERS)
    with Writers(house, scene.port, chance, repeated=0.7) as writers:
        with Clerk(scene, house) as clerk:
            while (found.kills < kills or writers.retries < retries) and time.monotonic() - began < seconds:
                scene.start(1)
                _wait_for_instant(scene, writers, chance)
                clerk.kill()
                scene.kill()
                found.kills += 1
                if found.kills % 2 == 0:
                    _two_minutes_pass(house)
            _two_minutes_pass(house)
            scene.start(1)
            decided = clerk.decisions
            wait_until(lambda: clerk.decisions > decided, PATIENCE_SECONDS)
        writers.finish(PATIENCE_SECONDS + CLAIM_LASTS.total_seconds())
    wait_until(lambda: scene.alive() and owed(house) == 0, PATIENCE_SECONDS)
    scene.stop()
    found.writes, found.decisions, found.retries = len(writers.done), clerk.decisions, writers.retries
    found.faults = writers.faults + clerk.wrong() + wrong_in_store(house, writers.done)
    if missed := not_heard(house, scene.receiver.received, SUBSCRIBERS):
        found.faults.append(f"{missed} times a subscriber has not got what is newest")
    found.statuses, found.seconds = dict(sorted(writers.statuses.items())), time.monotonic() - began
    return found


def _wait_for_instant(scene: Scene, writers: Writers, chance: random.Random) -> None:
    """Wait until so many writes were acknowledged, and a little longer; one time in eight kill while it starts."""
    if chance.random() < 0.125:
        time.sleep(chance.uniform(0.0, 2.0))
        return
    enough = len(writers.done) + chance.randrange(1, MOST_BETWEEN_KILLS)
    wait_until(lambda: scene.alive() and len(writers.done) >= enough, PATIENCE_SECONDS * 5)
    time.sleep(chance.uniform(0.0, 0.05))


def _two_minutes_pass(house: House) -> None:
    """What was being carried out when everything died is now known to be dead."""
    with house.sessions.begin() as session:
        for claimed in session.scalars(select(RememberedRequest).where(RememberedRequest.answer.is_(None))):
            claimed.claimed_at -= CLAIM_LASTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--retries", type=int, default=1000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--minutes", type=float, default=60, help="the most that it kills for, on a busy machine")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syndicator-acknowledged-"))
        receiver = stack.enter_context(Receiver(hosts=HOSTS))
        url = stack.enter_context(database(asked.database, Path(folder)))
        scene = stack.enter_context(served(Path(folder), url, receiver))
        chance, seconds = random.Random(asked.seed), asked.minutes * 60
        found = acknowledged(scene, kills=asked.kills, retries=asked.retries, chance=chance, seconds=seconds)
    return tell(f"{asked.database}, seed {asked.seed}", found)


if __name__ == "__main__":
    sys.exit(main())
