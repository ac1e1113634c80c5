"""RFC 5005 archives: a reader that walks from the head document to the first story meets each story once, whatever happens."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree
from sqlalchemy import event

from syndicator.app import create_app
from syndicator.catalogue import Catalogue
from syndicator.config import Notice
from syndicator.documents import private_folder, public_folder
from syndicator.domain.feeds import FeedDefinition, Selection
from syndicator.domain.stories import Story
from syndicator.house import House
from syndicator.operations import keep_time
from syndicator.operations.archives import ARCHIVES_AT_ONCE
from syndicator.operations.keys import create_token
from syndicator.operations.render_feeds import NotRendered, render_stale, sync_catalogue
from syndicator.render.elements import ATOM
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk

LIMIT, SIZE = 10, 2
NS = {"atom": ATOM}
Get = Callable[[str], bytes]


def catalogue(*feeds: FeedDefinition) -> Catalogue:
    return Catalogue({feed.name: feed for feed in feeds})


SMALL = FeedDefinition(name="small", title="Small", limit=LIMIT)
CLOSED = FeedDefinition(name="closed", title="Closed", limit=LIMIT, access="eligible")


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, but for the one test that does everything."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def house(house: House) -> House:
    """A house whose feeds are so small that they soon have archives."""
    return replace(house, catalogue=catalogue(SMALL, CLOSED))


@pytest.fixture
def get(app: Flask) -> Get:
    return getter(app.test_client())


def getter(client: FlaskClient) -> Get:
    def get(url: str) -> bytes:
        answer = client.get(urlsplit(url).path)
        assert answer.status_code == 200, url
        body: bytes = answer.data
        return body

    return get


def story(desk: Desk, number: int, **changes: Any) -> Story:
    return desk.publish(external_id=f"s{number}", headline=f"Story {number}", **changes).story


def render_all(house: House) -> None:
    while render_stale(house):
        pass


def read(document: bytes, form: str) -> tuple[list[tuple[str, str]], str | None]:
    """Return (id, title) of each entry, and where the next older archive is. Tombstones of Atom are no entries."""
    if form == "json":
        told = json.loads(document)
        return [(item["id"], item["title"]) for item in told["items"]], told.get("next_url")
    root = etree.fromstring(document)
    links = root.findall("channel/atom:link" if form == "rss" else "atom:link", NS)
    older = next((link.get("href") for link in links if link.get("rel") == "prev-archive"), None)
    if form == "rss":
        return [(item.findtext("guid") or "", item.findtext("title") or "") for item in root.iter("item")], older
    entries = root.findall("atom:entry", NS)
    return [(entry.findtext("atom:id", "", NS), entry.findtext("atom:title", "", NS)) for entry in entries], older


def walk(
    get: Get, start: str = f"{BASE_URL}/feeds/small", form: str = "json", between: Callable[[], object] = int
) -> Counter[str]:
    """Go from the head document to the first archive; returns how often each (id) was met. `between` happens at each step."""
    met: Counter[str] = Counter()
    url: str | None = f"{start}.{form}"
    while url:
        entries, older = read(get(url), form)
        met.update(uri for uri, _ in entries)
        url = urljoin(url, older) if older else None
        between()
    return met


@pytest.mark.parametrize("form", ["rss", "atom", "json"])
def test_a_walk_meets_every_story_once(desk: Desk, get: Get, form: str) -> None:
    uris = [story(desk, number).uri for number in range(25)]
    render_all(desk.house)
    assert walk(get, form=form) == Counter(uris)
    entries, older = read(get(f"/feeds/small.{form}"), form)
    assert LIMIT - SIZE < len(entries) <= LIMIT
    assert older is not None


def test_a_walk_while_stories_are_published_misses_none_that_was_there(desk: Desk, get: Get) -> None:
    before = [story(desk, number).uri for number in range(24)]
    render_all(desk.house)
    numbers = iter(range(100, 1000))

    def go_on() -> None:
        for _ in range(3):
            story(desk, next(numbers))
        render_all(desk.house)

    met = walk(get, between=go_on)
    assert {uri: met[uri] for uri in before} == dict.fromkeys(before, 1)
    assert set(met.values()) == {1}


@pytest.mark.parametrize(("database_url", "seed"), [("sqlite", 1), ("postgresql", 2)], indirect=["database_url"])
def test_whatever_a_desk_does_each_story_is_met_once_and_a_withdrawn_one_nowhere(
    desk: Desk, get: Get, clock: HandClock, seed: int
) -> None:
    dice = random.Random(seed)
    usable: dict[str, tuple[int, Story]] = {}
    titles: dict[str, str] = {}
    for number in range(60):
        clock.advance(timedelta(minutes=1))
        if dice.random() < 0.6 or not usable:
            age = timedelta(days=dice.choice([0, 0, 0, 400]))
            made = story(desk, number, published_at=clock() - age)
            usable[made.uri], titles[made.uri] = (number, made), f"Story {number}"
        elif dice.random() < 0.5:
            uri = dice.choice(list(usable))
            desk.publish(external_id=f"s{usable[uri][0]}", headline=f"New {number}", correction_note="It was wrong.")
            titles[uri] = f"New {number}"
        else:
            _, gone = usable.pop(dice.choice(list(usable)))
            dice.choice([desk.kill, desk.take_down])(gone)
        if dice.random() < 0.3:
            render_stale(desk.house)
    render_all(desk.house)
    assert walk(get, form="atom") == Counter(usable.keys())
    assert set(walk(get).values()) == {1}  # here withdrawn ones are items, emptied
    shown = "".join(file.read_text(errors="ignore") for file in public_folder(desk.house.config.data_dir).rglob("*.json"))
    assert all(json.dumps(titles[uri]) in shown for uri in usable)
    assert not any(f'"{titles[uri]}"' in shown for uri in titles.keys() - usable.keys())


class Reader:
    """Keeps up as RFC 5005 section 4.2 says: the head document, then older archives until one that it has read before; of two
    entries with one id the later stands, and a tombstone takes its entry away (RFC 6721)."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._read: set[str] = set()
        self._updated: dict[str, str] = {}
        self.titles: dict[str, str] = {}

    def keep_up(self, between: Callable[[], object] = int) -> None:
        pages, url = [], f"{BASE_URL}/feeds/small.atom"
        while url and url not in self._read:
            document = self._get(url)
            pages.append((url, etree.fromstring(document)))
            url = read(document, "atom")[1] or ""
            between()
        for _, page in reversed(pages):
            for story in page.findall("atom:entry", NS):
                uri, updated = story.findtext("atom:id", "", NS), story.findtext("atom:updated", "", NS)
                if updated >= self._updated.get(uri, ""):
                    self._updated[uri], self.titles[uri] = updated, story.findtext("atom:title", "", NS)
            for gone in page.iter("{http://purl.org/atompub/tombstones/1.0}deleted-entry"):
                self.titles.pop(gone.get("ref", ""), None)
        self._read |= {url for url, _ in pages[1:]}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_that_walks_while_the_desk_works_ends_with_exactly_what_is_out(
    desk: Desk, get: Get, clock: HandClock, seed: int
) -> None:
    dice = random.Random(seed)
    usable: dict[str, tuple[int, Story]] = {}
    titles: dict[str, str] = {}
    numbers = iter(range(10_000))

    def work(most: int = 3) -> None:
        """Publish, correct, kill and take down, several in one second too, and render now and then."""
        for _ in range(dice.randrange(most + 1)):
            clock.advance(timedelta(seconds=dice.choice([0, 0.3, 60])))
            number, what = next(numbers), dice.random()
            if what < 0.5 or not usable:
                made = story(desk, number)
                usable[made.uri], titles[made.uri] = (number, made), f"Story {number}"
            elif what < 0.8:
                uri = dice.choice(list(usable))
                desk.publish(external_id=f"s{usable[uri][0]}", headline=f"New {number}", correction_note="It was wrong.")
                titles[uri] = f"New {number}"
            else:
                uri = dice.choice(list(usable))
                dice.choice([desk.kill, desk.take_down])(usable.pop(uri)[1])
                del titles[uri]
            if dice.random() < 0.2:
                render_stale(desk.house)

    for _ in range(10):
        work(most=5)
    render_all(desk.house)
    reader = Reader(get)
    for _ in range(4):
        reader.keep_up(between=work)
        work(most=9)
    render_all(desk.house)
    reader.keep_up()
    assert reader.titles == titles


