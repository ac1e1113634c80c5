"""How fast the fan-out is (goals P4, P5, P6): real rows, signatures and connections, plain and over TLS, to receivers that hang.

Compared with a bare aiohttp loop and with tuned requests, which sign and post as many bytes with no database, and with our own
sender alone, which shows what rows and records cost. 2,000 receivers, each another host, a new connection each; the receivers are
one process beside. Interleaved; the median of the rounds counts. Loopback only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import requests
from sqlalchemy import delete, update

from benchmarks import newsroom
from benchmarks.figure import Figure
from benchmarks.receivers import Sink, running_receivers
from syndicator.border import Border
from syndicator.channels import Request
from syndicator.delivery.engine import Engine
from syndicator.delivery.sender import Sender
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.sending import post_channels

CONCURRENCY = 256
THREADS = 32
BODY = b"x" * 6000


def measure(quick: bool) -> list[Figure]:
    count, rounds = (500, 1) if quick else (2000, 3)
    with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as hanging, running_receivers() as sink:
        figures = [_speed(Path(plain), sink, count, rounds), *_hanging(Path(hanging), sink, count // 2)]
    with tempfile.TemporaryDirectory() as tls, tempfile.TemporaryDirectory() as name, running_receivers(Path(tls)) as sink:
        return [*figures, _speed(Path(name), sink, count, rounds, Path(tls) / "authority.pem")]


def fan_out(engine: Engine, sink: Sink, number: int, expected: int) -> tuple[float, float]:
    """Publish a story to everybody; returns seconds until the last receiver had it, and until all was recorded."""
    sink.expect(expected)
    newsroom.publish(engine.house, number)
    began = time.monotonic()
    engine.drain_due()
    recorded = time.monotonic() - began
    return sink.times()[1] - began, recorded


def _speed(folder: Path, sink: Sink, count: int, rounds: int, authority: Path | None = None) -> Figure:
    """The same story to everybody, by us and by the peers; over TLS when there is an `authority` to trust."""
    house = newsroom.enter(newsroom.build(folder))
    urls = sink.urls(count)
    newsroom.subscribe(house, urls)
    border = Border(house.config.outbound, "Syndicator/benchmark", ca_file=str(authority) if authority else None)
    engine = Engine(house, _sender(border, house), post_channels())
    peers: dict[str, Callable[[], None]] = {
        "aiohttp": lambda: asyncio.run(_aiohttp(urls, authority)),
        "requests": lambda: _requests(urls, authority),
        "our sender": lambda: _alone(_sender(border, house), urls),
    }
    fan_out(engine, sink, 0, count)  # what is loaded once
    ours, recorded = [], []
    took: dict[str, list[float]] = {peer: [] for peer in peers}
    for number in range(1, rounds + 1):
        last, all_of_it = fan_out(engine, sink, number, count)
        ours.append(last)
        recorded.append(all_of_it)
        for peer, post in peers.items():
            sink.expect(count)
            began = time.monotonic()
            post()
            took[peer].append(sink.times()[1] - began)
    engine.close()
    own, others = statistics.median(ours), {peer: statistics.median(each) for peer, each in took.items()}
    rates = {f"{peer} without a database": f"{count / each:,.0f}/s" for peer, each in others.items()}
    told = {"last receiver": f"{own:.2f} s ({count / own:,.0f}/s)", "recorded": f"{statistics.median(recorded):.2f} s"}
    return Figure(
        goal_id="P5" if authority else "P4",
        what=f"fan-out end to end, {count:,} receivers{', TLS' if authority else ''}",
        value=others["aiohttp"] / own,
        unit="× aiohttp",
        floor=1.0 if authority else 1.5,
        goal=1.5 if authority else 3,
        beside=told | rates,
    )


def _sender(border: Border, house: House) -> Sender:
    return Sender(border, concurrency=CONCURRENCY, per_host=house.config.push.max_in_flight_per_host)


def _signature(url: str) -> dict[str, str]:
    return {"webhook-signature": hmac.new(url.encode(), BODY, hashlib.sha256).hexdigest()}


async def _aiohttp(urls: list[str], authority: Path | None) -> None:
    trusted = ssl.create_default_context(cafile=authority) if authority else True
    connector = aiohttp.TCPConnector(limit=CONCURRENCY, force_close=True, ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def post(url: str) -> None:
            async with session.post(url, data=BODY, headers=_signature(url)) as answer:
                await answer.read()

        await asyncio.gather(*(post(url) for url in urls))


def _requests(urls: list[str], authority: Path | None) -> None:
    """A session for each thread, which asks no environment."""
    own = threading.local()

    def post(url: str) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.trust_env, own.session.verify = False, str(authority) if authority else True
        own.session.post(url, data=BODY, headers=_signature(url) | {"connection": "close"}, timeout=30)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(post, urls))


def _alone(sender: Sender, urls: list[str]) -> None:
    waiting = [
        (number, Request(url=url, headers=tuple(_signature(url).items()), pieces=(BODY,))) for number, url in enumerate(urls)
    ]
    while waiting or sender.in_flight:
        room = sender.room()
        for number, request in waiting[:room]:
            sender.submit(number, request)
        waiting = waiting[room:]
        sender.pump(0.1)
    sender.close()


def _hanging(folder: Path, sink: Sink, count: int) -> list[Figure]:
    """One in ten receivers never answers: when have the others the story?"""
    house = newsroom.enter(newsroom.build(folder))
    urls = sink.urls(count)
    newsroom.subscribe(house, urls)
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
    return [
        Figure(
            goal_id="P6",
            what=f"last good receiver, 10 % of {count:,} hanging, {when}",
            value=seconds / none,
            unit="× none",
            floor=floor,
            goal=goal,
            more_is_better=False,
            beside={"none hanging": f"{none:.2f} s", "so": f"{seconds:.2f} s"},
        )
        for when, seconds, floor, goal in (("first", min(first), 2.0, 1.3), ("known", min(known), 1.3, 1.0))
    ]


def _forget(house: House) -> None:
    """Owe nothing any more, and let no endpoint rest: the sender alone is measured, not the breaker that spares it hosts."""
    with house.sessions.begin() as session:
        session.execute(delete(Attempt))
        session.execute(delete(Delivery).where(Delivery.state == DeliveryState.OWED))
        session.execute(update(Subscription).values(failures_in_row=0, resting_until=None))
