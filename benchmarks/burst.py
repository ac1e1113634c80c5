"""What a burst of stories costs (goal P10): how often feeds are rendered while 100 stories come in and 64 readers poll.

The engine runs in a process of its own, as always, and the byte layer in another. Loopback only.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import newsroom
from benchmarks.figure import Figure, need
from benchmarks.loopback import Asked, ask, free_port, running

STORIES = 100


def measure(quick: bool) -> list[Figure]:
    need("wrk")
    with tempfile.TemporaryDirectory() as name:
        return [_measure(Path(name))]


def _measure(folder: Path) -> Figure:
    file = newsroom.build(folder)
    house, port = newsroom.enter(file), free_port()
    for number in range(60):
        newsroom.publish(house, number)
    environment = {**os.environ, "SYNDICATOR_CONFIG": str(file)}
    web = [sys.executable, "-m", "syndicator", "--config", str(file), "web"]
    with running(web, port, {**environment, "SYNDICATOR_SERVER__PORT": str(port)}):
        engine = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.burst", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with engine:
            assert engine.stdout is not None
            assert engine.stdin is not None
            engine.stdout.readline()  # it has rendered what was there
            polls: list[Asked] = []
            poller = threading.Thread(target=lambda: polls.append(ask(f"http://127.0.0.1:{port}/feeds/latest.rss", 3)))
            poller.start()
            began = time.monotonic()
            for number in range(1000, 1000 + STORIES):
                newsroom.publish(house, number)
                time.sleep(0.01)  # about what reading one from its source takes
            took = time.monotonic() - began
            poller.join()
            engine.stdin.close()
            told = json.loads(engine.stdout.read())
    feeds = len(list(house.catalogue))
    return Figure(
        goal_id="P10",
        what=f"renders of a feed, {STORIES} stories at once, 64 pollers",
        value=told["turns"],
        unit="renders",
        floor=10,
        goal=3,
        more_is_better=False,
        beside={
            "stories": f"{STORIES / took:,.0f}/s committed",
            "polls meanwhile": f"{polls[0].per_second:,.0f}/s",
            f"renders of {feeds} feeds": f"{told['renders']} in all; with one each per story {STORIES * feeds}",
        },
    )


def run_engine(file: Path) -> None:
    """Take turns until standard input ends; print a line when all is rendered, and at last in how many
    turns something was, which is the most that any one feed was, and how often feeds were rendered in all."""
    from syndicator.delivery.pace import Pace
    from syndicator.operations.render_feeds import render_stale

    house = newsroom.enter(file)
    engine = newsroom.engine_of(file)
    render_stale(house)
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=_set_at_end_of_input, args=[ended], daemon=True).start()
    rendered = []
    engine.pace = Pace(engine.ticks)
    while not ended.is_set():
        rendered.append(engine.turn(0.1).rendered)
    print(json.dumps({"turns": sum(map(bool, rendered)), "renders": sum(rendered)}))


def _set_at_end_of_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run_engine(Path(sys.argv[1]))
