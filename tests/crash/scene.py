"""The crash test's scene: a database, a counting receiver, worker processes that are killed at random instants.

Everything is real: the command `syndicator worker` in processes of its own, with a broker also `syndicator scheduler`,
kill -9, a receiver on loopback. What came is counted by `webhook-id` in this process, which is never killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, Self
from urllib.request import urlopen

from sqlalchemy import func, insert, select

from syndicator.channels.webhook import new_webhook_secret
from syndicator.config import Config, load_config
from syndicator.delivery.engine import LEASE
from syndicator.delivery.ledger import owed_summary
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, delivery_uid
from syndicator.domain.publishers import PublisherState
from syndicator.domain.stories import SourceKind
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House, open_house
from syndicator.operations.publish import publish_story
from syndicator.operations.publishers import add_publisher, decide
from syndicator.operations.render_feeds import sync_catalogue
from syndicator.storage.queries import source_called
from syndicator.storage.schema import upgrade
from tests.databases import connect
from tests.desk import DRAFT
from tests.receiver import Receiver
from tests.servers import Broker, Postgres, free_port

HOSTS = 40
DATABASE = "crash"
PER_HOST = 4
CONCURRENCY = 64
PATIENCE_SECONDS = 120.0
BROKER_DIES_EVERY = 5  # kills
NEVER = ("lost", "strange", "different_bodies", "unsettled", "settled_twice")


@dataclass(slots=True)
class Findings:
    """What came of it. `duplicates` counts requests beyond the first of an id; `bound` is what was in flight at all kills."""

    kills: int = 0
    pauses: int = 0
    owed: int = 0
    lost: int = 0
    strange: int = 0  # ids that were owed to nobody
    duplicates: int = 0
    bound: int = 0
    most_of_one_id: int = 0
    different_bodies: int = 0  # ids that came with two different bodies
    unsettled: int = 0
    settled_twice: int = 0  # deliveries of which more than one success was recorded: a sleeper's result was taken
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What must not be; empty when the promise was kept."""
        found = [f"{name} {value}" for name in NEVER if (value := getattr(self, name))]
        if self.duplicates > self.bound:
            found.append(f"duplicates {self.duplicates} of at most {self.bound}")
        return found

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.pauses} pauses, {self.owed} owed: lost {self.lost}, "
            f"duplicates {self.duplicates} (in flight at most {self.bound}), most of one id {self.most_of_one_id}, "
            f"same id with other bytes {self.different_bodies}, unsettled {self.unsettled}, "
            f"settled twice {self.settled_twice}; {self.seconds:.0f} s"
        )


