"""What belongs to another publisher is not there: every id, in every address, query, form and JSON, by somebody else's owner and
key. The routes are read from the application; one that is new has to be named here (reliability S8, OWASP API1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from string import ascii_lowercase, digits
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from syndicator.domain.accounts import MemberRole, SignIn, SignInTry
from syndicator.domain.requests import RememberedRequest
from syndicator.domain.tables import TABLES
from syndicator.house import House
from tests.desk import Desk
from tests.web.belongings import belongings
from tests.web.callers import key_of
from tests.web.people import Browser, People

OURS, THEIRS = "heron", "magpie"  # words that stand in what is theirs and nowhere else
# What an argument of a route names, among the belongings of a publisher. Those of the second kind belong to nobody.
OWNED: dict[str, tuple[str, ...]] = {
    "/portal/keys/<key_id>": ("key_id", "token_id"),
    "/portal/members/<user_id>": ("user_id",),
    "/portal/members/invitations/<invitation_id>": ("invitation_id",),
    "/portal/subscriptions/<subscription_id>": ("subscription_id",),
    "/portal/deliveries/<uid>": ("uid",),
    "/portal/receipts/<jti>": ("jti",),
    "/portal/acknowledgements/<int:seq>": ("seq",),
    "/portal/application/figures/<figure_id>": ("figure_id",),
    "/portal/application/sites/<domain>": ("domain",),
    "/v1/subscriptions/<public_id>": ("subscription_id",),
    "/v1/deliveries/<uid>": ("uid",),
    "/v1/receipts/<jti>": ("jti",),
    "/v1/agreements/<reference>": ("agreement_id",),
    "/v1/acknowledgements/<int:seq>": ("seq",),
}
SHARED = ("/portal/stories/", "/portal/feeds/", "/portal/subscriptions/new/", "/v1/stories/", "/v1/newsroom/")
# Ids that go in a query or a body.
QUERIES = {
    "/portal/deliveries": {"subscription": "subscription_id"},
    "/v1/deliveries": {"subscription": "subscription_id"},
}
FORMS = {"/portal/switch": {"publisher": "publisher"}}
BODIES = {"/v1/deliveries/replay": {"subscription": "subscription_id"}}
FILLED = {"role": "owner", "days": "7", "do": "save"}  # with which every form here is taken from its owner
ORDERS: dict[str, dict[str, Any]] = {"PATCH": {"options": {}}, "backfill": {"days": 7}}
ABSENT = {"seq": "900000001", "domain": "nowhere.example"}  # ids of nothing, where a changed letter makes none


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough: every query that asks for an object names its publisher."""
    return sqlite_url


@dataclass
class World:
    """Two publishers with one of everything; the callers are those of the second."""

    house: House
    ours: dict[str, str]
    browser: Browser
    client: FlaskClient
    headers: dict[str, str]
    own_browser: Browser  # of an owner of what is asked for
    own_headers: dict[str, str]

    def ask(self, method: str, path: str, *, own: bool = False) -> TestResponse:
        if path.startswith("/v1/"):
            order = ORDERS.get(method) or ORDERS.get(path.rpartition("/")[2])
            return self.client.open(path, method=method, headers=self.own_headers if own else self.headers, json=order)
        browser = self.own_browser if own else self.browser
        return browser.get(path) if method == "GET" else browser.post(path, FILLED)


@pytest.fixture
def world(app: Flask, house: House, desk: Desk) -> World:
    people = People(app, house)
    heron, magpie = desk.publisher(), desk.publisher()
    owner = people.member(magpie, MemberRole.OWNER, "owner@elsewhere.example")
    own = people.member(heron, MemberRole.OWNER, f"owner@{OURS}.example")
    ours = belongings(people, desk, heron, OURS)
    belongings(people, desk, magpie, THEIRS)
    return World(
        house,
        ours,
        people.signed_in(owner),
        app.test_client(),
        key_of(house, magpie),
        people.signed_in(own),
        key_of(house, heron),
    )


def asked_for(app: Flask) -> list[tuple[str, str, str, str]]:
    """Every (method, path with one id of heron's, argument's name, belonging) there is."""
    found = []
    for rule in app.url_map.iter_rules():
        owned = kinds_of(rule)
        for method, kind in product(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}), owned):
            name = next(name for name in ("key_id", "reference", "public_id", kind) if name in rule.arguments)
            found.append((method, rule.rule, name, kind))
    return found


