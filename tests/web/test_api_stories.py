"""Stories by the API: lists that neither lose nor repeat, formats that official schemas accept, few queries, kind answers."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.validators import validator_for
from sqlalchemy import event, func, select

from syndicator.app import create_app
from syndicator.config import Config, Database
from syndicator.domain.agreements import Take
from syndicator.domain.publishers import PublisherState, Scope
from syndicator.domain.stories import Rights, SourceKind
from syndicator.errors import IntakeError, InvalidRequest
from syndicator.house import House, open_house
from syndicator.operations.publish import publish_story
from syndicator.storage.queries import source_called
from syndicator.web.api.changes import WaitingRoom
from tests.clocks import HandClock
from tests.conftest import ROOT
from tests.desk import DRAFT, Desk, later
from tests.render.strategies import bodies, words
from tests.web.callers import key_of
from tests.web.test_api import refused


@pytest.fixture
def local(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[Desk]:
    """A desk on SQLite alone, for what no database decides."""
    house = open_house(config.model_copy(update={"database": Database(url=sqlite_url)}), clock)
    yield Desk(house)
    house.engine.dispose()


@pytest.fixture
def partner(local: Desk) -> Callable[..., Any]:
    """An approved publisher's way to ask; answers what `FlaskClient.get` does."""
    client, headers = create_app(local.house.config, local.house).test_client(), key_of(local.house, local.publisher())

    def ask(path: str, **more: Any) -> Any:
        return client.get(path, headers=headers | more.pop("headers", {}), **more)

    return ask


