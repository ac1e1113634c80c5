"""The byte layer answers as `document_answers.answer` does, from memory, and never a moment longer than the file is true."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.wrappers import Response

from syndicator.documents import Document, read_document, remove_document, write_document
from syndicator.web import byte_layer
from syndicator.web.byte_layer import LOOK_SECONDS, Asked, ByteLayer
from syndicator.web.document_answers import answer
from tests.polled import polled

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DOCUMENT = Document(
    content_type="application/rss+xml; charset=utf-8",
    body=b"<rss/>" * 200,
    links=('<https://wire.example/hub>; rel="hub"',),
    updated=datetime(2026, 1, 2, tzinfo=UTC),
    max_age_seconds=300,
    cors=False,
    immutable=False,
)


def behind(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application that is handed everything else."""
    return Response("from the application", 404)(environ, start_response)


@pytest.fixture
def layer(tmp_path: Path) -> ByteLayer:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    write_document(tmp_path, "latest/archive/1.atom", replace(DOCUMENT, immutable=True))
    return ByteLayer(tmp_path)


def get(layer: ByteLayer, path: str = "/feeds/latest.rss", method: str = "GET", **fields: str) -> Response:
    return Client(polled(layer, behind)).open(
        path, method=method, headers={name.replace("_", "-"): value for name, value in fields.items()}
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("coding", ["", "gzip", "br, gzip", "*", "rubbish;;q=x"])
@pytest.mark.parametrize("condition", [None, "*", "gzip", "br", '"other"'])
def test_the_layer_says_what_the_document_says(
    layer: ByteLayer, tmp_path: Path, method: str, coding: str, condition: str | None
) -> None:
    stored = read_document(tmp_path / "latest.rss")
    fields = {"Accept_Encoding": coding}
    if condition is not None:
        fields["If_None_Match"] = stored.etags.get(condition, condition)
    expected = answer(stored, method, {f"HTTP_{name.upper()}": value for name, value in fields.items()}, private=False)
    for _ in range(2):  # the second comes from memory
        got = get(layer, method=method, **fields)
        assert (got.status_code, dict(got.headers), got.data) == (expected.status, dict(expected.headers), expected.body)


def test_a_new_document_is_seen_at_the_next_poll(layer: ByteLayer, tmp_path: Path) -> None:
    for turn in range(20):
        body = f"{turn:03}".encode()  # all of one length and of one second
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=body))
        assert get(layer).data == body


def test_a_removed_document_is_gone_at_the_next_poll(layer: ByteLayer, tmp_path: Path) -> None:
    assert get(layer).status_code == 200
    remove_document(tmp_path, "latest.rss")
    assert get(layer).data == b"from the application"
    write_document(tmp_path, "latest.rss", DOCUMENT)
    assert get(layer).status_code == 200


def test_what_is_done_to_files_by_hand_is_seen_after_a_second(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    now = [100.0]
    layer = ByteLayer(tmp_path, ticks=lambda: now[0])
    assert get(layer).status_code == 200
    (tmp_path / "latest.rss").unlink()
    assert get(layer).status_code == 200
    now[0] += LOOK_SECONDS
    assert get(layer).data == b"from the application"


def test_a_writer_that_died_before_it_told_is_made_up_for_by_the_next(layer: ByteLayer, tmp_path: Path) -> None:
    assert get(layer).data == DOCUMENT.body
    newer = replace(DOCUMENT, body=b"<new/>")
    write_document(tmp_path / "elsewhere", "latest.rss", newer)
    (tmp_path / "elsewhere" / "latest.rss").replace(tmp_path / "latest.rss")  # in its place, and nobody told
    assert not write_document(tmp_path, "latest.rss", newer)
    assert get(layer).data == b"<new/>"


def test_a_damaged_document_is_left_to_the_application(
    layer: ByteLayer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "latest.rss").write_bytes(b"rubbish")
    assert get(layer).data == b"from the application"
    assert "damaged" in caplog.text


def test_archives_are_answered_too(layer: ByteLayer) -> None:
    assert "immutable" in get(layer, "/feeds/latest/archive/1.atom").headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/feeds",
        "/feeds/",
        "/feeds/none.rss",
        "/feeds/latest.rss/",
        "/feeds/latest.rss/x.css",
        "/feeds/latest.xml",
        "/feeds/../feeds/latest.rss",
        "/feeds/%2e%2e/latest.rss",
        "/feeds/latest/../latest.rss",
        "//feeds/latest.rss",
        "/feeds//latest.rss",
        "/feeds/latest.rss%0a",
        "/feeds/latest/archive/0.rss",
        "/feeds/latest/archive/01.rss",
        "/feeds/latest/archive/1.rss",
        "/feeds/latest.rss/archive/1.rss",
        "/feeds/" + "a" * 5000 + ".rss",
        "/f/token/latest.rss",
    ],
)
def test_everything_else_is_handed_on(layer: ByteLayer, path: str) -> None:
    get(layer)  # what is in memory must not answer for it either
    assert get(layer, path).data == b"from the application"


