"""`python -m tests.crash.trouble disk|restarts|lock [--times N] [--seconds S]`: a disk that is filled and freed, a PostgreSQL
that is stopped and killed, or SQLite's lock held by another process, while `syndicator serve` takes stories in and sends them on.
Ends with 1 if one of its processes ended, if it was not ready in 5 s, said anything but "come back", or lost anything; with 77 if
this machine lets nobody mount a small disk in memory, for which one has to be root.

`disk --database postgresql` has the documents and keys on the full disk, and the database elsewhere. Run in the project's folder.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from syndicator.house import House
from syndicator.operations.render_feeds import stale_feeds
from tests.crash.scene import DATABASE, HOSTS, PATIENCE_SECONDS, Scene, owed, postgresql, tell, tree, wait_until
from tests.crash.writers import Writers, ask, not_heard, served, wait_until_ready, wrong_in_store
from tests.receiver import Receiver
from tests.servers import Postgres, need

READY_SECONDS = 5.0
DISK_MEBIBYTES = 128
MOUNT_REFUSED = 77
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Trouble(NamedTuple):
    """What goes wrong for a while; with `refuses` it lasts at least until a writer was told to come back."""

    begin: Callable[[], AbstractContextManager[None]]
    refuses: bool = False


class Load(NamedTuple):
    """What the service has to do meanwhile, and how long trouble and calm last."""

    subscribers: int
    a_second: float  # stories and corrections
    seconds: float
    calm_seconds: float
    times: int = 1


LOADS = {"disk": Load(20, 10, 2, 2, times=5), "restarts": Load(200, 2, 0.5, 2.5, times=20), "lock": Load(200, 2, 10, 3)}


class MountRefused(Exception):
    """This machine lets us mount nothing."""


@contextmanager
def small_disk(place: Path, mebibytes: int = DISK_MEBIBYTES) -> Iterator[None]:
    """Have at `place` a file system in memory that has room for so much."""
    place.mkdir(parents=True)
    command = [need("mount", "mount"), "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MountRefused(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run([need("umount", "mount"), str(place)], check=True)


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Leave no room on the disk of `place`, and take at once what becomes free."""
    file, leave = place / "filling", threading.Event()

    def fill() -> None:
        with file.open("wb", buffering=0) as filling:
            while not leave.is_set():
                try:
                    filling.write(bytes(1 << 16))
                except OSError:
                    leave.wait(0.02)

    filler = threading.Thread(target=fill, daemon=True)
    filler.start()
    try:
        yield
    finally:
        leave.set()
        filler.join()
        file.unlink()


@contextmanager
def away(server: Postgres, with_signal: signal.Signals) -> Iterator[None]:
    """End the server in order (SIGINT), or as if it were killed: at once, and to be recovered (SIGQUIT)."""
    server.stop(with_signal)
    yield
    server.start()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold SQLite's lock for writers; its owner is another process."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


@dataclass(slots=True)
class Findings:
    times: int = 0
    writes: int = 0
    slowest_ready_seconds: float = 0.0
    catching_up_seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.times} times, {self.writes} writes acknowledged, {len(self.faults)} faults; answers {self.statuses}; "
            f"ready after {self.slowest_ready_seconds:.1f} s at most, caught up after {self.catching_up_seconds:.0f} s"
        )


def through(scene: Scene, troubles: Sequence[Trouble], load: Load, chance: random.Random) -> Findings:
    """Take stories in and send them out through all `troubles`, one after the other; then let all finish, and look."""
    house, port, found = scene.furnish(load.subscribers), scene.port, Findings(times=len(troubles))
    scene.start(1)
    wait_until_ready(port, PATIENCE_SECONDS * 5)
    with Writers(house, port, chance, a_second=load.a_second) as writers:
        scene.receiver.wait_for(load.subscribers, PATIENCE_SECONDS * 5)  # all its processes are at work
        begun = set(tree(scene.workers[0].pid))
        for trouble in troubles:
            time.sleep(load.calm_seconds)
            before = writers.refusals
            with trouble.begin():
                time.sleep(load.seconds * chance.uniform(1.0, 1.5))
                wait_until(lambda: not trouble.refuses or writers.refusals > before, PATIENCE_SECONDS)  # noqa: B023
            ended = time.monotonic()
            wait_until_ready(port, PATIENCE_SECONDS)
            found.slowest_ready_seconds = max(found.slowest_ready_seconds, time.monotonic() - ended)
        writers.finish(PATIENCE_SECONDS)
    ended = time.monotonic()
    house.engine.dispose()  # its connections may be broken
    with suppress(TimeoutError):
        wait_until(lambda: scene.alive() and owed(house) == 0 and _shown(house), PATIENCE_SECONDS * 2)
    found.catching_up_seconds = time.monotonic() - ended
    found.faults = writers.faults + wrong_in_store(house, writers.done)
    if left := owed(house):
        found.faults.append(f"{left} deliveries are still owed")
    if not begun <= set(tree(scene.workers[0].pid)):
        found.faults.append("a process ended; see serve.log")
    if found.slowest_ready_seconds > READY_SECONDS:
        found.faults.append(f"ready only after {found.slowest_ready_seconds:.1f} s")
    feed = ask(port, "GET", "/feeds/latest.json")
    for order in [order for order in writers.done if not order.corrects][-10:]:
        if feed is None or f'"{order.mark}"'.encode() not in feed.body:
            found.faults.append(f"not in the feed: {order}")
    scene.stop()
    if missed := not_heard(house, scene.receiver.received, load.subscribers):
        found.faults.append(f"{missed} times a subscriber has not got what is newest")
    if writers.silences:
        found.faults.append(f"{writers.silences} requests had no answer at all")
    found.writes, found.statuses = len(writers.done), dict(sorted(writers.statuses.items()))
    return found


def _shown(house: House) -> bool:
    with house.sessions() as session:
        return not stale_feeds(session)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trouble", choices=sorted(LOADS))
    parser.add_argument("--times", type=int, help="5 fillings, 20 restarts, 1 lock")
    parser.add_argument("--seconds", type=float, help="how long each lasts at least: 2, 0.5, 10")
    parser.add_argument("--owed", type=int, help="subscribers of each story: 20, 200, 200")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="beside a full disk")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    load, chance = LOADS[asked.trouble], random.Random(asked.seed)
    load = Load(
        asked.owed or load.subscribers,
        load.a_second,
        asked.seconds or load.seconds,
        load.calm_seconds,
        asked.times or load.times,
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syndicator-trouble-")))
        receiver, place = stack.enter_context(Receiver(hosts=HOSTS)), folder / "var"
        if asked.trouble == "disk":
            try:
                stack.enter_context(small_disk(place))
            except MountRefused as error:
                print(f"nothing tried: {error}")
                return MOUNT_REFUSED
        else:
            place.mkdir()
        file = place / "syndicator.db"
        url, kinds = f"sqlite:///{file}", [Trouble(partial(locked, file))]
        if asked.trouble == "restarts" or asked.database == "postgresql":
            server = stack.enter_context(postgresql(outlives_crashes=True))
            url = server.url(DATABASE)
        if asked.trouble == "restarts":
            kinds = [Trouble(partial(away, server, each), refuses=True) for each in (signal.SIGINT, signal.SIGQUIT)]
        if asked.trouble == "disk":
            kinds = [Trouble(partial(full, place), refuses=asked.database == "sqlite")]
        scene = stack.enter_context(served(folder, url, receiver))
        found = through(scene, list(islice(cycle(kinds), load.times)), load, chance)
    return tell(f"{asked.trouble}, seed {asked.seed}", found)


if __name__ == "__main__":
    sys.exit(main())