@dataclass(slots=True)
class Scene:
    """A newsroom with webhooks on `receiver`, and the workers that serve them; with a `broker` they are Celery's, and a timetable
    rings for them. As a context manager it leaves nothing running and nothing open."""

    folder: Path
    database_url: str
    receiver: Receiver
    broker: Broker | None = None
    command: Sequence[str] = (sys.executable, "-m", "syndicator", "worker")
    concurrency: int = CONCURRENCY
    more: str = ""  # settings, as tables of TOML
    port: int = field(default_factory=free_port)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    timetable: subprocess.Popen[bytes] | None = None
    house: House | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self.house is not None:
            self.house.engine.dispose()

    @property
    def config(self) -> Config:
        return load_config(self.folder / "config.toml")

    def settle(self) -> None:
        """Write the settings."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.toml").write_text(
            f'[site]\ndata_dir = "var"\nfeeds_dir = "{Path("feeds").resolve()}"\n'
            f'[database]\nurl = "{self.database_url}"\n'
            f"[server]\nport = {self.port}\n"
            '[outbound]\nallow_networks = ["127.0.0.0/8"]\n'
            f"[push]\nconcurrency = {self.concurrency}\nmax_in_flight_per_host = {PER_HOST}\n"
            + (f'executor = "celery"\nbroker_url = "{self.broker.url}"\n' if self.broker else "")
            + self.more,
            encoding="utf-8",
        )

    def furnish(self, subscribers: int) -> House:
        """Write the settings, make the database and the subscribers."""
        self.settle()
        self.house = house = open_house(self.config)
        upgrade(house.engine)
        with house.sessions.begin() as session:
            sync_catalogue(session, house.catalogue, at=house.clock())
            publisher = add_publisher(
                session,
                name="Courier",
                email="wire@courier.example",
                domains=["courier.example"],
                actor="crash",
                at=house.clock(),
            )
            decide(
                session, house, publisher.public_id, PublisherState.APPROVED,
                reason="crash test", actor="crash", at=house.clock(), terms_signed=True,
            )  # fmt: skip
            urls = self.receiver.urls
            rows = [
                {
                    "public_id": new_id("sub_"),
                    "publisher_id": publisher.id,
                    "feed": "latest",
                    "channel": ChannelKind.WEBHOOK,
                    "endpoint": f"{urls[number % len(urls)]}/{number}",
                    "options": {},
                    "state": SubscriptionState.ACTIVE,
                    "secret": house.vault.lock(new_webhook_secret()),
                    "created_at": house.clock(),
                }
                for number in range(subscribers)
            ]
            if rows:
                session.execute(insert(Subscription), rows)
        return house

    def run(self, command: Sequence[str], log: str = "") -> subprocess.Popen[bytes]:
        """Start a command with the scene's settings."""
        environment = {**os.environ, "SYNDICATOR_CONFIG": str(self.folder / "config.toml")}
        with (self.folder / (log or f"{command[-1]}.log")).open("ab") as said:
            return subprocess.Popen(command, env=environment, stdout=said, stderr=said)

    def start(self, count: int) -> None:
        """Have `count` workers running, and with a broker a timetable."""
        while len(self.workers) < count:
            self.workers.append(self.run(self.command))
        if self.broker is not None and self.timetable is None:
            self.timetable = self.run((*self.command[:-1], "scheduler"))

    def serve(self) -> str:
        """Start `syndicator serve` in place of the workers; returns its address once it gives out feeds."""
        self.command = (*self.command[:-1], "serve")
        self.start(1)
        url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: self.alive() and _gives_out(f"{url}/feeds/latest.rss"), PATIENCE_SECONDS)
        return url

    def alive(self) -> bool:
        """True; raises RuntimeError with its last words when a process has ended that nobody killed."""
        for process in self._running():
            if process.poll() is not None:
                words = [file.read_text(errors="replace")[-2000:] for file in self.folder.glob("*.log")]
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {words}")
        return True

    def pause(self, seconds: float, count: int | None = None) -> None:
        """Stop the first `count` workers, or all, as a machine that sleeps does, and let them go on."""
        sleepers = self.workers[:count]
        for worker in sleepers:
            worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # real time, as it passes for them
        for worker in sleepers:
            worker.send_signal(signal.SIGCONT)

    def kill(self) -> int:
        """Kill -9 every process with all below it; returns how many workers there were."""
        killed = len(self.workers)
        for process in self._running():
            with suppress(OSError):  # it has ended by itself
                for below in tree(process.pid)[1:]:
                    os.kill(below, signal.SIGKILL)
        self._end(signal.SIGKILL)
        return killed

    def stop(self) -> None:
        """End every process in order."""
        self._end(signal.SIGTERM)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [*self.workers, *([self.timetable] if self.timetable else [])]

    def _end(self, with_signal: signal.Signals) -> None:
        for process in self._running():
            process.send_signal(with_signal)
        for process in self._running():
            process.wait(30)
        self.workers.clear()
        self.timetable = None