def test_a_feed_that_is_public_no_longer_is_left_to_the_application(tmp_path: Path) -> None:
    for key in ("open.rss", "closed.rss", "closed/archive/1.rss"):
        write_document(tmp_path, key, DOCUMENT)
    layer = ByteLayer(tmp_path, feeds={"open"})
    assert get(layer, "/feeds/open.rss").status_code == 200
    for path in ("/feeds/closed.rss", "/feeds/closed/archive/1.rss"):
        assert get(layer, path).data == b"from the application"


@given(path=st.text(max_size=40).map("/feeds/".__add__))
@settings(max_examples=100, deadline=None)
def test_no_path_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "outside"
    write_document(folder, "latest.rss", DOCUMENT)
    (folder / "public").mkdir(exist_ok=True)
    layer = ByteLayer(folder / "public")
    assert layer.poll(path, Asked("GET", None, None, None), lambda: "") is None


def test_the_query_and_the_host_change_nothing(layer: ByteLayer) -> None:
    plain = get(layer)
    for other in (
        get(layer, "/feeds/latest.rss?x=1"),
        get(layer, Host="evil.example"),
        get(layer, X_Forwarded_Host="evil.example"),
    ):
        assert (other.data, list(other.headers)) == (plain.data, list(plain.headers))


def test_polls_are_counted_by_feed_format_and_status(layer: ByteLayer, tmp_path: Path) -> None:
    get(layer)
    get(layer)
    get(layer, If_None_Match="*")
    get(layer, "/feeds/latest/archive/1.atom")
    get(layer, "/feeds/none.rss")
    assert layer.counts == {("latest", "rss", 200): 2, ("latest", "rss", 304): 1, ("latest", "atom", 200): 1}


def test_memory_is_bounded(layer: ByteLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_layer, "MAX_CACHE_BYTES", 5_000)
    for number in range(1, 30):
        write_document(tmp_path, f"latest/archive/{number}.rss", replace(DOCUMENT, body=bytes([number]) * 1_000))
        assert get(layer, f"/feeds/latest/archive/{number}.rss").data == bytes([number]) * 1_000
    assert layer._held_bytes == sum(held.size for held in layer._held.values()) <= 5_000
    for number in range(500):
        get(layer, "/feeds/latest/archive/29.rss", If_None_Match=f'"{number}"')
    assert get(layer, "/feeds/latest/archive/29.rss", If_None_Match="x" * 5_000).status_code == 200
    ready = layer._held["/feeds/latest/archive/29.rss"].ready
    assert len(ready) <= byte_layer.MAX_REMEMBERED
    assert all(len(value or "") < 5_000 for fields in ready for value in fields)


def test_many_readers_beside_a_writer_get_whole_documents(layer: ByteLayer, tmp_path: Path) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def poll() -> None:
        try:
            while not done.is_set():
                got = get(layer)
                assert got.data == bytes([got.data[0]]) * (got.data[0] * 100)
        except BaseException as error:
            failures.append(error)

    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"\x01" * 100))
    readers = [threading.Thread(target=poll) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        letter = turn % 40 + 1
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=bytes([letter]) * (letter * 100)))
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