def test_a_sealed_archive_never_gains_a_story_and_keeps_its_bytes(desk: Desk, get: Get) -> None:
    numbers = iter(range(200))
    for _ in range(LIMIT + 2 * SIZE):
        story(desk, next(numbers))
    render_all(desk.house)
    first, second = get("/feeds/small/archive/1.atom"), get("/feeds/small/archive/2.atom")
    for _ in range(9):
        story(desk, next(numbers))
        render_all(desk.house)
    assert get("/feeds/small/archive/1.atom") == first
    linked = get("/feeds/small/archive/2.atom")
    assert read(linked, "atom") == read(second, "atom")
    assert b'rel="next-archive"' not in second  # it was the newest
    assert b'rel="next-archive"' in linked


def test_a_corrected_story_moves_from_its_archive_to_the_head(desk: Desk, get: Get, clock: HandClock) -> None:
    old = story(desk, 0)
    for number in range(1, 30):
        story(desk, number)
    render_all(desk.house)
    assert old.uri in get("/feeds/small/archive/1.json").decode()
    clock.advance(timedelta(days=30))
    desk.publish(external_id="s0", headline="Put right", correction_note="It was 220 gauges.")
    render_all(desk.house)
    assert "Put right" in get("/feeds/small.json").decode()
    assert old.uri not in get("/feeds/small/archive/1.json").decode()
    assert walk(get)[old.uri] == 1


