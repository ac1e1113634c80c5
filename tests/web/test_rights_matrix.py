"""Who may have what: every (exit × state × viewer) cell of one table is a test, with the reason otherwise.

The table is the promise. It is written by hand, not made by the gate: whoever changes a rule changes a cell here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from syndicator.app import create_app
from syndicator.config import Database, read_config
from syndicator.domain.publishers import Publisher, PublisherState, Scope
from syndicator.domain.stories import Rights, Story
from syndicator.house import House, open_house
from syndicator.operations.agreements import add_agreement
from syndicator.operations.keys import create_key
from syndicator.operations.render_feeds import render_stale
from tests.clocks import HandClock
from tests.conftest import BASE_URL, ROOT
from tests.desk import Desk, later
from tests.web.callers import key_of, token_of

# Rows: who asks. Columns: how the story stands. `-` is ok; a word is the reason of the refusal.
# In short: pending application_pending, terms terms_not_accepted, lapsed eligibility_expired, license license_required,
# sign-in sign_in_required, scope scope_missing, down taken_down. What nobody may know of is `unknown`.
TABLE = """
                usable     embargoed  killed     takendown  expired    licensed   none       unknown
anybody         sign-in    sign-in    sign-in    sign-in    sign-in    sign-in    sign-in    sign-in
wrong-key       sign-in    sign-in    sign-in    sign-in    sign-in    sign-in    sign-in    sign-in
applicant       pending    pending    pending    pending    pending    pending    pending    pending
declined        ineligible ineligible ineligible ineligible ineligible ineligible ineligible ineligible
without-terms   terms      terms      terms      terms      terms      terms      terms      terms
suspended       suspended  suspended  suspended  suspended  suspended  suspended  suspended  suspended
revoked         ineligible ineligible ineligible ineligible ineligible ineligible ineligible ineligible
lapsed          lapsed     lapsed     lapsed     lapsed     lapsed     lapsed     lapsed     lapsed
push-only-key   scope      scope      scope      scope      scope      scope      scope      scope
approved        -          unknown    killed     down       expired    license    unknown    unknown
trusted         -          -          killed     down       expired    license    unknown    unknown
agreement       -          unknown    killed     down       expired    -          unknown    unknown
newsroom        -          -          -          -          -          -          -          unknown
"""
REFUSALS = {
    "sign-in": (401, "sign_in_required"),
    "pending": (403, "application_pending"),
    "ineligible": (403, "not_eligible"),
    "terms": (403, "terms_not_accepted"),
    "suspended": (403, "suspended"),
    "lapsed": (403, "eligibility_expired"),
    "scope": (403, "scope_missing"),
    "unknown": (404, "unknown_story"),
    "killed": (410, "killed"),
    "down": (410, "taken_down"),
    "expired": (410, "expired"),
    "license": (403, "license_required"),
}
EXITS = {
    "ninjs": "?format=ninjs",
    "ninjs 2.2": "?version=2.2",
    "ninjs 1.6": "?format=ninjs&version=1.6",
    "ninjs members": "?fields=headlines,bodies",
    "newsml": "?format=newsml",
    "jsonld": "?format=jsonld",
    "jsonfeed": "?format=jsonfeed",
    "html": "?format=html",
    "text": "?format=text",
    "versions": "/versions",
    "first version": "/versions/1",
    "embed": "/embed",
}
# For people, who have no key; the page of a licensed story says what it is about and whom to ask.
PAGES = """
                usable     embargoed  killed     takendown  expired    licensed   none       unknown
