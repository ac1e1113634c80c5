"""More work than there is room for is turned away, and who polls without care hurts nobody but itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from syndicator.documents import Document, write_document
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.load import NoRoom, Room
from syndicator.web.meter import Meter, Rate
from syndicator.web.poll_limits import DOCUMENTS, PollLimits
from tests.clocks import HandClock
from tests.polled import polled

DOCUMENT = Document("application/rss+xml", b"<rss/>", (), datetime(2026, 1, 1, tzinfo=UTC), 60, cors=False, immutable=False)
RATE = Rate(2, 60)
MOST = RATE.amount * DOCUMENTS


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Meter]:
    opened = Meter(tmp_path / "polls.meter")
    yield opened
    opened.close()


def layer(tmp_path: Path, meter: Meter, clock: HandClock, trusted_proxies: int = 0) -> Client:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    return client_of(tmp_path, PollLimits(meter, RATE, clock=clock), trusted_proxies)


def client_of(tmp_path: Path, limits: PollLimits, trusted_proxies: int = 0) -> Client:
    return Client(polled(ByteLayer(tmp_path, limits), Response("application", 404), trusted_proxies))


def poll(client: Client, address: str = "192.0.2.1", **fields: str) -> Response:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return client.get("/feeds/latest.rss", headers=headers, environ_overrides={"REMOTE_ADDR": address})


class Work:
    """What takes until it is told to end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Semaphore(0), threading.Event()

    def __call__(self) -> str:
        self.begun.release()
        assert self.may_end.wait(30)
        return "done"


def test_work_beyond_the_room_is_refused_at_once_and_the_other_done() -> None:
    async def scene() -> None:
        room, work = Room(running=2, waiting=0, seconds=60), Work()
        inside = [asyncio.create_task(room.do(work)) for _ in range(2)]
        for _ in inside:
            await asyncio.to_thread(work.begun.acquire)
        with pytest.raises(NoRoom):
            await room.do(work)
        work.may_end.set()
        assert await asyncio.gather(*inside) == ["done", "done"]
        assert await room.do(work) == "done"

    asyncio.run(scene())


def test_a_burst_waits_a_little_and_is_done() -> None:
    async def scene() -> list[int]:
        room = Room(running=1, waiting=29, seconds=60)
        return await asyncio.gather(*(room.do(lambda: 1) for _ in range(30)))

    assert asyncio.run(scene()) == [1] * 30


def test_who_waits_too_long_is_sent_away() -> None:
    async def scene() -> None:
        room, work = Room(running=1, waiting=5, seconds=0.01), Work()
        inside = asyncio.create_task(room.do(work))
        await asyncio.to_thread(work.begun.acquire)
        with pytest.raises(NoRoom):
            await room.do(work)
        work.may_end.set()
        assert await inside == "done"
        assert await room.do(work) == "done"

    asyncio.run(scene())


def test_a_fault_gives_its_room_back() -> None:
    async def scene() -> None:
        room = Room(running=1, waiting=0, seconds=60)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await room.do(lambda: 1 / 0)

    asyncio.run(scene())


def test_an_address_that_fetches_whole_documents_again_and_again_is_told_to_wait(
    tmp_path: Path, meter: Meter, clock: HandClock
) -> None:
    client = layer(tmp_path, meter, clock)
    answers = [poll(client).status_code for _ in range(MOST + 1)]
    assert answers == [200] * MOST + [429]
    refused = poll(client)
    assert refused.headers["Retry-After"] == "3"
    assert b"If-None-Match" in refused.data
    assert poll(client, address="192.0.2.2").status_code == 200
    clock.advance(timedelta(seconds=3))
    assert poll(client).status_code == 200
    assert poll(client).status_code == 429


def test_neighbours_that_send_validators_are_served_beside_one_that_does_not(
    tmp_path: Path, meter: Meter, clock: HandClock
) -> None:
    client = layer(tmp_path, meter, clock)
    first = poll(client)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    for _ in range(MOST * 2):
        poll(client)
    for _ in range(MOST * 2):
        assert poll(client, If_None_Match=tag).status_code == 304
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"<new/>", updated=DOCUMENT.updated + timedelta(hours=1)))
    assert poll(client, If_None_Match=tag).data == b"<new/>"
    assert poll(client, If_None_Match=f'"x", W/{tag}').data == b"<new/>"
    assert poll(client, If_Modified_Since=date).data == b"<new/>"
    for invented in ({}, {"If_None_Match": '"invented"'}, {"User_Agent": "Googlebot"}, {"X_Forwarded_For": "192.0.2.9"}):
        assert poll(client, **invented).status_code == 429


def test_a_process_that_has_just_started_knows_the_readers_too(tmp_path: Path, meter: Meter, clock: HandClock) -> None:
    tag = poll(layer(tmp_path, meter, clock)).headers["ETag"]
    for number in range(20):
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"<new/>" * number))
    fresh = client_of(tmp_path, PollLimits(meter, RATE, clock=clock))
    for _ in range(MOST * 2):
        poll(fresh)
    assert poll(fresh).status_code == 429
    assert poll(fresh, If_None_Match=tag).status_code == 200


def test_even_readers_do_not_fetch_without_end(tmp_path: Path, meter: Meter, clock: HandClock) -> None:
    client = layer(tmp_path, meter, clock)
    tag = poll(client).headers["ETag"]
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"<new/>"))
    answers = {poll(client, If_None_Match=tag).status_code for _ in range(MOST * 11)}
    assert answers == {200, 429}


def test_processes_that_count_ahead_grant_no_more_than_the_allowance(tmp_path: Path, clock: HandClock) -> None:
    most = 500 * DOCUMENTS
    processes = [PollLimits(Meter(tmp_path / "polls.meter"), Rate(500, 60), clock=clock) for _ in range(2)]
    granted = sum(processes[number % 2].wait_seconds("192.0.2.1", reader=False) == 0 for number in range(most + 500))
    assert granted == most
    clock.now += timedelta(seconds=30)
    assert sum(processes[0].wait_seconds("192.0.2.1", reader=False) == 0 for _ in range(most)) == most // 2


def test_behind_our_proxy_the_readers_address_counts(tmp_path: Path, meter: Meter, clock: HandClock) -> None:
    client = layer(tmp_path, meter, clock, trusted_proxies=1)
    for _ in range(MOST + 1):
        last = poll(client, X_Forwarded_For="203.0.113.5")
    assert last.status_code == 429
    assert poll(client, X_Forwarded_For="203.0.113.6").status_code == 200
    assert (
        poll(client, X_Forwarded_For="203.0.113.6, 203.0.113.5").status_code == 429
    )  # what the reader wrote itself is not believed


def test_one_ipv6_network_is_one_asker(tmp_path: Path, meter: Meter, clock: HandClock) -> None:
    client = layer(tmp_path, meter, clock)
    for number in range(MOST + 1):
        last = poll(client, address=f"2001:db8:1:2::{number:x}")
    assert last.status_code == 429
    assert poll(client, address="2001:db8:1:3::1").status_code == 200
