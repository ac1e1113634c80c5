"""Documents on disk and the whole truth of a conditional request, as a table (RFC 9110 sections 8, 12.5.3, 13)."""

from __future__ import annotations

import gzip
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.http import http_date

from syndicator.documents import (
    CODINGS,
    MOST_FORMER,
    DamagedDocument,
    Document,
    DocumentNotFound,
    Stored,
    document_path,
    read_document,
    remove_document,
    write_document,
)
from syndicator.web.document_answers import answer, choose_coding

UPDATED = datetime(1994, 11, 6, 8, 49, 37, 123456, UTC)
DOCUMENT = Document(
    content_type="application/feed+json; charset=utf-8",
    body=b'{"items": []}' * 100,
    links=('<https://wire.example/hub>; rel="hub"', '<https://wire.example/feeds/latest.json>; rel="self"'),
    updated=UPDATED,
    max_age_seconds=300,
    cors=True,
    immutable=False,
)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    write_document(tmp_path, "latest.json", DOCUMENT)
    return read_document(tmp_path / "latest.json")


def ask(stored: Stored, method: str = "GET", *, private: Any = False, **fields: str) -> tuple[int, dict[str, str], bytes]:
    environ = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    status, headers, body = answer(stored, method, environ, private=private)
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names)
    return status, dict(headers), body


# --- On disk


def test_a_document_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert write_document(tmp_path, "latest/archive/3.atom", DOCUMENT)
    stored = read_document(document_path(tmp_path, "latest/archive/3.atom"))
    assert stored.body == DOCUMENT.body
    assert gzip.decompress(stored.bodies["gzip"]) == DOCUMENT.body
    assert brotli.decompress(stored.bodies["br"]) == DOCUMENT.body
    assert (stored.content_type, stored.links, stored.cors) == (DOCUMENT.content_type, DOCUMENT.links, True)
    assert stored.updated == UPDATED.replace(microsecond=0)
    assert len({*stored.etags.values()}) == len(CODINGS)


def test_an_equal_document_is_not_written_again(tmp_path: Path) -> None:
    assert write_document(tmp_path, "latest.rss", DOCUMENT)
    before = (tmp_path / "latest.rss").stat()
    assert not write_document(tmp_path, "latest.rss", replace(DOCUMENT))
    assert (tmp_path / "latest.rss").stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"other"},
        {"links": ()},
        {"max_age_seconds": 60},
        {"cors": False},
        {"immutable": True},
        {"updated": UPDATED + timedelta(seconds=1)},
        {"content_type": "application/rss+xml"},
    ],
)
def test_any_difference_is_written(tmp_path: Path, change: dict[str, object]) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    before = (tmp_path / "latest.rss").stat()
    assert write_document(tmp_path, "latest.rss", replace(DOCUMENT, **change))  # type: ignore[arg-type]
    after = (tmp_path / "latest.rss").stat()
    assert (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)


def test_other_bytes_never_keep_the_last_modified_that_readers_have(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT, at=UPDATED)
    later = UPDATED + timedelta(seconds=30)
    assert write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"other"), at=later)
    changed = read_document(tmp_path / "latest.rss")
    assert ask(changed, if_modified_since=http_date(UPDATED))[0] == 200
    assert ask(changed, if_modified_since=http_date(changed.updated))[0] == 304
    assert not write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"other"), at=later)
    older = replace(DOCUMENT, body=b"committed late", updated=UPDATED - timedelta(seconds=5))
    assert write_document(tmp_path, "latest.rss", older, at=later)
    assert read_document(tmp_path / "latest.rss").updated == UPDATED.replace(microsecond=0) + timedelta(seconds=2)


def test_last_modified_is_never_ahead_of_the_clock(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT, at=UPDATED)
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"other"), at=UPDATED)
    assert read_document(tmp_path / "latest.rss").updated <= UPDATED


