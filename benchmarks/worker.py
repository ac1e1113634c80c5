"""A worker as in service, `syndicator worker` in a process of its own: how much memory it holds (goal P11), and how soon
after the commit the first push of a story arrives (P12). Loopback only."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import newsroom
from benchmarks.figure import Figure
from benchmarks.receivers import running_receivers

SUBSCRIBERS = 2000
REST_SECONDS = 2.5  # a newsroom at rest; in a burst documents are rendered less often, and pushes wait for them


def measure(quick: bool) -> list[Figure]:
    return [_first_push(), *_memory(SUBSCRIBERS, 10_000 if quick else 100_000)]


def _first_push() -> Figure:
    """A worker at rest; a story is committed: when does the first receiver have it?"""
    waits = []
    with tempfile.TemporaryDirectory() as name, running_receivers() as sink:
        file = newsroom.build(Path(name))
        house = newsroom.enter(file)
        newsroom.subscribe(house, sink.urls(20))
        sink.expect(20)
        newsroom.publish(house, 0)
        with running_worker(file):
            sink.times()
            for number in range(1, 6):
                time.sleep(REST_SECONDS)
                sink.expect(20)
                newsroom.publish(house, number)
                committed = time.monotonic()
                waits.append(sink.times()[0] - committed)
    return Figure(
        goal_id="P12",
        what="story committed, first push received",
        value=statistics.median(waits),
        unit="s",
        floor=1.5,
        goal=0.3,
        more_is_better=False,
        beside={"slowest of five": f"{max(waits):.2f} s"},
    )


def _memory(few: int, many: int) -> list[Figure]:
    small, large = _peak_mib(few), _peak_mib(many)
    what, beside = f"memory of the sender, {many:,} owed", {f"with {few:,} owed": f"{small:.0f} MiB"}
    return [
        Figure(goal_id="P11", what=what, value=large, unit="MiB", floor=120, goal=80, more_is_better=False, beside=beside),
        Figure(goal_id="P11", what=what, value=large / small, unit=f"× with {few:,}", floor=1.3, goal=1.1, more_is_better=False),
    ]


def _peak_mib(owed: int) -> float:
    """Owe so many deliveries, let a worker send some thousands of them, and return the most memory it held."""
    with tempfile.TemporaryDirectory() as name, running_receivers() as sink:
        file = newsroom.build(Path(name))
        house = newsroom.enter(file)
        newsroom.subscribe(house, sink.urls(SUBSCRIBERS))
        for number in range(max(owed // SUBSCRIBERS, 1)):
            newsroom.publish(house, number)
        sink.expect(min(owed, 4 * SUBSCRIBERS))
        with running_worker(file) as worker:
            sink.times()
            return peak_mib(worker.pid)


def peak_mib(pid: int) -> float:
    """The most memory that process `pid` has held so far (proc(5), VmHWM)."""
    return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").open() if line.startswith("VmHWM"))


@contextmanager
def running_worker(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `syndicator worker` with the settings in `file`."""
    worker = subprocess.Popen([sys.executable, "-m", "syndicator", "--config", str(file), "worker"])
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(15)