def crash(
    scene: Scene,
    *,
    subscribers: int,
    kills: int,
    workers: int,
    chance: random.Random,
    gently: bool = False,
    pauses: bool = False,
    oversleeps: int = 0,
    seconds: float = 3600.0,
) -> Findings:
    """Publish stories and kill all processes at random instants until there were `kills`; then let one set finish, and count.

    `gently` ends them by SIGTERM, after which nothing may come twice. `pauses` stops them for a moment before every second kill.
    `oversleeps` of them sleep beyond their claims at the end, while the others go on. Raises TimeoutError after `seconds`.
    """
    began = time.monotonic()
    found = Findings()
    house = scene.furnish(subscribers)
    story = 0
    while found.kills < kills:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"only {found.kills} kills in {seconds:.0f} s")
        if owed(house) < subscribers // 4:
            story += 1
            publish(house, f"story-{story}")
        before = len(scene.receiver.received)
        scene.start(workers)
        _wait_for_instant(scene, house, before + chance.randrange(1, subscribers // 2), chance)
        if pauses and found.kills % 2:
            scene.pause(chance.uniform(0.01, 1.0))
            found.pauses += 1
            time.sleep(chance.uniform(0.0, 0.1))
        if gently:
            scene.stop()
        else:
            found.bound += CONCURRENCY * scene.kill()
        found.kills += 1
        if scene.broker is not None and found.kills % BROKER_DIES_EVERY == 0:
            scene.broker.restart()
    for number in range(oversleeps):
        publish(house, f"slept-{number}")
        scene.start(workers)
        scene.receiver.wait_for(len(scene.receiver.received) + subscribers // 4, PATIENCE_SECONDS)
        scene.pause(LEASE.total_seconds() + 5, count=1)
        found.bound += CONCURRENCY
        found.pauses += 1
    scene.start(workers)
    wait_until_settled(house)
    scene.stop()
    _count(house, scene.receiver, found)
    found.seconds = time.monotonic() - began
    return found


def _wait_for_instant(scene: Scene, house: House, came: int, chance: random.Random) -> None:
    """Wait until so many have come or nothing is owed, and a little longer by chance; one time in eight kill while it starts."""
    if chance.random() < 0.125:
        time.sleep(chance.uniform(0.0, 1.0))
        return
    wait_until(lambda: scene.alive() and (len(scene.receiver.received) >= came or owed(house) == 0), PATIENCE_SECONDS)
    time.sleep(chance.uniform(0.0, 0.03))


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database: a file in `folder`, or in a PostgreSQL that is started for it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/syndicator.db"
        return
    with postgresql() as server:
        yield server.url(DATABASE)


@contextmanager
def postgresql(*, outlives_crashes: bool = False) -> Iterator[Postgres]:
    """Start a PostgreSQL with an empty DATABASE."""
    server = Postgres(outlives_crashes=outlives_crashes)
    try:
        with connect(server) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        yield server
    finally:
        server.remove()


class Found(Protocol):
    """What came of a script, in a line, and what was wrong."""

    @property
    def faults(self) -> list[str]: ...


def tell(what: str, found: Found) -> int:
    """Print what came of a script; returns its exit code."""
    print(f"{what}: {found}")
    for fault in found.faults:
        print(f"FAULT: {fault}")
    return 1 if found.faults else 0


class Held(NamedTuple):
    """What processes hold: memory (each page's share: proc(5), Pss), open descriptors, threads."""

    mib: float
    descriptors: int
    threads: int


def held(pids: Sequence[int]) -> Held:
    kib = descriptors = threads = 0
    for pid in pids:
        with suppress(OSError):  # it has ended
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # names only, and quickly
            threads += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return Held(kib / 1024, descriptors, threads)


def _gives_out(url: str) -> bool:
    with suppress(OSError), urlopen(url) as answer:
        return bool(answer.read())
    return False


def tree(pid: int) -> list[int]:
    """Return `pid` and all processes below it (Linux)."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [pid, *(below for child in children for below in tree(child))]


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the workers do not get on; see worker.log")
        time.sleep(0.02)  # each look is a query, which takes time from those that it waits for


def wait_until_settled(house: House) -> None:
    """Wait until nothing is owed. On a busy machine that takes long; TimeoutError when it does not become less any more."""
    least, since = owed(house), time.monotonic()
    while least:
        time.sleep(0.1)
        if (left := owed(house)) < least:
            least, since = left, time.monotonic()
        elif time.monotonic() - since > PATIENCE_SECONDS:
            raise TimeoutError(f"{left} are owed, and do not become less; see worker.log")


def publish(house: House, external_id: str) -> None:
    """Publish a story to everybody; what is promised once this returns must not be lost."""
    with house.sessions.begin() as session:
        source = source_called(session, "newsroom", SourceKind.API)
        publish_story(session, house, source, replace(DRAFT, external_id=external_id), at=house.clock())


def owed(house: House) -> int:
    with house.sessions() as session:
        return owed_summary(session)[0]


def _count(house: House, receiver: Receiver, found: Findings) -> None:
    came: Counter[str] = Counter()
    bodies: dict[str, set[bytes]] = {}
    for request in receiver.received:
        uid = request.headers["webhook-id"]
        came[uid] += 1
        bodies.setdefault(uid, set()).add(request.body)
    with house.sessions() as session:
        rows = session.execute(
            select(Subscription.public_id, Delivery.event_seq, Delivery.state).join(Delivery.subscription)
        ).all()
        successes = select(Attempt.delivery_id).where(Attempt.outcome == "accepted").group_by(Attempt.delivery_id)
        found.settled_twice = len(session.execute(successes.having(func.count() > 1)).all())
    owed = {delivery_uid(public_id, seq) for public_id, seq, _ in rows}
    found.owed = len(owed)
    found.lost = len(owed - set(came))
    found.strange = len(set(came) - owed)
    found.duplicates = sum(came.values()) - len(came)
    found.most_of_one_id = max(came.values(), default=0)
    found.different_bodies = sum(len(kinds) > 1 for kinds in bodies.values())
    found.unsettled = sum(state is not DeliveryState.DELIVERED for *_, state in rows)