@given(body=st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_equal_content_gives_equal_files_and_tags(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder in (one, two):
        write_document(folder, "latest.rss", replace(DOCUMENT, body=body))
    assert (one / "latest.rss").read_bytes() == (two / "latest.rss").read_bytes()
    assert (one / "latest.rss").stat().st_mtime_ns == (two / "latest.rss").stat().st_mtime_ns


@pytest.mark.parametrize(
    "key",
    [
        "../latest.rss",
        "/etc/passwd",
        "latest",
        "a/../b.rss",
        ".hidden.rss",
        "A.rss",
        "a.rss\n",
        "",
        "a//b.rss",
        "é.rss",
        "a\0.rss",
    ],
)
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not the key"):
        document_path(tmp_path, key)


@pytest.mark.parametrize("link", ["<x>; rel=self\r\nSet-Cookie: a=b", "<x>\0", "<é>"])
def test_nothing_that_could_split_a_header_is_stored(tmp_path: Path, link: str) -> None:
    with pytest.raises(ValueError, match="header"):
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, links=(link,)))


def test_a_removed_document_is_gone(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    assert remove_document(tmp_path, "latest.rss")
    assert not remove_document(tmp_path, "latest.rss")
    assert not remove_document(tmp_path, "none/archive/1.rss")
    with pytest.raises(DocumentNotFound):
        read_document(tmp_path / "latest.rss")


@given(at=st.integers(min_value=0), how=st.sampled_from(["flip", "cut", "add"]))
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_never_served(tmp_path_factory: pytest.TempPathFactory, at: int, how: str) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write_document(folder, "latest.rss", DOCUMENT)
    file = folder / "latest.rss"
    good = file.read_bytes()
    at %= len(good)
    damaged = {"flip": good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], "cut": good[:at], "add": good + b"x"}[how]
    file.write_bytes(damaged)
    with pytest.raises(DamagedDocument):
        read_document(file)


def test_a_cut_file_is_mended_by_the_next_write(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    (tmp_path / "latest.rss").write_bytes((tmp_path / "latest.rss").read_bytes()[:-1])
    assert write_document(tmp_path, "latest.rss", DOCUMENT)
    assert read_document(tmp_path / "latest.rss").body == DOCUMENT.body


def test_a_file_with_one_wrong_bit_is_mended_by_the_next_write(tmp_path: Path) -> None:
    write_document(tmp_path, "latest.rss", DOCUMENT)
    packed = bytearray((tmp_path / "latest.rss").read_bytes())
    packed[-1] ^= 1
    (tmp_path / "latest.rss").write_bytes(packed)
    assert write_document(tmp_path, "latest.rss", DOCUMENT)
    assert read_document(tmp_path / "latest.rss").body == DOCUMENT.body


def test_a_document_remembers_the_validators_of_those_before_it(tmp_path: Path) -> None:
    told: list[str] = []
    for number in range(60):
        updated = UPDATED + timedelta(minutes=number)
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"%d" % number, updated=updated))
        stored = read_document(tmp_path / "latest.rss")
        assert set(stored.former) == set(told[-MOST_FORMER:])
        told += [*stored.etags.values(), http_date(updated)]


def test_readers_beside_writers_see_whole_documents_only(tmp_path: Path) -> None:
    """A body says how long it is; a mixture would not."""
    bodies = [f"{size:06}".encode() + b"x" * size for size in (10, 5_000, 20_000, 80_000)]
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=bodies[0]))
    done = threading.Event()
    seen: set[int] = set()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                stored = read_document(tmp_path / "latest.rss")
                assert len(stored.body) == 6 + int(stored.body[:6])
                assert gzip.decompress(stored.bodies["gzip"]) == stored.body
                seen.add(len(stored.body))
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(80):
        write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=bodies[turn % len(bodies)]))
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(seen) > 1
    assert {file.name for file in tmp_path.iterdir()} == {"latest.rss", ".changed"}


# --- Over HTTP

