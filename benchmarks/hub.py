"""The WebSub hub beside one built as flask-websub is (goal P13): a change of a topic with 1,000 subscribers, each another host.

Both have the subscriptions in SQLite, sign each body, and send from a process a core; ours are `syndicator worker`, as in
service. Ours is measured from the commit of the story, so noticing it, rendering, claims and records are in it; the peer from the
call that tells its hub. Interleaved; the median of the rounds counts. Loopback only.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from benchmarks import newsroom
from benchmarks.figure import Figure, need
from benchmarks.hub_peer import Peer
from benchmarks.loopback import free_port, running
from benchmarks.receivers import Sink, running_receivers
from benchmarks.worker import REST_SECONDS, running_worker
from syndicator.domain.base import new_id
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.hub import websub_key

SECRET = "a secret of the subscriber's"


def measure(quick: bool) -> list[Figure]:
    need("redis-server")
    count, rounds = (200, 1) if quick else (1000, 5)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return [_measure(folder, stack, stack.enter_context(running_receivers()), count, rounds)]


def _measure(folder: Path, stack: contextlib.ExitStack, sink: Sink, count: int, rounds: int) -> Figure:
    file = newsroom.build(folder)
    house = newsroom.enter(file)
    topic = f"{house.config.site.base_url}/feeds/latest.atom"
    urls = sink.urls(count)
    _subscribe(house, topic, urls)
    for _ in range(os.cpu_count() or 1):
        stack.enter_context(running_worker(file))
    port = free_port()
    redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    stack.enter_context(running([*redis, "--logfile", "/dev/null"], port))
    database, broker = str(folder / "peer.db"), f"redis://127.0.0.1:{port}/0"
    peer = Peer(database, broker)
    peer.subscribe(topic, urls, SECRET)
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hub_peer", database, broker], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(worker.wait, 15)
    stack.callback(worker.terminate)
    ours, theirs = [], []
    for number in range(rounds + 1):
        time.sleep(REST_SECONDS)
        sink.expect(count)
        newsroom.publish(house, number)
        began = time.monotonic()
        ours.append(sink.times()[1] - began)
        sink.expect(count)
        began = time.monotonic()
        peer.tell(topic, b"x" * 6000, "application/atom+xml")
        theirs.append(sink.times()[1] - began)
    own, other = statistics.median(ours[1:]), statistics.median(theirs[1:])  # the first round loads what is loaded once
    return Figure(
        goal_id="P13",
        what=f"hub, {count:,} subscribers",
        value=other / own,
        unit="× the peer",
        floor=10,
        goal=20,
        beside={
            "ours": f"{own:.2f} s ({count / own:,.0f}/s)",
            "as flask-websub does it": f"{other:.2f} s ({count / other:,.0f}/s)",
        },
    )


def _subscribe(house: House, topic: str, callbacks: list[str]) -> None:
    """Insert verified subscriptions."""
    at = house.clock()
    rows = [
        {
            "public_id": new_id("sub_"),
            "feed": "latest",
            "channel": ChannelKind.WEBSUB,
            "endpoint": callback,
            "options": {"format": "atom"},
            "state": SubscriptionState.ACTIVE,
            "secret": house.vault.lock(SECRET),
            "topic": house.vault.lock(topic),
            "websub_key": websub_key(topic, callback),
            "created_at": at,
        }
        for callback in callbacks
    ]
    with house.sessions.begin() as session:
        session.execute(insert(Subscription), rows)