def test_a_killed_story_is_unreadable_in_its_archive_and_stays_there_as_a_tombstone(
    desk: Desk, get: Get, clock: HandClock
) -> None:
    old = story(desk, 0, body_html="<p>libel</p>")
    for number in range(1, 30):
        story(desk, number)
    render_all(desk.house)
    assert b"libel" in get("/feeds/small/archive/1.atom")
    desk.kill(old)
    render_stale(desk.house)
    assert b"libel" not in get("/feeds/small/archive/1.atom")
    assert f'deleted-entry ref="{old.uri}"' in get("/feeds/small.atom").decode()
    assert walk(get)[old.uri] == 1
    clock.advance(timedelta(days=8))
    with desk.house.sessions.begin() as session:
        keep_time.retire_tombstones(session, at=clock())
    render_all(desk.house)
    assert old.uri not in get("/feeds/small.atom").decode()
    assert f'deleted-entry ref="{old.uri}"' in get("/feeds/small/archive/1.atom").decode()
    assert walk(get)[old.uri] == 1


def test_a_story_that_was_taken_down_is_shown_as_killed_when_it_is(desk: Desk, get: Get) -> None:
    made = story(desk, 0)
    desk.take_down(made)
    render_all(desk.house)
    desk.kill(made, reason="It was never true.")
    render_all(desk.house)
    assert "It was never true." in get("/feeds/small.json").decode()