OURS, OTHER = "OURS", '"0123456789abcdef0123456789abcdef"'
SAME, OLDER, LATER = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
CONDITIONS = [
    ({}, 200),
    ({"if_none_match": OURS}, 304),
    ({"if_none_match": f"W/{OURS}"}, 304),
    ({"if_none_match": f"{OTHER}, {OURS}"}, 304),
    ({"if_none_match": f'{OTHER},W/{OURS} , "a,b"'}, 304),
    ({"if_none_match": "*"}, 304),
    ({"if_none_match": OTHER}, 200),
    ({"if_none_match": f'"x{OURS[1:]}'}, 200),
    ({"if_none_match": "LONGER"}, 200),
    ({"if_none_match": ""}, 200),
    ({"if_none_match": '"'}, 200),
    ({"if_none_match": OTHER, "if_modified_since": LATER}, 200),
    ({"if_none_match": OURS, "if_modified_since": OLDER}, 304),
    ({"if_modified_since": SAME}, 304),
    ({"if_modified_since": LATER}, 304),
    ({"if_modified_since": OLDER}, 200),
    ({"if_modified_since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
    ({"if_modified_since": "Sun Nov  6 08:49:37 1994"}, 304),
    ({"if_modified_since": "Sunday, 06-Nov-94 08:49:36 GMT"}, 200),
    ({"if_modified_since": "Sun Nov  6 08:49:36 1994"}, 200),
    ({"if_modified_since": "yesterday"}, 200),
    ({"if_modified_since": "Sun, 06 Nov 99999999999 08:49:37 GMT"}, 200),
    ({"if_modified_since": ""}, 200),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("fields", "status"), CONDITIONS)
def test_conditional_requests(stored: Stored, method: str, coding: str, fields: dict[str, str], status: int) -> None:
    ours = stored.etags[coding]
    sent = {name: value.replace("LONGER", f'"{ours[1:-1]}0"').replace(OURS, ours) for name, value in fields.items()}
    got, headers, body = ask(stored, method, accept_encoding=coding, **sent)
    assert got == status
    assert headers["ETag"] == ours
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["Cache-Control"] == "public, max-age=300, s-maxage=30, stale-while-revalidate=30"
    if status == 304:
        assert body == b""
        assert not {"Content-Length", "Content-Type", "Content-Encoding", "Link"} & set(headers)
    else:
        assert body == (stored.bodies[coding] if method == "GET" else b"")
        assert headers["Content-Length"] == str(len(stored.bodies[coding]))
        assert headers.get("Content-Encoding", "identity") == coding
        assert headers["Last-Modified"] == SAME
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("later", [0, 0.8, -1, -3600])
def test_a_date_that_an_earlier_document_told_too_proves_nothing(tmp_path: Path, later: float) -> None:
    """Two changes in a second, or a clock that was set back: whoever has the first must get the second (RFC 9110, 8.8.2.2)."""
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, updated=UPDATED.replace(microsecond=100_000)))
    shown = ask(read_document(tmp_path / "latest.rss"))[1]["Last-Modified"]
    assert ask(read_document(tmp_path / "latest.rss"), if_modified_since=shown)[0] == 304
    second = replace(DOCUMENT, body=b"killed", updated=UPDATED.replace(microsecond=100_000) + timedelta(seconds=later))
    write_document(tmp_path, "latest.rss", second)
    stored = read_document(tmp_path / "latest.rss")
    status, headers, body = ask(stored, if_modified_since=shown)
    assert (status, body) == (200, b"killed")
    assert "Last-Modified" not in headers  # a cache in between would answer by it
    assert ask(stored, if_none_match=headers["ETag"])[0] == 304
    write_document(tmp_path, "latest.rss", replace(DOCUMENT, body=b"third", updated=UPDATED + timedelta(minutes=1)))
    status, headers, _ = ask(read_document(tmp_path / "latest.rss"), if_modified_since=shown)
    assert (status, headers["Last-Modified"]) == (200, "Sun, 06 Nov 1994 08:50:37 GMT")


