"""Sources that mean us harm: documents and servers that would cost memory, time or files cost a bounded pull (R17, R18, S4)."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

import brotli
import pytest
from sqlalchemy import func, select

from syndicator.domain.stories import Source, SourceKind, Story
from syndicator.house import House
from syndicator.jobs import get_job, run_job
from syndicator.operations.pull import pull_source
from syndicator.outbound import Outbound
from tests.intake.test_feed import RSS
from tests.receiver import Received, Receiver, Reply

HEAD, FOOT = b'<?xml version="1.0"?>', b"</channel></rss>"
ITEM = b"<item><guid>%d</guid><title>%s</title><description>%s</description></item>"
LAUGHS = b'<!ENTITY a0 "ha">' + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))


def rss(*items: bytes, before: bytes = HEAD) -> bytes:
    return before + b'<rss version="2.0"><channel><title>N</title>' + b"".join(items) + FOOT


def documents() -> Iterator[tuple[str, bytes]]:
    inside, outside = b"<!DOCTYPE r [%s]>", b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/xxe-hit">'
    yield "laughs", rss(ITEM % (1, b"&a9;", b"x"), before=HEAD + inside % LAUGHS)
    yield "quadratic", rss(ITEM % (1, b"&a;" * 50_000, b"x"), before=HEAD + inside % (b'<!ENTITY a "' + b"x" * 50_000 + b'">'))
    yield "local file", rss(ITEM % (1, b"&x;", b"x"), before=HEAD + inside % b'<!ENTITY x SYSTEM "file:///etc/passwd">')
    yield "parameter entity", rss(ITEM % (1, b"t", b"x"), before=HEAD + inside % b'<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;')
    yield "dtd elsewhere", rss(ITEM % (1, b"t", b"x"), before=HEAD + outside)
    yield "doctype in utf-16", rss(ITEM % (1, b"&a9;", b"x"), before=inside % LAUGHS).decode().encode("utf-16")
    ebcdic = b'<?xml version="1.0" encoding="cp037"?>' + inside % LAUGHS
    yield "doctype in ebcdic", rss(ITEM % (1, b"&a9;", b"x"), before=ebcdic).decode().encode("cp037")
    utf7 = b'<?xml version="1.0" encoding="utf-7"?>' + b"+ADwAIQ-DOCTYPE r [" + LAUGHS + b"]>"
    yield "doctype in utf-7", rss(ITEM % (1, b"&a9;", b"x"), before=utf7)
    yield "deep", rss(b"<item>" + b"<a>" * 200_000)
    yield "wide", rss(b"<item " + b"a='1' " * 100_000 + b">")
    yield "one long tag", rss(b"<item a='" + b"x" * 4_000_000 + b"'>")
    yield "many categories", rss(b"<item><guid>1</guid>" + b"<category>x</category>" * 100_000 + b"</item>")
    yield "many entries", rss(*[ITEM % (1, b"t", b"x")] * 100_000)
    yield "nested divs", rss(ITEM % (1, b"t", b"<![CDATA[" + b"<div>" * 100_000 + b"]]>"))
    yield "nested spans", rss(ITEM % (1, b"t", b"<![CDATA[" + b"<b><i>" * 100_000 + b"]]>"))
    yield "open tags", rss(ITEM % (1, b"t", b"<![CDATA[" + b"<a " * 300_000 + b"]]>"))
    yield "long title", rss(ITEM % (1, b"t" * 4_000_000, b"x"))
    yield "ampersands", rss(ITEM % (1, b"t", b"&amp;" * 500_000))
    yield "shortcodes", rss(ITEM % (1, b"t", b"[a " * 500_000))
    yield "brackets", b'{"version":"https://jsonfeed.org/version/1","items":[' + b"[]," * 4_000_000 + b"[]]}"
    yield "deep json", b'{"version":"https://jsonfeed.org/version/1","items":' + b"[" * 4_000_000
    yield "nothing", b"\x00" * 4_000_000
    yield "no end", RSS[:-200]
    yield "words", b"Not Found" * 1000


DOCUMENTS = dict(documents())


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def house(house: House) -> House:
    """A house whose ways out take no longer than a test has."""
    quick = house.config.outbound.model_copy(update={"total_timeout_seconds": 3.0})
    return replace(house, config=house.config.model_copy(update={"outbound": quick}))


def add_feed(house: House, url: str, name: str = "hostile") -> int:
    with house.sessions.begin() as session:
        source = Source(name=name, kind=SourceKind.FEED, url=url, every_seconds=300, cursor={}, next_pull_at=house.clock())
        session.add(source)
        session.flush()
        return source.id


def count_stories(house: House) -> int:
    with house.sessions() as session:
        return session.scalar(select(func.count(Story.id))) or 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_costs_a_bounded_pull_and_leaks_nothing(house: House, name: str) -> None:
    outbound = Outbound(house.config.outbound, "test")
    with Receiver(lambda request: Reply(body=DOCUMENTS[name])) as receiver:
        source_id = add_feed(house, receiver.url)
        began = monotonic()
        report = pull_source(house, outbound, source_id)
        assert monotonic() - began < 60
        stories = count_stories(house)
        assert stories <= 1
        if stories:
            pull_source(house, outbound, source_id)
            assert count_stories(house) == 1  # the same document again makes nothing
        assert {request.target for request in receiver.received} == {"/"}
    assert "root:" not in report.words
    with house.sessions() as session:
        for story in session.scalars(select(Story)):
            assert "root:" not in story.current.headline + story.current.body_html


def packed_zeros(mebibytes: int) -> bytes:
    """A gzip member that unpacks to so many MiB of zeros, made without packing them: one flushed block, again and again."""
    packer = zlib.compressobj(wbits=31)
    first, again = (packer.compress(b"\0" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (mebibytes - 1)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", packed_zeros(10 * 1024)),  # 10 GiB
        ("gzip, gzip", gzip.compress(packed_zeros(2 * 1024))),
        ("br", brotli.compress(b"\0" * 100_000_000, quality=1)),
        ("gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip", gzip.compress(b"x")),
    ],
    ids=["gzip", "twice", "brotli", "eight times"],
)
def test_a_packed_bomb_is_put_out_early(house: House, coding: str, body: bytes) -> None:
    limit = house.config.intake.max_document_bytes
    outbound = Outbound(house.config.outbound.model_copy(update={"total_timeout_seconds": 60.0}), "test")
    with Receiver(lambda request: Reply(headers=(("Content-Encoding", coding),), body=body)) as receiver:
        source_id = add_feed(house, receiver.url)
        tracemalloc.start()
        try:
            assert pull_source(house, outbound, source_id).failed
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < limit + 2 * len(body) + 100_000_000


TRICKS = {
    "drip": Reply(drip=True),
    "endless": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 60_000_000),
    "hang": Reply(hang=True),
    "endless headers": Reply(drip=True, raw=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90),
    "many headers": Reply(headers=tuple((f"X-{number}", "y") for number in range(5000))),
    "long header": Reply(headers=(("X-Long", "y" * 1_000_000),)),
    "no http": Reply(raw=b"220 mail.example ESMTP\r\n"),
    "short": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n<rss>"),
    "bad chunks": Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nx\r\n"),
    "endless chunk": Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"),
    "to itself": Reply(status=302, headers=(("Location", "/"),)),
    "inside": Reply(status=302, headers=(("Location", "http://169.254.169.254/latest/"),)),
    "unasked 304": Reply(status=304),
    "no content": Reply(status=204),
    "in part": Reply(status=206, body=RSS),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_server_costs_a_bounded_pull_and_delays_no_other_source(house: House, trick: str) -> None:
    outbound = Outbound(house.config.outbound, "test")
    with Receiver(lambda request: TRICKS[trick]) as hostile, Receiver(lambda request: Reply(body=RSS)) as honest:
        add_feed(house, hostile.url)
        add_feed(house, honest.url, "honest")
        began = monotonic()
        run_job(get_job("pull-sources"), house, outbound)
        assert monotonic() - began < 30
    assert count_stories(house) == 1


def test_a_source_that_hangs_keeps_no_other_waiting(house: House) -> None:
    """The honest one is read while the hostile one still hangs."""
    outbound = Outbound(house.config.outbound.model_copy(update={"total_timeout_seconds": 30.0}), "test")
    answered: list[Received] = []

    def honest(request: Received) -> Reply:
        answered.append(request)
        hostile.release()
        return Reply(body=RSS)

    with Receiver(lambda request: Reply(hang=True)) as hostile, Receiver(honest) as other:
        add_feed(house, hostile.url)
        add_feed(house, other.url, "honest")
        run_job(get_job("pull-sources"), house, outbound)
    assert (len(answered), count_stories(house)) == (1, 1)