def walk(ask: Callable[[str], Any], path: str, between: Callable[[], None] = lambda: None) -> list[str]:
    """Follow the cursors of `path` to the end; returns the uris in the order met."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ask(f"{path}&cursor={cursor}" if cursor else path).get_json()
        seen += [story["uri"] for story in page["stories"]]
        cursor = page["next_cursor"]
        between()
    return seen


@pytest.mark.parametrize("path", ["/v1/stories?limit=3", "/v1/stories?limit=3&feed=latest", "/v1/stories?limit=3&tag=floods"])
@pytest.mark.parametrize("seed", range(3))
def test_a_walk_meets_every_story_that_stays_exactly_once(
    local: Desk, partner: Callable[..., Any], clock: HandClock, path: str, seed: int
) -> None:
    """Between any two pages stories are published (late ones into the past, too), corrected, killed and released."""
    chance = random.Random(seed)
    stories = []
    for number in range(20):
        clock.advance(timedelta(minutes=chance.choice([0, 0, 7])))
        stories.append(local.publish(external_id=f"n{number}").story)
    local.publish(external_id="held", embargoed_until=later(local.house, minutes=3))
    gone: set[str] = set()

    def change() -> None:
        clock.advance(timedelta(minutes=1))
        local.publish(external_id=f"late{clock()}", published_at=clock() - timedelta(minutes=chance.randrange(200)))
        corrected, killed = chance.choice(stories), chance.choice(stories)
        if corrected.uri not in gone:
            local.publish(external_id=corrected.external_id, headline=f"Corrected at {clock()}", correction_note="It was wrong.")
        if killed.uri not in gone and len(gone) < 5:
            local.kill(killed)
            gone.add(killed.uri)

    seen = walk(partner, path, change)
    assert len(seen) == len(set(seen))
    assert {story.uri for story in stories} - gone <= set(seen)


def test_walks_beside_writers_miss_nothing_and_meet_nothing_twice(client: FlaskClient, desk: Desk, clock: HandClock) -> None:
    headers = key_of(desk.house, desk.publisher())
    stable = {
        desk.publish(external_id=f"n{number}", published_at=clock() - timedelta(hours=number)).story.uri for number in range(40)
    }
    ended = threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not ended.is_set() and number < 20:
            number += 1
            story = desk.publish(external_id=f"w{writer}-{number}", published_at=clock() - timedelta(minutes=30 * number)).story
            desk.publish(external_id=f"n{number % 20}", headline=f"Version {writer} {number}", correction_note="No.")
            if number % 3 == 0:
                desk.kill(story)

    def read(_reader: int) -> list[str]:
        visitor = client.application.test_client()
        return walk(lambda path: visitor.get(path, headers=headers), "/v1/stories?limit=4")

    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        walks = list(pool.map(read, range(3)))
        ended.set()
        for writer in writers:
            writer.result()
    for seen in walks:
        assert len(seen) == len(set(seen))
        assert stable <= set(seen)


def test_a_partner_that_was_away_catches_up_exactly(client: FlaskClient, desk: Desk) -> None:
    """The log has no gap and no double for a reader that asks while others write, on a seq that it was told."""
    headers = key_of(desk.house, desk.publisher())

    def write(writer: int) -> None:
        for number in range(8):
            story = desk.publish(external_id=f"w{writer}-{number}").story
            if number % 2:
                desk.kill(story)

    desk.publish()
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, number) for number in range(3)]
        told: list[int] = []
        after, last_round = 0, False
        while not last_round:
            last_round = all(writer.done() for writer in writers)
            more = True
            while more:
                page = client.get(f"/v1/changes?after={after}&limit=5", headers=headers).get_json()
                told += [change["seq"] for change in page["changes"]]
                more, after = bool(page["changes"]), page["last_seq"]
        for writer in writers:
            writer.result()
    assert told == list(range(1, 38))


def test_no_event_is_told_before_every_earlier_one_is_committed(client: FlaskClient, desk: Desk) -> None:
    """A reader that goes on from `last_seq` would else miss a story whose transaction ends late."""
    headers = key_of(desk.house, desk.publisher())

    def told(after: int = 0) -> tuple[list[int], int]:
        page = client.get(f"/v1/changes?after={after}", headers=headers).get_json()
        return [change["seq"] for change in page["changes"]], page["last_seq"]

    desk.publish()
    assert told() == ([1], 1)
    with ThreadPoolExecutor(1) as pool:
        with desk.house.sessions.begin() as late:
            source = source_called(late, "newsroom", SourceKind.API)
            publish_story(late, desk.house, source, replace(DRAFT, external_id="late"), at=desk.house.clock())
            other = pool.submit(desk.publish, external_id="other")
            assert told(after=1) == ([], 1)
        other.result()
    assert told(after=1) == ([2, 3], 3)


def test_the_filters_of_a_list(local: Desk, partner: Callable[..., Any], clock: HandClock) -> None:
    start = clock()
    for number, (section, tags) in enumerate([("City", ("Roads",)), ("City", ()), ("Country", ("Roads", "Rain"))]):
        local.publish(external_id=f"n{number}", headline=f"N{number}", section=section, tags=tags, byline=(f"Writer {number}",))
        clock.advance(timedelta(hours=1))
    local.publish(external_id="n0", headline="N0", section="City", tags=("Roads", "Mud"), byline=("Writer 0",))

    def listed(query: str) -> list[str]:
        return [story["headlines"][0]["value"] for story in partner(f"/v1/stories?{query}").get_json()["stories"]]

    assert listed("") == ["N2", "N1", "N0"]
    assert listed("section=city&tag=mud") == ["N0"]
    assert listed("tag=ROADS") == ["N2", "N0"]
    assert listed("author=writer%201") == ["N1"]
    assert listed(f"since={(start + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}") == ["N2", "N1"]
    assert listed(f"until={(start + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}") == ["N0"]
    assert listed(f"updated_since={(start + timedelta(hours=2)).strftime('%Y-%m-%dT%H:%M:%SZ')}") == ["N2", "N0"]
    assert listed("since=2026-07-01&feed=latest&section=Country") == ["N2"]
    assert listed("q=river&author=writer%202") == ["N2"]
    assert refused(partner("/v1/stories?feed=nosuch"), 404, "unknown_feed")


@pytest.mark.parametrize(
    "query",
    ["tags=x", "since=yesterday", "since=2026-01-01T00:00:00", "section=", "order=best", "q=%F0%9F%99%82", "limit=1&limit=2"],
)
def test_a_filter_that_is_none_is_named_and_never_ignored(partner: Callable[..., Any], query: str) -> None:
    answer = partner(f"/v1/stories?{query}")
    assert refused(answer, 422, "invalid_request")
    assert answer.get_json()["field"] == query.partition("=")[0]


def test_search_answers_what_matched_and_goes_on(local: Desk, partner: Callable[..., Any]) -> None:
    for number in range(5):
        local.publish(external_id=f"n{number}", headline=f"Flood {number}")
    page = partner("/v1/stories?q=floods&limit=2").get_json()
    assert [match["uri"] for match in page["matches"]] == [story["uri"] for story in page["stories"]]
    assert page["matches"][0]["headline"].startswith("<mark>Flood</mark> ")
    assert len(set(walk(partner, "/v1/stories?q=floods&limit=2"))) == 5
    assert len(set(walk(partner, "/v1/stories?q=floods&limit=2&order=newest"))) == 5


def test_a_walk_by_rank_meets_each_story_once_whatever_is_published_corrected_or_killed(
    desk: Desk, client: FlaskClient, clock: HandClock
) -> None:
    """Ranks move with every story that comes or changes; a walk goes on in the order in which it began."""
    headers = key_of(desk.house, desk.publisher())
    stories = []
    for number in range(12):
        clock.advance(timedelta(minutes=1))
        stories.append(desk.publish(external_id=f"n{number}", headline=f"Flood {number}").story)
    changes = iter(range(100))

    def change() -> None:
        number = next(changes)
        desk.publish(external_id=f"new{number}", headline="Flood flood flood", body_html="<p>Flood, flood, flood.</p>")
        desk.publish(external_id=f"n{number}", headline=f"Rain {number}", correction_note="No flood.", tags=())
        desk.publish(external_id=f"n{11 - number}", headline="Floods flood the flood", correction_note="More of it.")
        if number == 2:
            desk.kill(stories[5])

    seen = walk(lambda path: client.get(path, headers=headers), "/v1/stories?q=flood&limit=3", change)
    assert len(seen) == len(set(seen))
    assert {story.uri for story in stories} - {stories[5].uri} <= set(seen)


def test_a_page_links_to_its_license_and_to_the_next_page(local: Desk, partner: Callable[..., Any]) -> None:
    for number in range(3):
        local.publish(external_id=f"n{number}")
    first = partner("/v1/stories?tag=floods&limit=2")
    license_link, next_link = first.headers["Link"].split(", ")
    assert license_link == f'<{local.house.config.license_url}>; rel="license"'
    address, _, relation = next_link.partition(">; ")
    assert relation == 'rel="next"'
    last = partner(address.removeprefix(f"<{local.house.config.site.base_url}"))
    assert len(last.get_json()["stories"]) == 1
    assert "next" not in last.headers["Link"]


@pytest.mark.parametrize("ending", ["", "?format=newsml", "?fields=headlines", "/embed", "/versions/1"])
def test_a_story_links_to_its_own_license_and_to_the_original(local: Desk, ending: str) -> None:
    """A licensed story names no free license, in no place."""
    headers = key_of(local.house, None, Scope.NEWSROOM, Scope.READ)
    app = create_app(local.house.config, local.house).test_client()
    free = local.publish(external_id="free", canonical_url="https://news.example/a;b?c=d%20e,f").story
    licensed = local.publish(external_id="licensed", rights=Rights.LICENSED).story
    told = [app.get(f"/v1/stories/{story.public_id}{ending}", headers=headers) for story in (free, licensed)]
    base = local.house.config.site.base_url
    assert told[0].headers["Link"] == (
        f'<{local.house.config.license_url}>; rel="license", <https://news.example/a;b?c=d%20e,f>; rel="canonical"'
    )
    assert told[1].headers["Link"] == f'<{base}/licensing>; rel="license", <https://newsroom.example/river>; rel="canonical"'
    assert local.house.config.license_url not in told[1].text


def test_single_members_never_hide_an_embargo_or_a_correction(local: Desk) -> None:
    story = local.publish(embargoed_until=later(local.house, hours=1), ednote="Call first.").story
    client = create_app(local.house.config, local.house).test_client()
    headers = key_of(local.house, local.publisher(embargo_trusted=True))
    told = client.get(f"/v1/stories/{story.public_id}?fields=headlines", headers=headers).get_json()
    assert told["embargoedUntil"]
    assert told["edNote"].startswith("EMBARGOED until")
    assert "bodies" not in told


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/v1/stories", 1),
        ("/v1/stories?fields=headlines", 0),
        ("/v1/stories?fields=uri,Bodies", 1),
        ("/v1/stories/{id}", 1),
        ("/v1/stories/{id}?version=1.6&fields=headline", 0),
        ("/v1/stories/{id}?version=1.6&fields=body_html", 1),
        ("/v1/stories/{id}/embed", 1),
    ],
)
def test_who_asks_for_the_body_takes_the_story(local: Desk, partner: Callable[..., Any], path: str, taken: int) -> None:
    story = local.publish().story
    assert partner(path.format(id=story.public_id)).status_code == 200
    with local.house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Take)) == taken


def test_a_head_request_takes_nothing(local: Desk) -> None:
    story, headers = local.publish().story, key_of(local.house, local.publisher())
    client = create_app(local.house.config, local.house).test_client()
    assert client.head(f"/v1/stories/{story.public_id}", headers=headers).status_code == 200
    with local.house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Take)) == 0


def test_fields_choose_members_and_the_terms_always_stay(local: Desk, partner: Callable[..., Any]) -> None:
    story = local.publish().story
    whole = partner(f"/v1/stories/{story.public_id}").get_json()
    some = partner(f"/v1/stories/{story.public_id}?fields=headlines,nosuch").get_json()
    assert set(some) == {"uri", "standard", "version", "pubStatus", "usageTerms", "rightsInfo", "headlines"}
    assert all(whole[name] == value for name, value in some.items())
    assert partner("/v1/stories?fields=headlines").get_json()["stories"] == [some]
    assert refused(partner(f"/v1/stories/{story.public_id}?format=text&fields=headlines"), 422, "invalid_request")


@pytest.mark.parametrize(
    ("accept", "content_type", "part"),
    [
        ("application/json", "application/json", '"version": "3.1"'),
        ("application/json; version=2.2", "application/json", '"version": "2.2"'),
        ("application/json;version=1.6", "application/json", '"$standard"'),
        ("application/ld+json", "application/ld+json", "NewsArticle"),
        ("application/feed+json", "application/feed+json", "content_html"),
        ("application/vnd.iptc.g2.newsitem+xml, application/json;q=0.5", "application/vnd.iptc.g2.newsitem+xml", "<newsItem"),
        ("text/html", "text/html; charset=utf-8", "<article"),
        ("text/plain;q=0.9, image/png", "text/plain; charset=utf-8", "First published at"),
        ("*/*", "application/json", '"version": "3.1"'),
    ],
)
def test_the_format_is_the_one_that_accept_asks_for(
    local: Desk, partner: Callable[..., Any], accept: str, content_type: str, part: str
) -> None:
    answer = partner(f"/v1/stories/{local.publish().story.public_id}", headers={"Accept": accept})
    assert answer.headers["Content-Type"] == content_type
    assert part in answer.get_data(as_text=True)
    assert {"Accept", "Authorization"} <= set(answer.headers["Vary"].split(", "))


def test_versions_are_listed_and_answered(local: Desk, partner: Callable[..., Any]) -> None:
    story = local.publish().story
    local.publish(headline="Corrected", correction_note="There are three hundred.")
    path = f"/v1/stories/{story.public_id}/versions"
    listed = partner(path).get_json()["versions"]
    assert [(version["number"], version["correction"]) for version in listed] == [(2, "There are three hundred."), (1, None)]
    assert partner(f"{path}?limit=1").get_json()["next_cursor"] is not None
    assert partner(f"{path}/1").get_json()["headlines"][0]["value"] == "River gauges go live"
    assert refused(partner(f"{path}/3"), 404, "invalid_request")


def test_what_has_not_changed_is_not_sent_again(local: Desk, partner: Callable[..., Any]) -> None:
    story = local.publish().story
    for path in (f"/v1/stories/{story.public_id}", "/v1/stories", "/v1/me", "/v1/feeds", "/v1/changes"):
        first = partner(path)
        assert first.headers["ETag"].startswith('W/"'), path
        assert first.headers["Cache-Control"] == "private, no-cache"
        again = partner(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), path
    etag = partner("/v1/stories").headers["ETag"]
    local.publish(headline="Changed")
    assert partner("/v1/stories", headers={"If-None-Match": etag}).status_code == 200
    local.kill(story)
    assert refused(partner(f"/v1/stories/{story.public_id}", headers={"If-None-Match": "*"}), 410, "killed")


def test_no_request_asks_more_of_the_database_for_more_stories(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, desk.publisher())
    public_id = desk.publish().story.public_id
    paths = {
        "/v1/me": 3,
        "/v1/feeds": 3,
        "/v1/stories?limit=100": 5,
        "/v1/stories?q=gauges&section=x": 5,
        "/v1/stories?feed=latest&tag=floods&author=lena%20ortiz": 5,
        f"/v1/stories/{public_id}": 5,
        f"/v1/stories/{public_id}/versions": 5,
        "/v1/changes": 5,
        "/v1/subscriptions": 4,
        "/v1/deliveries": 4,
    }
    for path in paths:
        client.get(path, headers=headers)  # the key's use is noted, and the takes are written down, once
    few = {path: queries(desk.house, client, path, headers) for path in paths}
    for number in range(10):
        desk.publish(external_id=f"n{number}")
    client.get("/v1/stories?limit=100", headers=headers)
    many = {path: queries(desk.house, client, path, headers) for path in paths}
    assert few == many
    assert {path: count for path, count in many.items() if count > paths[path]} == {}


def queries(house: House, client: FlaskClient, path: str, headers: dict[str, str]) -> int:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    event.listen(house.engine, "before_cursor_execute", note)
    answer = client.get(path, headers=headers)
    event.remove(house.engine, "before_cursor_execute", note)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return len(asked)


def ninjs_validator(version: str) -> Any:
    schema = json.loads((ROOT / "tests" / "schemas" / "ninjs" / f"ninjs-schema_{version}.json").read_text(encoding="utf-8"))
    return validator_for(schema, default=Draft202012Validator if version == "3.1" else Draft7Validator)(schema)


VALIDATORS = {version: ninjs_validator(version) for version in ("3.1", "2.2", "1.6")}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headline=words, body=bodies(), names=st.lists(words, max_size=3), note=words, number=st.integers(0, 10**9))
def test_official_schemas_accept_whatever_a_source_writes(
    local: Desk, partner: Callable[..., Any], headline: str, body: str, names: list[str], note: str, number: int
) -> None:
    draft: dict[str, Any] = {
        "headline": headline,
        "body_html": body,
        "byline": tuple(names),
        "tags": tuple(names),
        "ednote": note,
    }
    try:
        story = local.publish(external_id=f"h{number}", **draft).story
    except (InvalidRequest, IntakeError):
        return  # nothing that could be a story
    for version, validator in VALIDATORS.items():
        document = partner(f"/v1/stories/{story.public_id}?version={version}").get_json()
        assert [error.message for error in validator.iter_errors(document)] == []


def test_a_long_poll_answers_as_soon_as_something_happens(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, desk.publisher())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.application.test_client().get, "/v1/changes?after=0&wait=25", headers=headers)
        desk.publish()
        answer = waiting.result(timeout=20).get_json()
    assert [change["type"] for change in answer["changes"]] == ["story.published"]


def test_a_publisher_suspended_while_it_waits_is_told_nothing_more(local: Desk) -> None:
    publisher = local.publisher()
    headers, room = key_of(local.house, publisher), Suspending(local, publisher)
    app = create_app(local.house.config, local.house)
    app.extensions["waiting_room"] = room
    assert refused(app.test_client().get("/v1/changes?wait=5", headers=headers), 403, "suspended")


class Suspending(WaitingRoom):
    """A room in which the newsroom loses patience before anything else happens."""

    def __init__(self, desk: Desk, publisher: Any) -> None:
        super().__init__(lambda: 0)
        self._desk, self._publisher = desk, publisher

    def wait_beyond(self, seq: int, seconds: float) -> None:
        self._desk.move(self._publisher, PublisherState.SUSPENDED)
        self._desk.publish()


def test_waiting_callers_share_one_look_and_leave_when_there_is_news() -> None:
    newest, looks = [5], []

    def look() -> int:
        looks.append(1)
        return newest[0]

    room = WaitingRoom(look, seats=4, look_every_seconds=0.05)
    room.wait_beyond(4, 60)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(room.wait_beyond, 5, 60) for _ in range(4)]
        newest[0] = 6
        for each in waiting:
            each.result(timeout=30)
    assert len(looks) < 100


def test_who_finds_no_seat_is_answered_at_once_and_seats_come_free_again() -> None:
    looked, go_on = threading.Event(), threading.Event()

    def look() -> int:
        looked.set()
        go_on.wait(30)
        return 1

    room = WaitingRoom(look, seats=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(room.wait_beyond, 0, 60)
        assert looked.wait(30)
        room.wait_beyond(0, 3600)  # would wait for an hour if there were a seat
        go_on.set()
        first.result(timeout=30)
    room.wait_beyond(0, 60)


def test_a_licensed_story_is_not_even_counted_in_a_page(local: Desk, partner: Callable[..., Any]) -> None:
    for number in range(4):
        local.publish(external_id=f"n{number}", rights=Rights.LICENSED if number % 2 else Rights.FREE)
    page = partner("/v1/stories?limit=2").get_json()
    assert len(page["stories"]) == 2