def test_a_change_costs_the_same_beside_a_long_archive(desk: Desk) -> None:
    def cost() -> tuple[int, int]:
        """Statements sent and documents written for one more story, at the same fill of the head."""
        documents = public_folder(desk.house.config.data_dir) / "small"
        before = {file: file.stat().st_mtime_ns for file in documents.rglob("*.*")}
        with statements(desk.house) as sent:
            story(desk, next(numbers))
            render_stale(desk.house)
        return len(sent), sum(before.get(file) != file.stat().st_mtime_ns for file in documents.rglob("*.*"))

    numbers = iter(range(1000))
    for _ in range(LIMIT + 2 * SIZE):
        story(desk, next(numbers))
    render_all(desk.house)
    few = [cost() for _ in range(2 * SIZE)]
    for _ in range(10 * SIZE):
        story(desk, next(numbers))
    render_all(desk.house)
    assert [cost() for _ in range(2 * SIZE)] == few
    assert max(written for _, written in few) <= 6  # the new archive, and its predecessor's link, in three formats


def test_a_rendering_finds_its_stories_by_index(desk: Desk) -> None:
    """An outer join with stories, which join their source, once made SQLite read every story there is."""
    for number in range(LIMIT + SIZE):
        story(desk, number)
    with statements(desk.house) as sent:
        render_all(desk.house)
    with desk.house.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        plans = [
            row[3]
            for statement, values in sent
            if statement.startswith(("SELECT", "UPDATE"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("ix_feed_entries_head" in plan for plan in plans)
    assert not [plan for plan in plans if plan.startswith(("MATERIALIZE", "SCAN stor", "SCAN feed_e", "SCAN feed_a"))]


def test_a_private_poll_costs_one_look_up(desk: Desk, app: Flask) -> None:
    story(desk, 0)
    render_all(desk.house)
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        given = session.merge(publisher)
        _, token = create_token(session, desk.house.catalogue, given, "closed", actor="test", at=desk.house.clock())
    client = app.test_client()
    assert client.get(f"/f/{token}/closed.rss").status_code == 200  # its use is noted once a minute
    with statements(desk.house) as sent:
        assert client.get(f"/f/{token}/closed.rss").status_code == 200
    assert len([statement for statement, _ in sent if statement.startswith(("SELECT", "UPDATE"))]) == 1


@contextmanager
def statements(house: House) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is sent to the database meanwhile, with its values."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        sent.append((statement, values))

    event.listen(house.engine, "before_cursor_execute", note)
    yield sent
    event.remove(house.engine, "before_cursor_execute", note)


def test_a_long_import_is_archived_in_parts(desk: Desk, get: Get) -> None:
    uris = [story(desk, number).uri for number in range(LIMIT + SIZE * ARCHIVES_AT_ONCE + 5)]
    assert set(render_stale(desk.house)) == {"closed", "small"}
    assert len(read(get("/feeds/small.json"), "json")[0]) <= LIMIT
    render_all(desk.house)
    assert walk(get) == Counter(uris)


def test_a_rendering_that_broke_off_is_finished_by_the_next(desk: Desk, get: Get) -> None:
    uris = [story(desk, number).uri for number in range(LIMIT)]
    render_all(desk.house)
    block = public_folder(desk.house.config.data_dir) / "small"
    block.write_text("a file where the archives' folder should be")
    uris += [story(desk, number).uri for number in range(LIMIT, LIMIT + 7)]
    with pytest.raises(NotRendered):
        render_stale(desk.house)
    assert walk(get) == Counter(uris[:LIMIT])  # the head still shows what it did
    block.unlink()
    render_all(desk.house)
    assert walk(get) == Counter(uris)


def test_a_private_feed_has_private_archives_below_its_token_address(desk: Desk, app: Flask, get: Get) -> None:
    uris = [story(desk, number).uri for number in range(25)]
    render_all(desk.house)
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        _, token = create_token(
            session, desk.house.catalogue, session.merge(publisher), "closed", actor="test", at=desk.house.clock()
        )
    for form in ("rss", "atom", "json"):
        assert walk(get, f"{BASE_URL}/f/{token}/closed", form) == Counter(uris)
    client = app.test_client()
    basic = client.get("/feeds/closed/archive/1.rss", auth=("any", token))
    assert basic.status_code == 200
    assert basic.headers["Cache-Control"] == "private, no-store"
    for path in ("/feeds/closed/archive/1.rss", "/f/wrong/closed/archive/1.rss"):
        assert client.get(path).status_code == 401
    assert not list(public_folder(desk.house.config.data_dir).rglob("closed*"))


@pytest.mark.parametrize(
    "path", ["0.rss", "01.rss", "+1.rss", "1.xml", "999999.rss", "1000000.rss", "../1.rss", "1.rss/", "x.rss"]
)
def test_no_other_spelling_is_an_archive(desk: Desk, app: Flask, path: str) -> None:
    for number in range(25):
        story(desk, number)
    render_all(desk.house)
    assert app.test_client().get("/feeds/small/archive/1.rss").status_code == 200
    assert app.test_client().get(f"/feeds/small/archive/{path}").status_code == 404


def test_a_feed_made_private_or_dropped_leaves_no_document_behind(desk: Desk) -> None:
    for number in range(25):
        story(desk, number)
    render_all(desk.house)
    public, private = public_folder(desk.house.config.data_dir), private_folder(desk.house.config.data_dir)
    assert (public / "small/archive/1.rss").exists()
    changed = replace(desk.house, catalogue=catalogue(SMALL.model_copy(update={"access": "eligible"})))
    with changed.sessions.begin() as session:
        sync_catalogue(session, changed.catalogue, at=changed.clock())
    render_stale(changed, everything=True)
    assert not list(public.glob("[!.]*"))
    assert {file.name for file in private.glob("[!.]*")} == {"small", "small.rss", "small.atom", "small.json"}
    assert (private / "small/archive/1.rss").exists()


def test_another_selection_keeps_the_archives_of_those_who_stay(desk: Desk, get: Get) -> None:
    odd: list[str] = []
    even: list[str] = []
    for number in range(30):
        (odd if number % 2 else even).append(story(desk, number, section="Odd" if number % 2 else "Even").uri)
    render_all(desk.house)
    changed = replace(desk.house, catalogue=catalogue(SMALL.model_copy(update={"select": Selection(sections=("odd",))}), CLOSED))
    for now, expected in ((changed, odd), (desk.house, odd + even)):
        with now.sessions.begin() as session:
            sync_catalogue(session, now.catalogue, at=now.clock())
        render_all(now)
        assert walk(getter(create_app(now.config, now).test_client())) == Counter(expected)


def test_archives_follow_the_notice_and_are_made_again_when_lost(desk: Desk, get: Get) -> None:
    for number in range(40):
        story(desk, number)
    render_all(desk.house)
    words = "Our stories are free to use for every large publisher."
    notice = Notice(version="2026-02", text=words)
    changed = replace(desk.house, config=desk.house.config.model_copy(update={"notice": notice}))
    render_stale(changed, everything=True)
    render_all(changed)
    assert get("/feeds/small/archive/1.json").decode().count(words) == SIZE
    for file in (public_folder(desk.house.config.data_dir) / "small/archive").glob("3.*"):
        file.unlink()
    (public_folder(desk.house.config.data_dir) / "small/archive/99.rss").write_bytes(b"of another time")
    render_stale(changed, everything=True)
    render_all(changed)
    assert words in get("/feeds/small/archive/3.rss").decode()
    assert not (public_folder(desk.house.config.data_dir) / "small/archive/99.rss").exists()


def test_long_stories_leave_the_head_before_it_grows_too_large_for_readers(desk: Desk, get: Get, clock: HandClock) -> None:
    long = "<p>" + "All the words of the report. " * 12_000 + "</p>"
    uris = []
    for number in range(9):
        clock.advance(timedelta(minutes=1))
        uris.append(story(desk, number, body_html=long.replace("report", f"report {number}")).uri)
        render_all(desk.house)
        for form in ("rss", "atom", "json"):
            assert len(get(f"/feeds/small.{form}")) < 2_000_000
    assert walk(get) == Counter(uris)
    entries, _ = read(get("/feeds/small.json"), "json")
    assert [uri for uri, _ in entries] == uris[: -len(entries) - 1 : -1]
