"""How fast, how soon and how small the fan-out is (goals P4, P6, P8, P11, P12): real rows, signatures and connections.

Compared with a bare aiohttp loop that signs and posts the same bytes with no database. 2,000 receivers, each another host, a new
connection each; the receivers are one process beside. Loopback only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from sqlalchemy import delete, insert, update

from benchmarks import newsroom
from benchmarks.figure import Figure
from benchmarks.receivers import Sink, running_receivers
from syndicator.channels.webhook import new_webhook_secret
from syndicator.delivery.engine import Engine
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState
from syndicator.domain.publishers import PublisherState
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.publishers import add_publisher, decide

CONCURRENCY = 256


def measure(quick: bool) -> list[Figure]:
    count, rounds = (500, 1) if quick else (2000, 3)
    figures = []
    with running_receivers() as sink:
        with tempfile.TemporaryDirectory() as name:
            figures += _speed(Path(name), sink, count, rounds)
        with tempfile.TemporaryDirectory() as name:
            figures.append(_hanging(Path(name), sink, count // 2))
        figures.append(_first_push(sink))
    with tempfile.TemporaryDirectory() as name:
        figures.append(_enqueue(Path(name), 10_000))
    figures.append(_memory(count, 10_000 if quick else 100_000))
    return figures


def subscribe(house: House, urls: list[str]) -> None:
    """Approve a publisher and subscribe it at `urls`."""
    at = house.clock()
    with house.sessions.begin() as session:
        made = add_publisher(session, name="Courier", email="wire@courier.example", domains=[], actor="bench", at=at)
        decide(session, house, made.public_id, PublisherState.APPROVED, reason="bench", actor="bench", at=at, terms_signed=True)
        secret = house.vault.lock(new_webhook_secret())
        rows = [
            {
                "public_id": new_id("sub_"),
                "publisher_id": made.id,
                "feed": "latest",
                "channel": ChannelKind.WEBHOOK,
                "endpoint": url,
                "options": {},
                "state": SubscriptionState.ACTIVE,
                "secret": secret,
                "created_at": at,
            }
            for url in urls
        ]
        session.execute(insert(Subscription), rows)


def fan_out(engine: Engine, sink: Sink, number: int, expected: int) -> tuple[float, float]:
    """Publish a story to everybody; returns seconds until the last receiver had it, and until all was recorded."""
    sink.expect(expected)
    newsroom.publish(engine.house, number)
    began = time.monotonic()
    engine.drain_due()
    recorded = time.monotonic() - began
    return sink.times()[1] - began, recorded


async def _bare(urls: list[str], body: bytes) -> None:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY, force_close=True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def post(url: str) -> None:
            signature = hmac.new(url.encode(), body, hashlib.sha256).hexdigest()
            async with session.post(url, data=body, headers={"webhook-signature": signature}) as answer:
                await answer.read()

        await asyncio.gather(*(post(url) for url in urls))


def _speed(folder: Path, sink: Sink, count: int, rounds: int) -> list[Figure]:
    house = newsroom.enter(newsroom.build(folder))
    urls = sink.urls(count)
    subscribe(house, urls)
    engine = newsroom.engine_of(folder / "config.toml")
    fan_out(engine, sink, 0, count)  # what is loaded once
    ours, recorded, bare = [], [], []
    for number in range(1, rounds + 1):
        last, all_of_it = fan_out(engine, sink, number, count)
        ours.append(last)
        recorded.append(all_of_it)
        sink.expect(count)
        began = time.monotonic()
        asyncio.run(_bare(urls, b"x" * 6000))
        bare.append(sink.times()[1] - began)
    engine.close()
    took, peer = statistics.median(ours), statistics.median(bare)
    return [
        Figure(
            goal_id="P4",
            what=f"fan-out end to end, {count:,} receivers",
            value=peer / took,
            unit="× aiohttp",
            floor=1.5,
            goal=3,
            beside={
                "last receiver": f"{took:.2f} s ({count / took:,.0f}/s)",
                "recorded": f"{statistics.median(recorded):.2f} s",
                "aiohttp without a database": f"{peer:.2f} s ({count / peer:,.0f}/s)",
            },
        )
    ]


def _hanging(folder: Path, sink: Sink, count: int) -> Figure:
    """One in ten receivers never answers: when have the others the story?"""
    house = newsroom.enter(newsroom.build(folder))
    urls = sink.urls(count)
    subscribe(house, urls)
    engine = newsroom.engine_of(folder / "config.toml")
    fan_out(engine, sink, 0, count)
    none = min(fan_out(engine, sink, number, count)[0] for number in (1, 2))
    engine.close()
    for url in urls[::10]:
        hanging = url.rpartition("/")[0] + "/hang"
        with house.sessions.begin() as session:
            session.execute(update(Subscription).where(Subscription.endpoint == url).values(endpoint=hanging))
    first, known = [], []
    for number in (10, 20):  # the less disturbed of two, as above
        engine = newsroom.engine_of(folder / "config.toml")  # it knows nobody yet
        first.append(fan_out(engine, sink, number, count - len(urls[::10]))[0])
        _forget(house)
        known.append(fan_out(engine, sink, number + 1, count - len(urls[::10]))[0])
        _forget(house)
        engine.close()
    return Figure(
        goal_id="P6",
        what=f"last good receiver, 10 % of {count:,} hanging",
        value=min(first) / none,
        unit="× none",
        floor=2.0,
        goal=1.3,
        more_is_better=False,
        beside={"none hanging": f"{none:.2f} s", "first time": f"{min(first):.2f} s", "once known": f"{min(known) / none:.2f} ×"},
    )


def _forget(house: House) -> None:
    """Owe nothing any more, and let no endpoint rest: the sender alone is measured, not the breaker that spares it hosts."""
    with house.sessions.begin() as session:
        session.execute(delete(Attempt))
        session.execute(delete(Delivery).where(Delivery.state == DeliveryState.OWED))
        session.execute(update(Subscription).values(failures_in_row=0, resting_until=None))


def _first_push(sink: Sink) -> Figure:
    """A worker in a process of its own, idle, as in service; a story is committed: when does the first receiver have it?"""
    waits = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = newsroom.build(folder)
        house = newsroom.enter(file)
        subscribe(house, sink.urls(20))
        sink.expect(20)
        newsroom.publish(house, 0)
        with running_worker(file):
            sink.times()
            for number in range(1, 6):
                time.sleep(2.5)  # a newsroom at rest; in a burst documents are rendered less often, and pushes wait for them
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


def _enqueue(folder: Path, count: int) -> Figure:
    """Owing an event to everybody: our one statement against add_all of mapped rows."""
    house = newsroom.enter(newsroom.build(folder))
    newsroom.publish(house, 0)
    alone = _seconds_to_publish(house, 1)
    subscribe(house, [f"http://127.0.0.1:9/{number}" for number in range(count)])
    ours = min(_seconds_to_publish(house, number) for number in range(2, 5)) - alone
    with house.sessions.begin() as session:
        at = house.clock()
        rows = [
            Delivery(
                subscription_id=number,
                event_seq=1,
                story_id=1,
                version_number=1,
                state=DeliveryState.OWED,
                lane=1,
                created_at=at,
                next_attempt_at=at,
            )
            for number in range(1, count + 1)
        ]
        began = time.monotonic()
        session.add_all(rows)
        session.flush()
        peer = time.monotonic() - began
    return Figure(
        goal_id="P8",
        what=f"enqueue {count:,}",
        value=peer / max(ours, 0.001),
        unit="× add_all",
        floor=20,
        goal=50,
        beside={"ours": f"{ours * 1000:.0f} ms", "add_all": f"{peer * 1000:.0f} ms"},
    )


def _seconds_to_publish(house: House, number: int) -> float:
    began = time.monotonic()
    newsroom.publish(house, number)
    return time.monotonic() - began


def _memory(few: int, many: int) -> Figure:
    small, large = _peak_mib(few), _peak_mib(many)
    return Figure(
        goal_id="P11",
        what=f"memory of the sender, {many:,} owed",
        value=large,
        unit="MiB",
        floor=120,
        goal=80,
        more_is_better=False,
        beside={f"with {few:,} owed": f"{small:.0f} MiB", "ratio": f"{large / small:.2f} (floor ≤ 1.3, goal ≤ 1.1)"},
    )


def _peak_mib(owed: int) -> float:
    """Owe so many deliveries, let a worker as in service send some thousands of them, and return the most memory it held."""
    with tempfile.TemporaryDirectory() as name, running_receivers() as sink:
        folder = Path(name)
        file = newsroom.build(folder)
        house = newsroom.enter(file)
        subscribe(house, sink.urls(2000))
        for number in range(max(owed // 2000, 1)):
            newsroom.publish(house, number)
        sink.expect(min(owed, 8000))
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
