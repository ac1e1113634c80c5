"""The copy of public documents that nginx serves as files: always one version whole, never anything that is not public."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syndicator.documents import CODINGS, Document, public_folder, read_document, remove_document, write_document
from syndicator.house import House
from syndicator.operations.mirror import Mirror
from syndicator.operations.render_feeds import render_stale
from syndicator.static_copy import begin_copy, is_shown, show
from tests.desk import Desk

SITE = "https://wire.example:8443"
KEY = "latest/archive/3.rss"
DOCUMENT = Document(
    content_type="application/rss+xml; charset=utf-8",
    body=b"<rss>one</rss>",
    links=(
        f'<{SITE}/hub>; rel="hub"',
        f'<{SITE}/feeds/{KEY}>; rel="self"',
        f'<{SITE}/licenses/free-use/2026-01>; rel="license"',
    ),
    updated=datetime(2026, 1, 5, tzinfo=UTC),
    max_age_seconds=300,
    cors=False,
    immutable=True,
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


class Copy:
    """A copy, and the documents it is one of."""

    def __init__(self, folder: Path) -> None:
        self.static, self.documents = folder / "static", public_folder(folder / "var")
        self.place = self.static / "feeds" / KEY
        self.updated = DOCUMENT.updated

    def write(self, body: bytes, **changes: object) -> None:
        self.updated += timedelta(seconds=1)
        write_document(self.documents, KEY, replace(DOCUMENT, body=body, updated=self.updated, **changes))  # type: ignore[arg-type]
        show(self.static, self.documents, KEY)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.place.iterdir())

    def shown(self) -> dict[str, bytes]:
        """What nginx would give for each coding."""
        version = (self.place / "now").resolve().name.removesuffix(".identity.rss")
        return {coding: (self.place / f"{version}.{coding}.rss").read_bytes() for coding in CODINGS}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_the_copy_shows_the_document_and_is_not_written_twice(copy: Copy) -> None:
    copy.write(b"one")
    assert copy.shown() == read_document(copy.documents / KEY).bodies
    before = {file: (copy.place / file).lstat().st_ino for file in copy.files()}
    show(copy.static, copy.documents, KEY)
    assert {file: (copy.place / file).lstat().st_ino for file in copy.files()} == before
    for file in copy.place.glob("*,*"):
        assert file.stat().st_mtime == read_document(copy.documents / KEY).updated.timestamp()


def test_the_version_before_stays_and_no_other(copy: Copy) -> None:
    for number in range(5):
        copy.write(b"%d" % number)
        for left in (".fresh", ".now", "of.another.version"):  # by one who died
            (copy.place / left).write_bytes(b"half")
    copy.write(b"last")
    assert copy.shown()["identity"] == b"last"
    assert len(copy.files()) == 2 * len(CODINGS) + 1
    assert any((copy.place / file).read_bytes() == b"4" for file in copy.files())


def test_everybody_may_read_the_copy_whatever_the_umask(copy: Copy) -> None:
    before = os.umask(0o077)
    try:
        copy.write(b"one")
    finally:
        os.umask(before)
    for file in [copy.static, *copy.static.rglob("*")]:
        assert file.stat().st_mode & 0o777 == (0o755 if file.is_dir() else 0o644)


@pytest.mark.parametrize(
    "links",
    [
        (),
        DOCUMENT.links[1:2],
        (*DOCUMENT.links, '<https://more.example>; rel="next"'),
        ('<https://other.example/hub>; rel="hub"', *DOCUMENT.links[1:]),
        tuple(link.replace("3.rss", "4.rss") for link in DOCUMENT.links),
        tuple(link.replace(SITE, f"{SITE}/below") for link in DOCUMENT.links),
        tuple(link.replace("wire", "wire" * 60) for link in DOCUMENT.links),
    ],
)
def test_a_document_of_which_a_name_cannot_tell_all_is_left_to_syndicator(copy: Copy, links: tuple[str, ...]) -> None:
    copy.write(b"one")
    copy.write(b"one", links=links)
    assert copy.files() == []
    assert is_shown(copy.static, copy.documents, KEY)
    copy.write(b"two")
    assert copy.shown()["identity"] == b"two"


def test_a_document_without_a_date_of_its_own_is_left_to_syndicator(copy: Copy) -> None:
    copy.write(b"one")
    write_document(copy.documents, KEY, replace(DOCUMENT, body=b"two", updated=copy.updated))
    show(copy.static, copy.documents, KEY)
    assert copy.files() == []


def test_a_removed_document_leaves_the_copy(copy: Copy) -> None:
    copy.write(b"one")
    remove_document(copy.documents, KEY)
    assert not is_shown(copy.static, copy.documents, KEY)
    show(copy.static, copy.documents, KEY)
    assert copy.files() == []


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_what_cannot_be_written_is_taken_away(copy: Copy, caplog: pytest.LogCaptureFixture) -> None:
    copy.write(b"one")
    write_document(copy.documents, KEY, replace(DOCUMENT, body=b"much longer", updated=DOCUMENT.updated + timedelta(days=1)))
    with caplog.at_level("CRITICAL"), full_disk():
        show(copy.static, copy.documents, KEY)
    assert copy.files() == []
    show(copy.static, copy.documents, KEY)
    assert copy.shown()["identity"] == b"much longer"


def test_a_reader_meets_one_version_whole_while_another_is_written(copy: Copy) -> None:
    """As nginx does it: the link once, then any of the files it names. Of two changes in between, it asks Syndicator."""
    copy.write(b"<0>")
    bodies = {f"<{number}>".encode() * 50 for number in range(20)} | {b"<0>"}
    ended = threading.Event()

    def change() -> None:
        for number in range(20):
            copy.write(f"<{number}>".encode() * 50)
        ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    whole = 0
    while not ended.is_set() or not whole:
        try:
            assert copy.shown()["identity"] in bodies
            whole += 1
        except FileNotFoundError:
            continue
    writer.join()
    assert copy.shown()["identity"] == b"<19>" * 50


def keeping(house: House, static: Path | None) -> House:
    site = house.config.site.model_copy(update={"static_dir": str(static or "")})
    return replace(house, config=house.config.model_copy(update={"site": site}))


def shown(static: Path) -> set[str]:
    return {link.parent.relative_to(static / "feeds").as_posix() for link in (static / "feeds").rglob("now")}


def public_files(house: House) -> set[str]:
    folder = public_folder(house.config.data_dir)
    return {file.relative_to(folder).as_posix() for file in folder.rglob("[!.]*.*")}


def test_the_copy_begins_with_all_and_is_removed_when_it_is_kept_no_more_or_elsewhere(house: House, tmp_path: Path) -> None:
    Desk(house).publish()
    render_stale(house)
    assert not (tmp_path / "one").exists()
    for static in (tmp_path / "one", tmp_path / "two"):
        render_stale(keeping(house, static), everything=True)
        assert shown(static) == public_files(house) != set()
        (static / "feeds" / "latest.toml").touch()
    assert remains(tmp_path / "one") == ["latest.toml"]  # which is not ours
    render_stale(house, everything=True)
    assert remains(tmp_path / "two") == ["latest.toml"]
    begin_copy(None, house.config.data_dir)


def remains(static: Path) -> list[str]:
    return [file.name for file in static.rglob("*") if not file.is_dir()]


def test_an_archive_that_is_no_more_leaves_the_copy(house: House, tmp_path: Path) -> None:
    kept = keeping(house, tmp_path / "static")
    Desk(kept).publish()
    render_stale(kept, everything=True)
    folder = public_folder(house.config.data_dir)
    links = tuple(link.replace(KEY, "latest/archive/9.rss") for link in DOCUMENT.links)
    write_document(folder, "latest/archive/9.rss", replace(DOCUMENT, links=links))
    show(tmp_path / "static", folder, "latest/archive/9.rss")
    assert "latest/archive/9.rss" in shown(tmp_path / "static")
    render_stale(kept, everything=True)
    assert "latest/archive/9.rss" not in shown(tmp_path / "static")


def test_a_feed_made_private_leaves_the_copy(house: House, tmp_path: Path) -> None:
    kept = keeping(house, tmp_path / "static")
    Desk(kept).publish()
    render_stale(kept, everything=True)
    assert "headlines.rss" in shown(tmp_path / "static")
    feeds = {feed.name: feed.model_copy(update={"access": "eligible"}) for feed in house.catalogue}
    render_stale(replace(kept, catalogue=type(house.catalogue)(feeds)), everything=True)
    assert shown(tmp_path / "static") == set()


def test_a_web_machine_of_many_keeps_its_own_copy(house: House, tmp_path: Path) -> None:
    push = house.config.push.model_copy(update={"executor": "celery"})
    many = replace(house, config=house.config.model_copy(update={"push": push}))
    site = many.config.site.model_copy(update={"data_dir": tmp_path / "elsewhere", "static_dir": str(tmp_path / "static")})
    web = replace(many, config=many.config.model_copy(update={"site": site}))
    Desk(many).publish()
    render_stale(many)
    mirror = Mirror(web, "web-1")
    while mirror.turn():
        pass
    assert shown(tmp_path / "static") == public_files(many) != set()
    feeds = {feed.name: feed for feed in house.catalogue if feed.name != "headlines"}
    render_stale(replace(many, catalogue=type(house.catalogue)(feeds)), everything=True)
    while mirror.turn():
        pass
    assert {key for key in shown(tmp_path / "static") if key.startswith("headlines")} == set()