page            200        404        410        410        410        200        404        404
copy/html       200        404        410        410        410        403        404        404
copy/text       200        404        410        410        410        403        404        404
"""
LISTS = ("list", "by tag", "by section", "by author", "search", "search newest", "feed", "private feed")
QUERIES = {
    "list": "limit=100",
    "by tag": "tag=floods",
    "by section": "section=Military%20and%20Defense",
    "by author": "author=Lena%20Ortiz",
    "search": "q=gauges",
    "search newest": "q=gauges&order=newest",
    "feed": "feed=latest",
}


def read_table(text: str) -> dict[str, dict[str, str]]:
    head, *rows = [line.split() for line in text.strip().splitlines()]
    return {row[0]: dict(zip(head, row[1:], strict=True)) for row in rows}


CELLS = read_table(TABLE)
VIEWERS, STATES = list(CELLS), list(CELLS["anybody"])
PAGE_CELLS = read_table(PAGES)


@dataclass
class World:
    """One house with a story in every state and a caller of every kind; nothing in it changes."""

    client: FlaskClient
    stories: dict[str, str]  # public ids
    headers: dict[str, dict[str, str]]
    tokens: dict[str, str]

    def ask(self, path: str, viewer: str = "anybody") -> TestResponse:
        return self.client.get(path, headers=self.headers[viewer])


def build_world(house: House) -> World:
    desk = Desk(house)
    stories = {state: make_story(desk, state).public_id for state in STATES if state != "unknown"} | {"unknown": "nosuchstory"}
    assert isinstance(house.clock, HandClock)
    headers: dict[str, dict[str, str]] = {"anybody": {}, "wrong-key": {"Authorization": "Bearer syn_key_wrong"}}
    tokens: dict[str, str] = {}
    publishers = {viewer: make_publisher(desk, viewer) for viewer in VIEWERS if viewer not in {*headers, "newsroom"}}
    for viewer, publisher in publishers.items():
        headers[viewer] = make_key(house, publisher, Scope.SUBSCRIBE) if viewer == "push-only-key" else key_of(house, publisher)
        _, tokens[viewer] = token_of(house, publisher)
    headers["newsroom"] = make_key(house, None, Scope.NEWSROOM, Scope.READ)
    house.clock.advance(timedelta(minutes=30))
    for viewer, state in (("suspended", PublisherState.SUSPENDED), ("revoked", PublisherState.REVOKED)):
        desk.move(publishers[viewer], state)
    render_stale(house)
    return World(create_app(house.config, house).test_client(), stories, headers, tokens)


def make_story(desk: Desk, state: str) -> Story:
    """Publish a story that stands in `state` half an hour later; its body says so."""
    changes: dict[str, Any] = {
        "embargoed": {"embargoed_until": later(desk.house, hours=1)},
        "expired": {"expires_at": later(desk.house, minutes=10)},
        "licensed": {"rights": Rights.LICENSED},
        "none": {"rights": Rights.NONE},
    }.get(state, {})
    body = f"<p>The gauges report the river every minute, {mark_of(state)}.</p>"
    story = desk.publish(external_id=state, headline=f"Gauges {state}", body_html=body, **changes).story
    if state == "killed":
        desk.kill(story)
    if state == "takendown":
        desk.take_down(story)
    return story


def make_publisher(desk: Desk, viewer: str) -> Publisher:
    house = desk.house
    publisher = desk.publisher(approved=viewer not in {"applicant", "declined"}, embargo_trusted=viewer == "trusted")
    if viewer == "declined":
        desk.move(publisher, PublisherState.DECLINED)
    with house.sessions.begin() as session:
        row = session.get_one(Publisher, publisher.id)
        if viewer == "without-terms":
            row.terms_version = ""
        if viewer == "lapsed":
            row.approved_until = later(house, minutes=20)
        if viewer == "agreement":
            term = {"valid_from": house.clock(), "valid_until": later(house, days=1)}
            add_agreement(session, house, row, title="All", **term, actor="test", at=house.clock())
    return publisher


def make_key(house: House, publisher: Publisher | None, *scopes: Scope) -> dict[str, str]:
    with house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id) if publisher else None
        _, secret = create_key(session, holder, actor="test", at=house.clock(), scopes=scopes)
    return {"Authorization": f"Bearer {secret}"}


def mark_of(state: str) -> str:
    """A word that stands in the body of the story in `state` and nowhere else."""
    return f"zz{state}zz"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "syndicator.db").write_bytes(sqlite_template.read_bytes())
    values = {
        "site": {"base_url": BASE_URL, "data_dir": str(folder), "feeds_dir": str(ROOT / "feeds")},
        "limits": {"enabled": False},
    }
    house = open_house(read_config(values, folder, "test"), HandClock())
    yield build_world(house)
    house.engine.dispose()


def check(answer: TestResponse, cell: str, state: str, way: str) -> None:
    """The answer is what `cell` says, with the story's words exactly when it is granted."""
    text = answer.get_data(as_text=True)
    if cell == "-":
        assert answer.status_code == 200
        withdrawn = state in {"killed", "takendown", "none"} and way != "first version"
        assert (mark_of(state) in text) == (
            way != "versions" and not withdrawn and not (way == "first version" and state == "none")
        )
        return
    problem = json.loads(text)
    assert (answer.status_code, problem["reason"]) == REFUSALS[cell]
    assert (answer.mimetype, problem["status"]) == ("application/problem+json", answer.status_code)
    assert mark_of(state) not in text
    assert f"Gauges {state}" not in text


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("way", EXITS)
def test_a_story_leaves_to_whom_the_table_says(world: World, way: str, viewer: str, state: str) -> None:
    answer = world.ask(f"/v1/stories/{world.stories[state]}{EXITS[way]}", viewer)
    check(answer, CELLS[viewer][state], state, way)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("exit_", PAGE_CELLS)
