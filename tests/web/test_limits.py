"""Rate limits: fair between askers, shared between processes, told in the draft's fields, and kind to polite pollers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from syndicator.app import create_app
from syndicator.config import Config, Database, Limits
from syndicator.house import open_house
from syndicator.operations.render_feeds import render_stale
from syndicator.web.limits import TO_READER
from syndicator.web.meter import Meter, Rate
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.callers import key_of, token_of

TEN = Rate(10, 60)


@pytest.fixture
def desk(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[Desk]:
    limits = Limits(requests_per_key="5/minute", requests_per_address="3/minute")
    house = open_house(config.model_copy(update={"database": Database(url=sqlite_url), "limits": limits}), clock)
    yield Desk(house)
    house.engine.dispose()


@pytest.fixture
def app(desk: Desk) -> Flask:
    return create_app(desk.house.config, desk.house)


def test_a_key_that_asks_too_much_waits_and_hurts_nobody_else(app: Flask, desk: Desk, clock: HandClock) -> None:
    client, greedy, other = app.test_client(), key_of(desk.house, desk.publisher()), key_of(desk.house, desk.publisher())
    answers = [client.get("/v1/me", headers=greedy) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["RateLimit"] for answer in answers[:2]] == ['"key";r=4;t=12', '"key";r=3;t=24']
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=5;w=60'
    refused = answers[-1]
    assert (refused.mimetype, refused.get_json()["reason"]) == ("application/problem+json", "rate_limited")
    assert refused.headers["Retry-After"] == "12"
    assert refused.get_json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert refused.get_json()["violated-policies"] == ["key"]
    assert client.get("/v1/me", headers=other).status_code == 200
    clock.advance(timedelta(seconds=12))
    assert client.get("/v1/me", headers=greedy).status_code == 200
    assert client.get("/v1/me", headers=greedy).status_code == 429


def test_a_key_at_fifty_times_its_limit_takes_nothing_from_the_others(app: Flask, desk: Desk) -> None:
    client, greedy = app.test_client(), key_of(desk.house, desk.publisher())
    others = {publisher.public_id: key_of(desk.house, publisher) for publisher in (desk.publisher(), desk.publisher())}
    seen: list[int] = []
    for turn in range(5):
        seen += [client.get("/v1/me", headers=greedy).status_code for _ in range(50)]
        for name, headers in others.items():
            answer = client.get("/v1/me", headers=headers)
            assert (answer.status_code, answer.get_json()["publisher"]["id"]) == (200, name)
            assert answer.headers["RateLimit"].startswith(f'"key";r={4 - turn};')  # as if they were alone
    assert seen == [200] * 5 + [429] * 245


def test_a_crowd_keeps_its_allowances_beside_one_that_floods(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "limits")
    crowd = [f"key {number}" for number in range(500)]
    for turn in range(10):
        flood = [meter.take("key greedy", TEN, 1000.0).granted for _ in range(50)]
        assert flood == ([True] * 10 + [False] * 40 if turn == 0 else [False] * 50)
        assert all(meter.take(asker, TEN, 1000.0).left == 9 - turn for asker in crowd)
    meter.close()


def test_who_has_no_valid_key_is_counted_by_address(app: Flask) -> None:
    client = app.test_client()
    wrong = {"Authorization": "Bearer syn_key_guess"}
    assert [client.get("/v1/stories", headers=wrong).status_code for _ in range(4)] == [401] * 3 + [429]
    page = client.get("/feeds")
    assert (page.status_code, page.mimetype, page.headers["Retry-After"]) == (429, "text/html", "20")
    assert client.get("/feeds", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_one_household_is_one_asker_however_many_ipv6_addresses_it_has(app: Flask) -> None:
    client = app.test_client()
    asked = [client.get("/license", environ_overrides={"REMOTE_ADDR": f"2001:db8:1:2::{last}"}).status_code for last in range(4)]
    assert asked == [200, 200, 200, 429]
    assert client.get("/license", environ_overrides={"REMOTE_ADDR": "2001:db8:1:3::1"}).status_code == 200


def test_a_reader_of_a_private_feed_spends_nobody_elses_allowance_behind_the_same_proxy(app: Flask, desk: Desk) -> None:
    desk.publish()
    render_stale(desk.house)
    publisher, client, polite = desk.publisher(), app.test_client(), {"If-None-Match": '"x"'}
    flooding, neighbour = (f"/f/{token_of(desk.house, publisher)[1]}/partners.rss" for _ in range(2))
    answers = [client.get(flooding, headers=polite).status_code for _ in range(3 * TO_READER + 1)]
    assert answers[:-1] == [200] * (3 * TO_READER)
    assert answers[-1] == 429
    assert client.get(neighbour, headers=polite).status_code == 200
    assert [client.get(neighbour).status_code for _ in range(4)] == [200] * 3 + [429]
    assert client.get(neighbour, headers=polite).status_code == 200
    assert client.get("/license").status_code == 200


def test_who_makes_tokens_up_has_no_allowance_for_each_of_them(app: Flask, desk: Desk) -> None:
    render_stale(desk.house)
    known = f"/f/{token_of(desk.house, desk.publisher())[1]}/partners.rss"
    client, polite = app.test_client(), {"If-None-Match": '"x"'}
    answers = [client.get(f"/f/made-up-{number}/partners.rss", headers=polite).status_code for number in range(6)]
    assert answers == [401] * 3 + [429] * 3
    assert client.get(known, headers=polite).status_code == 200


def test_processes_share_one_allowance(tmp_path: Path) -> None:
    meters = [Meter(tmp_path / "meter") for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda number: meters[number % 4].take("one", Rate(100, 60), 1000.0).granted, range(400)))
    assert granted.count(True) == 100


def test_a_clock_that_is_set_back_locks_nobody_out(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "meter")
    assert meter.take("one", TEN, 1_000_000.0).granted
    assert [meter.take("one", TEN, 10.0).granted for _ in range(11)] == [True] * 10 + [False]


@given(waits=st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_more_than_the_rate_and_its_burst_is_granted(tmp_path_factory: pytest.TempPathFactory, waits: list[float]) -> None:
    meter = Meter(tmp_path_factory.mktemp("meter") / "meter")
    now, granted = 1000.0, 0
    for wait in waits:
        now += wait
        standing = meter.take("one", TEN, now)
        granted += standing.granted
        assert 0 <= standing.left < TEN.amount
        assert standing.granted or 1 <= standing.again_in_seconds <= 6
    meter.close()
    assert granted <= TEN.amount + (now - 1000.0) / (TEN.seconds / TEN.amount) + 1e-6


def test_more_askers_than_slots_still_have_their_limits(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "meter")
    for number in range(70_000):
        meter.take(f"asker {number}", TEN, 1000.0 + number / 1000)
    assert [meter.take("late", TEN, 1100.0).granted for _ in range(11)] == [True] * 10 + [False]