def test_the_tag_of_another_coding_is_not_ours(stored: Stored) -> None:
    """A cache that holds both would else hand gzip to a reader who cannot read it (RFC 9111 section 4.3.3)."""
    assert ask(stored, accept_encoding="identity", if_none_match=stored.etags["gzip"])[0] == 200
    assert ask(stored, accept_encoding="gzip", if_none_match=", ".join(stored.etags.values()))[1]["ETag"] == stored.etags["gzip"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("identity", "identity"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZip", "gzip"),
        ("br", "br"),
        ("gzip, br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.8", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip; q=0.000, br;q=0", "identity"),
        ("gzip;q=0.001", "gzip"),
        ("*", "gzip"),
        ("*;q=0", "identity"),
        ("gzip;q=0, *", "identity"),
        ("br, *;q=0.5", "br"),
        ("identity;q=0.5, *", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0, *;q=0", "identity"),
        ("deflate", "identity"),
        ("gzip;q=rubbish", "identity"),
        (",,;;==", "identity"),
    ],
)
def test_the_coding_is_what_the_asker_likes_best(accepted: str | None, coding: str) -> None:
    assert choose_coding(accepted) == coding


@given(
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "\x00"]),
    accept_encoding=st.text(max_size=60) | st.from_regex(r"[gzipbr*;q=0-9., ]{0,40}", fullmatch=True),
    if_none_match=st.text(max_size=60) | st.from_regex(r'[W/"*a, ]{0,40}', fullmatch=True),
    if_modified_since=st.text(max_size=60)
    | st.from_regex(r"(Sun, )?\d{1,12} Nov \d{1,12} \d\d:\d\d:\d\d [A-Z+0-9]{0,24}", fullmatch=True),
    private=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_no_request_field_raises(
    method: str, accept_encoding: str, if_none_match: str, if_modified_since: str, private: bool
) -> None:
    bodies = {coding: coding.encode() for coding in CODINGS}
    stored = Stored("text/xml", (), UPDATED, 60, True, False, bodies, {coding: f'"{coding}"' for coding in CODINGS})
    fields = {"accept_encoding": accept_encoding, "if_modified_since": if_modified_since}
    for sent in (fields, {**fields, "if_none_match": if_none_match}):
        status, headers, _ = ask(stored, method, private=private, **sent)
        assert status in {200, 204, 304, 405}
        assert all("\n" not in value for value in headers.values())


@pytest.mark.parametrize("field", ["accept_encoding", "if_none_match", "if_modified_since"])
@pytest.mark.parametrize("piece", ['"', "W/", ",", "a,", '"a",', "gzip;q=0.5,", "*", "\\", " "])
def test_a_huge_field_is_not_read(stored: Stored, field: str, piece: str) -> None:
    assert ask(stored, **{field: piece * 50_000})[0] == 200
    assert ask(stored, **{field: piece * 2_000})[0] in {200, 304}


def test_a_private_answer_is_for_its_asker_only(stored: Stored) -> None:
    tag = stored.etags["gzip"]
    for status, fields in ((200, {}), (304, {"if_none_match": tag})):
        got, headers, _ = ask(stored, private=True, accept_encoding="gzip", **fields)
        assert got == status
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex"
        assert "Authorization" in headers["Vary"]
        assert "hub" not in headers.get("Link", "")
    assert 'rel="self"' in ask(stored, private=True)[1]["Link"]


def test_a_public_answer_names_hub_and_self(stored: Stored) -> None:
    assert ask(stored)[1]["Link"] == ", ".join(DOCUMENT.links)


def test_an_immutable_document_may_be_killed_all_the_same(stored: Stored) -> None:
    said = ask(replace(stored, immutable=True))[1]["Cache-Control"]
    assert said == "public, max-age=300, s-maxage=30, stale-while-revalidate=30, immutable"


def test_a_browser_on_another_site_may_read_what_is_open_to_it(stored: Stored) -> None:
    for fields in ({}, {"if_none_match": "*"}):
        headers = ask(stored, **fields)[1]
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in headers["Access-Control-Expose-Headers"]
    status, headers, body = ask(stored, "OPTIONS", access_control_request_method="GET")
    assert (status, body) == (204, b"")
    assert "If-None-Match" in headers["Access-Control-Allow-Headers"]
    closed = replace(stored, cors=False)
    for method in ("GET", "OPTIONS"):
        assert not [name for name in ask(closed, method)[1] if name.startswith("Access-Control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", ""])
def test_other_methods_are_refused(stored: Stored, method: str) -> None:
    status, headers, body = ask(stored, method)
    assert (status, body) == (405, b"")
    assert headers["Allow"] == "GET, HEAD, OPTIONS"
