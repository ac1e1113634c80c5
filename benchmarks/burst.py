"""What a burst of stories costs (goal P10): how often feeds are rendered while 100 stories come in and 64 readers poll.

The engine runs in a process of its own, as always, and the byte layer in another. A burst each is polled from this service, from
nginx on a static file, and from feedgen at each request, interleaved; the worst burst counts. Loopback only.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import naive, newsroom, poll
from benchmarks.figure import Figure, need
from benchmarks.loopback import Asked, ask, free_port, running
from syndicator.house import House

STORIES = 100
POLLING_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """Renders of the one feed that was rendered most often, and of all feeds."""

    of_one: int
    of_all: int
    stories_per_second: float
    asked: Asked


class Engine:
    """The engine's process; it is asked for what it did since the last time, and answers when nothing is left to do."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.burst", str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def did(self) -> dict[str, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, int] = json.loads(self.process.stdout.readline())
        return told


def measure(quick: bool) -> list[Figure]:
    need("wrk", "nginx")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "peers").mkdir()
        folder.chmod(0o755)
        file = newsroom.build(folder)
        house = newsroom.enter(file)
        for number in range(60):
            newsroom.publish(house, number)
        urls = _start_servers(folder, file, stack)
        engine = Engine(file)
        stack.enter_context(engine.process)
        engine.did()  # it has rendered what was there
        bursts: dict[str, list[Burst]] = defaultdict(list)
        numbers = iter(range(1000, 1_000_000))
        for _ in range(1 if quick else 3):
            for which, url in urls.items():
                bursts[which].append(_burst(house, engine, url, [next(numbers) for _ in range(STORIES)]))
        assert engine.process.stdin is not None
        engine.process.stdin.close()
        return [_figure(house, bursts)]


def _start_servers(folder: Path, file: Path, stack: contextlib.ExitStack) -> dict[str, str]:
    nginx = poll.start_servers(folder / "peers", stack, only=("nginx",))["nginx"]
    ports = {"ours": free_port(), "naive": free_port()}
    web = [sys.executable, "-m", "syndicator", "--config", str(file), "web"]
    stack.enter_context(running(web, ports["ours"], {**os.environ, "SYNDICATOR_SERVER__PORT": str(ports["ours"])}))
    stack.enter_context(running(naive.command(ports["naive"], file), ports["naive"]))
    return {"nginx": nginx.url} | {which: f"http://127.0.0.1:{port}/feeds/latest.rss" for which, port in ports.items()}


def _burst(house: House, engine: Engine, url: str, numbers: list[int]) -> Burst:
    polls: list[Asked] = []
    poller = threading.Thread(target=lambda: polls.append(ask(url, POLLING_SECONDS)))
    poller.start()
    began = time.monotonic()
    for number in numbers:
        newsroom.publish(house, number)
        time.sleep(0.01)  # about what reading one from its source takes
    took = time.monotonic() - began
    poller.join()
    did = engine.did()
    return Burst(did["of_one"], did["of_all"], len(numbers) / took, polls[0])


def _figure(house: House, bursts: dict[str, list[Burst]]) -> Figure:
    everyone = [burst for each in bursts.values() for burst in each]
    feeds = len(list(house.catalogue))
    polls = {which: f"{statistics.median(burst.asked.per_second for burst in each):,.0f}" for which, each in bursts.items()}
    renders = statistics.median(burst.asked.answers for burst in bursts["naive"])
    return Figure(
        goal_id="P10",
        what=f"renders of a feed, {STORIES} stories at once, 64 pollers",
        value=max(burst.of_one for burst in everyone),
        unit="renders",
        floor=10,
        goal=3,
        more_is_better=False,
        beside={
            "stories": f"{statistics.median(burst.stories_per_second for burst in everyone):,.0f}/s committed",
            f"renders of {feeds} feeds": f"{max(burst.of_all for burst in everyone)} in all",
            "polls meanwhile": f"{polls['ours']}/s",
            "nginx on a file that does not change": f"{polls['nginx']}/s",
            "feedgen at each request": f"{polls['naive']}/s, {renders:,.0f} renders",
        },
    )


def run_engine(file: Path) -> None:
    """Take turns until standard input ends; for each line of it print, once nothing is stale, what was rendered since then."""
    from syndicator.delivery.pace import Pace
    from syndicator.operations.render_feeds import stale_feeds
    from syndicator.storage.engine import reading

    house = newsroom.enter(file)
    engine = newsroom.engine_of(file)
    asked, ended = threading.Semaphore(0), threading.Event()
    threading.Thread(target=_listen, args=[asked, ended], daemon=True).start()
    counts: Counter[str] = Counter()

    class Counting(Pace):
        def rendered(self, names: Sequence[str]) -> None:
            counts.update(names)
            Pace.rendered(self, names)

    engine.pace = Counting(engine.ticks)
    while not ended.is_set():
        engine.turn(0.1)
        with reading(house.sessions) as session:
            done = not stale_feeds(session)
        if done and asked.acquire(blocking=False):
            print(json.dumps({"of_one": max(counts.values(), default=0), "of_all": counts.total()}), flush=True)
            counts.clear()


def _listen(asked: threading.Semaphore, ended: threading.Event) -> None:
    for _ in sys.stdin:
        asked.release()
    ended.set()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run_engine(Path(sys.argv[1]))
