"""Polling while stories are pushed to 1,000 subscribers (goal P7): rate and slowest answers, as parts of polling alone.

The feed that is polled does not hold the stories that are pushed, so all polls are 304s. nginx on a static file and feedgen at
each request are polled beside the same pushes, since all share the machine: what nginx loses nobody could keep. Interleaved; the
median of the rounds counts. Loopback only.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import insert

from benchmarks import newsroom, poll
from benchmarks.figure import Figure, need
from benchmarks.loopback import Asked, ask, free_port, running
from syndicator.delivery.engine import count_to_do
from syndicator.domain.base import new_id
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.render_feeds import render_stale

SUBSCRIBERS, STORIES = 1000, 60
EVERY_SECONDS = 0.5


def measure(quick: bool) -> list[Figure]:
    need("wrk", "nginx")
    rounds, seconds = (1, 2) if quick else (3, 4)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "peers").mkdir()
        folder.chmod(0o755)
        peers = poll.start_servers(folder / "peers", stack, only=("nginx", "naive"))
        urls = {which: server.url for which, server in peers.items()}
        file = newsroom.build(folder)
        house, port, sink = newsroom.enter(file), free_port(), free_port()
        for number in range(STORIES):
            newsroom.publish(house, number)
        render_stale(house)
        subscribe(house, sink)
        stack.enter_context(running([sys.executable, "-m", "benchmarks.sink", str(sink)], sink))
        settings = {**os.environ, "SYNDICATOR_SERVER__PORT": str(port), "SYNDICATOR_SERVER__WORKERS": "1"}
        command = [sys.executable, "-m", "syndicator", "--config", str(file)]
        stack.enter_context(running([*command, "web"], port, settings))
        stack.enter_context(running([*command, "worker"], port))
        _wait_for_worker(house, sink)
        urls["ours"] = f"http://127.0.0.1:{port}/feeds/military-and-defense.rss"
        return _measure(urls, house, sink, rounds, seconds)


def _measure(urls: dict[str, str], house: House, sink: int, rounds: int, seconds: int) -> list[Figure]:
    numbers = itertools.count(0, 3)  # all of them in Politics
    alone: dict[str, list[Asked]] = {which: [] for which in urls}
    beside: dict[str, list[Asked]] = {which: [] for which in urls}
    pushed = []
    for _ in range(rounds):
        for which, url in urls.items():
            _wait_until_sent(house)
            alone[which].append(ask(url, seconds, with_tag=True))
            before = _pushes(sink)
            with _correcting(house, numbers):
                beside[which].append(ask(url, seconds, with_tag=True))
            pushed.append((_pushes(sink) - before) / seconds)
    kept = {which: _rate(beside[which]) / _rate(alone[which]) for which in urls}
    p99 = {which: statistics.median(each.p99_ms for each in beside[which]) for which in urls}
    said = {
        which: f"{_rate(alone[which]):,.0f}/s, then {_rate(beside[which]):,.0f}/s ({kept[which]:.2f} ×), p99 {p99[which]:.3g} ms"
        for which in ("nginx", "ours", "naive")
    }
    told = {"pushes": f"{statistics.median(pushed):,.0f}/s", **said}
    return [
        Figure(
            goal_id="P7", what="polls while pushes leave", value=kept["ours"], unit="× alone", floor=0.4, goal=0.6, beside=told
        ),
        Figure(
            goal_id="P7",
            what="p99 of polls while pushes leave",
            value=p99["ours"],
            unit="ms",
            floor=10,
            goal=5,
            more_is_better=False,
        ),
    ]


def _rate(asked: list[Asked]) -> float:
    return statistics.median(each.per_second for each in asked)


def subscribe(house: House, sink: int, count: int = SUBSCRIBERS) -> None:
    """Insert subscribers, each at an address of its own, without the checks of the operation."""
    secret = house.vault.lock("whsec_" + "A" * 44)
    rows = [
        {
            "public_id": new_id("sub_"),
            "feed": "latest",
            "channel": ChannelKind.WEBHOOK,
            "endpoint": f"http://127.1.{number // 250}.{number % 250 + 1}:{sink}/",
            "options": {},
            "secret": secret,
            "state": SubscriptionState.ACTIVE,
            "created_at": house.clock(),
        }
        for number in range(count)
    ]
    with house.sessions.begin() as session:
        session.execute(insert(Subscription), rows)


@contextlib.contextmanager
def _correcting(house: House, numbers: itertools.count[int]) -> Iterator[None]:
    """Correct a story of another feed than the polled one until the end of the block; corrections wait for nothing."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            number = next(numbers)
            newsroom.correct(house, number % STORIES, f"correction {number}")
            ended.wait(EVERY_SECONDS)

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    ended.set()
    thread.join()


def _wait_until_sent(house: House) -> None:
    """Return when nothing is owed: what is left of the last pushes would else leave beside polls that are to be alone."""
    _wait_until(lambda: not count_to_do(house), "the worker does not get on")


def _wait_for_worker(house: House, sink: int) -> None:
    newsroom.publish(house, 996)
    _wait_until(lambda: _pushes(sink) >= SUBSCRIBERS, "nothing was pushed")


def _wait_until(true: Callable[[], bool], else_say: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, else_say
        time.sleep(0.1)


def _pushes(sink: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{sink}/") as answer:
        return int(answer.read())
