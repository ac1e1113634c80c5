"""Bodies are taken as they come, bounded in bytes and time, and handed on only when they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from syndicator.web.reception import OF_ALL, OF_ONE, Reception, Refused

MOST = 100


class Fields(dict[str, str]):
    """Request fields, as RSGI has them."""

    def keys(self) -> list[str]:  # type: ignore[override]
        return list(self)

    def get_all(self, key: str) -> list[str]:
        return [self[key]] if key in self else []


@dataclass
class Sent:
    """A request as a server hands it over, and its body: in pieces, with an empty one at its end; or one that stalls for ever."""

    headers: Fields
    pieces: list[bytes]
    stalls: bool = False
    taken: int = 0
    method: str = "POST"
    path: str = "/"
    query_string: str = ""
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:80"
    client: str = "192.0.2.1:5"
    authority: str | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += len(piece)
            yield piece
        if self.stalls:
            await asyncio.Event().wait()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        raise NotImplementedError

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        raise NotImplementedError

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str) -> None:
        raise NotImplementedError


def plain(*pieces: bytes, length: int | None = None, stalls: bool = False) -> Sent:
    said = sum(map(len, pieces)) if length is None else length
    return Sent(Fields({"content-length": str(said)}), [*pieces, b""], stalls)


def chunked(*pieces: bytes) -> Sent:
    return Sent(Fields({"transfer-encoding": "chunked"}), list(pieces))


async def take(reception: Reception, sent: Sent, asker: str = "a") -> tuple[bytes, int | None]:
    async with reception.body(sent, sent, asker) as body:
        return body


def taken(sent: Sent, seconds: float = 60) -> tuple[bytes, int | None]:
    return asyncio.run(take(Reception(MOST, seconds), sent))


def refused(sent: Sent, seconds: float = 60) -> tuple[int, dict[str, str]]:
    with pytest.raises(Refused) as caught:
        taken(sent, seconds)
    return caught.value.answer.status, dict(caught.value.answer.headers)


def test_a_body_is_handed_on_whole_with_its_length() -> None:
    assert taken(plain(b"he", b"llo")) == (b"hello", 5)
    assert taken(chunked(b"he", b"llo", b"")) == (b"hello", 5)
    assert taken(plain()) == (b"", 0)
    assert taken(Sent(Fields(), [])) == (b"", None)


def test_a_body_that_says_it_is_too_long_is_not_received_but_left_to_the_application() -> None:
    sent = plain(b"x" * 101)
    assert taken(sent) == (b"", 101)
    assert sent.taken == 0


def test_a_body_that_turns_out_too_long_is_received_no_further_than_shows_it() -> None:
    sent = chunked(*[b"x" * 30] * 50, b"")
    assert taken(sent)[1] == 120
    assert sent.taken == 120


@pytest.mark.parametrize("sent", [plain(b"he", length=5), chunked(b"he", b"", b""), plain(b"hello", length=4)])
def test_a_body_that_broke_off_is_never_taken_for_a_whole_one(sent: Sent) -> None:
    status, headers = refused(sent)
    assert (status, headers["Connection"]) == (400, "close")


def test_a_body_that_does_not_come_is_waited_for_only_so_long() -> None:
    status, headers = refused(plain(b"he", length=5, stalls=True), seconds=0.01)
    assert (status, headers["Connection"]) == (408, "close")


def test_one_address_and_all_together_hold_only_so_much_and_others_are_served() -> None:
    async def scene() -> None:
        reception = Reception(MOST)

        async def hold(asker: str) -> asyncio.Task[tuple[bytes, int | None]]:
            sent = plain(b"x" * 99, length=100, stalls=True)
            sent.pieces.pop()
            task = asyncio.create_task(take(reception, sent, asker))
            while sent.taken < 99:
                await asyncio.sleep(0)
            return task

        held = [await hold("greedy") for _ in range(OF_ONE)]
        with pytest.raises(Refused) as caught:
            await take(reception, plain(b"x" * 100), "greedy")
        assert dict(caught.value.answer.headers)["Retry-After"] == "5"
        assert await take(reception, plain(b"x" * 100), "other") == (b"x" * 100, 100)
        held += [await hold(f"one of many {number}") for number in range(OF_ALL - OF_ONE)]
        with pytest.raises(Refused):
            await take(reception, plain(b"x" * 100), "other")
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        assert await take(reception, plain(b"x" * 100), "greedy") == (b"x" * 100, 100)
        assert not reception._held

    asyncio.run(scene())


def test_a_thousand_slow_senders_keep_nobody_from_sending() -> None:
    async def scene() -> None:
        reception = Reception(MOST)
        slow = []
        for number in range(1000):
            sent = Sent(Fields({"content-length": "99"}), [b""[:0]], stalls=True)
            sent.pieces.clear()
            slow.append(asyncio.create_task(take(reception, sent, str(number % 2))))
        await asyncio.sleep(0)
        assert await take(reception, plain(b"hello"), "0") == (b"hello", 5)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(scene())