def test_a_page_shows_what_the_table_says(world: World, exit_: str, state: str) -> None:
    path = f"/stories/{world.stories[state]}"
    answer = world.ask(path if exit_ == "page" else f"{path}/{exit_}")
    if answer.status_code == HTTPStatus.MOVED_PERMANENTLY:
        answer = world.ask(answer.headers["Location"])
    status = int(PAGE_CELLS[exit_][state])
    assert answer.status_code == status
    assert (mark_of(state) in answer.get_data(as_text=True)) == (status == 200 and state != "licensed")


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("way", LISTS)
def test_a_list_holds_just_what_its_reader_may_have(world: World, way: str, viewer: str) -> None:
    cells = CELLS[viewer]
    if way == "private feed":
        if viewer not in world.tokens:
            return
        answer = world.client.get(f"/f/{world.tokens[viewer]}/partners.atom")
        refusal = None if viewer == "push-only-key" else REFUSALS.get(cells["usable"])  # a token has no scopes
        wanted = {"usable"}
    else:
        answer = world.ask(f"/v1/stories?{QUERIES[way]}", viewer)
        refusal = REFUSALS.get(cells["usable"])
        wanted = {state for state, cell in cells.items() if cell == "-"}
        if viewer == "newsroom":
            wanted = {"usable", "embargoed"}  # it may open any, and lists what is on offer
        if way == "feed":
            wanted &= {"usable"}  # a story under embargo is in no feed yet, and this one holds no licensed ones
    text = answer.get_data(as_text=True)
    if refusal is not None:
        assert (answer.status_code, json.loads(text)["reason"]) == refusal
        wanted = set()
    else:
        assert answer.status_code == 200
    assert {state for state in STATES if mark_of(state) in text} == wanted


@pytest.mark.parametrize("form", ["rss", "atom", "json"])
@pytest.mark.parametrize("feed", ["latest", "headlines", "military-and-defense"])
def test_a_public_feed_holds_usable_stories_alone(world: World, feed: str, form: str) -> None:
    answer = world.ask(f"/feeds/{feed}.{form}")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert {state for state in STATES if mark_of(state) in text} == (set() if feed == "headlines" else {"usable"})
    assert not [state for state in ("embargoed", "licensed", "none") if f"Gauges {state}" in text]


def test_the_log_tells_of_no_story_that_its_reader_may_not_know_of(world: World) -> None:
    def told(viewer: str) -> set[str]:
        ids = {change["id"] for change in world.ask("/v1/changes", viewer).get_json()["changes"]}
        return {state for state, public_id in world.stories.items() if public_id in ids}

    out = {"usable", "killed", "takendown", "expired", "licensed"}
    assert told("approved") == out
    assert told("trusted") == out | {"embargoed"}


def test_the_table_holds_on_postgresql_too(config: Any, clock: HandClock, postgresql_url: str) -> None:
    house = open_house(config.model_copy(update={"database": Database(url=postgresql_url)}), clock)
    world = build_world(house)
    for viewer in ("approved", "trusted", "agreement", "suspended"):
        for state in STATES:
            check(world.ask(f"/v1/stories/{world.stories[state]}", viewer), CELLS[viewer][state], state, "ninjs")
        for way in QUERIES:
            test_a_list_holds_just_what_its_reader_may_have(world, way, viewer)