def kinds_of(rule: Rule) -> tuple[str, ...]:
    return max(((start, kinds) for start, kinds in OWNED.items() if rule.rule.startswith(start)), default=("", ()))[1]


def filled(rule: str, name: str, value: str, world: World) -> str:
    path = rule.replace(f"<{name}>", value).replace(f"<int:{name}>", value)
    return path.replace("<trial>", world.ours["trial"])


def absent(kind: str, value: str) -> str:
    """An id of the same shape that nothing has."""
    kept, _, turned = value.partition("_") if "_" in value else ("", "", value)
    turned = turned.translate(str.maketrans(f"{ascii_lowercase}{digits}", f"{ascii_lowercase[1:]}a{digits[1:]}0"))
    return ABSENT.get(kind) or (f"{kept}_{turned}" if kept else turned)


def everything(house: House) -> dict[str, list[Any]]:
    """Every row there is, but what any request leaves."""
    passing = {SignIn.__tablename__, SignInTry.__tablename__, RememberedRequest.__tablename__}
    with house.sessions() as session:
        return {
            table.name: sorted(
                map(repr, session.execute(select(*[each for each in table.columns if not each.key.startswith("last_used_")])))
            )
            for table in TABLES.sorted_tables
            if table.name not in passing
        }


def test_every_route_with_an_id_is_named_here(app: Flask) -> None:
    unnamed = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/portal/", "/v1/"))
        and rule.arguments
        and not kinds_of(rule)
        and not rule.rule.startswith(SHARED)
    ]
    assert not unnamed


def test_nothing_of_anothers_is_found_by_its_id_or_changed_and_it_is_as_unknown_as_nothing(app: Flask, world: World) -> None:
    before = everything(world.house)
    for method, rule, name, kind in asked_for(app):
        value = world.ours[kind]
        theirs = world.ask(method, filled(rule, name, value, world))
        nothing = world.ask(method, filled(rule, name, absent(kind, value), world))
        assert theirs.status_code == nothing.status_code == 404, (method, rule, kind)
        alike = theirs.text if kind == "seq" else theirs.text.replace(value, absent(kind, value))
        assert (alike == nothing.text) is True, (method, rule, kind)
        assert OURS not in theirs.text.replace(value, ""), (method, rule, kind)
    assert everything(world.house) == before


def test_nothing_of_anothers_is_reached_by_an_id_in_a_query_a_form_or_a_body(world: World) -> None:
    before = everything(world.house)
    for path, ids in QUERIES.items():
        for name, kind in ids.items():
            assert world.ask("GET", f"{path}?{name}={world.ours[kind]}").status_code == 404, path
    for path, ids in FORMS.items():
        assert world.browser.post(path, {name: world.ours[kind] for name, kind in ids.items()}).status_code == 404, path
    for path, ids in BODIES.items():
        order = {name: world.ours[kind] for name, kind in ids.items()}
        assert world.client.post(path, json=order, headers=world.headers).status_code == 404, path
    assert everything(world.house) == before


def test_no_list_and_no_page_tells_of_anothers(app: Flask, world: World) -> None:
    """Every page and list without an id, and every page about a story, which both publishers have."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/portal/", "/v1/")) or "GET" not in (rule.methods or set()) or kinds_of(rule):
            continue
        if rule.rule.startswith("/v1/newsroom/"):
            continue  # for our own systems
        path = rule.rule.replace("<public_id>", world.ours["story"]).replace("<kind>", "html").replace("<channel>", "webhook")
        path = path.replace("<int(max=2147483647):number>", "1")
        answer = world.ask("GET", path + (f"?story={world.ours['story']}" if path == "/portal/why" else ""))
        assert answer.status_code == 200, path
        assert OURS not in answer.text, path
        assert not [kind for kind, value in world.ours.items() if kind not in {"story", "seq"} and value in answer.text], path


def test_each_of_these_is_there_for_its_owner(app: Flask, world: World) -> None:
    """What the others prove is worth something only while the ids are right. What ends an object is asked for last."""
    for method, rule, name, kind in sorted(asked_for(app), key=lambda each: (each[1].endswith("remove"), each[0] == "DELETE")):
        answer = world.ask(method, filled(rule, name, world.ours[kind], world), own=True)
        assert answer.status_code != 404, (method, rule, kind)
