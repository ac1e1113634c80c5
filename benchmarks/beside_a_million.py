"""Whether age costs anything (goal P9): claims, renderings, polls and pages beside a million stories and as many finished
deliveries, and beside a thousand.

Two houses that differ in nothing else, asked in turn; the median of the rounds counts. SQLite, loopback only. Rows are copied
inside the database from one story that was published as any other.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import update

from benchmarks import naive, newsroom, poll
from benchmarks.figure import Figure, need
from benchmarks.loopback import ask, free_port, running
from benchmarks.poll_beside_push import subscribe
from syndicator.app import create_app
from syndicator.delivery.ledger import claim_due
from syndicator.domain.publishers import Scope
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.domain.tables import TABLES
from syndicator.house import House
from syndicator.operations.keys import create_key
from syndicator.operations.render_feeds import render_stale
from syndicator.storage.queries import last_value

FEW = 1_000
DUE = 500
FEED = 'title = "Latest"\nlimit = 50\n'
AGE = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || (i * 5) || ' minutes')"  # of the i-th copy

Case = Callable[["Old", int], float]  # seconds that it took


@dataclass
class Old:
    """A house with `stories` behind it."""

    file: Path
    house: House
    stories: int

    def publish(self, number: int) -> None:
        newsroom.publish(self.house, number)


def measure(quick: bool) -> list[Figure]:
    need("wrk", "nginx")
    many, rounds = (50_000, 5) if quick else (1_000_000, 15)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        houses = [_build(Path(name) / str(stories), stories) for stories in (FEW, many)]
        cases: list[tuple[str, Case, Case | None]] = [
            (f"claim of {DUE} deliveries", _claim, None),
            ("rendering after a story", _render, _render_naively),
            ("front page, 10 times", _asking("/"), None),
            ("list of the API, 10 times", _asking("/v1/stories"), None),
            ("page of a section, 10 times", _asking("/latest?section=Education"), None),
        ]
        figures = [_figure(what, case, peer, houses, rounds) for what, case, peer in cases]
        return [*figures, _polls(houses, Path(name) / "peers", 1 if quick else 3)]


def _figure(what: str, case: Case, peer: Case | None, houses: list[Old], rounds: int) -> Figure:
    took: list[list[float]] = [[], []]
    peers: list[list[float]] = [[], []]
    for number in range(rounds):
        for old, times, naively in zip(houses, took, peers, strict=True):
            times.append(case(old, number))
            if peer:
                naively.append(peer(old, number))
    few, many = (statistics.median(times) * 1000 for times in took)
    told = _told(what, many / few, houses, f"{few:.3g} ms", f"{many:.3g} ms")
    if not peer:
        return told
    few, many = (statistics.median(times) * 1000 for times in peers)
    naive_way = {"feedgen, of one format and at each request": f"{few:.3g} ms and {many:.3g} ms"}
    return replace(told, beside={**told.beside, **naive_way})


def _told(what: str, ratio: float, houses: list[Old], few: str, many: str) -> Figure:
    beside = {f"beside {houses[0].stories:,}": few, f"beside {houses[1].stories:,}": many}
    return Figure(
        goal_id="P9", what=what, value=ratio, unit="× beside 10³", floor=2, goal=1.2, more_is_better=False, beside=beside
    )


def _claim(old: Old, _number: int) -> float:
    """Seconds for a claim, which is then undone."""
    with old.house.sessions() as session:
        began = time.perf_counter()
        seq, lease = last_value(session, "events"), timedelta(seconds=90)
        ids = claim_due(session, worker="benchmark", at=old.house.clock(), limit=DUE, up_to_seq=seq, lease=lease)
        took = time.perf_counter() - began
        assert len(ids) == DUE
        session.rollback()
    return took


def _render(old: Old, number: int) -> float:
    old.publish(10_000_000 + number)
    began = time.perf_counter()
    assert render_stale(old.house)
    return time.perf_counter() - began


def _render_naively(old: Old, _number: int) -> float:
    began = time.perf_counter()
    naive.render(old.house)
    return time.perf_counter() - began


def _asking(path: str) -> Case:
    clients: dict[int, tuple[FlaskClient, dict[str, str]]] = {}

    def case(old: Old, _number: int) -> float:
        if old.stories not in clients:
            clients[old.stories] = create_app(old.house.config, old.house).test_client(), {"Authorization": f"Bearer {_key(old)}"}
        client, fields = clients[old.stories]
        began = time.perf_counter()
        for _ in range(10):
            assert client.get(path, headers=fields).status_code == 200, path
        return time.perf_counter() - began

    return case


def _key(old: Old) -> str:
    with old.house.sessions.begin() as session:
        scopes = (Scope.NEWSROOM, Scope.READ)
        return create_key(session, None, actor="benchmark", at=old.house.clock(), scopes=scopes)[1]


def _polls(houses: list[Old], folder: Path, rounds: int) -> Figure:
    """Poll both houses in turn, by this service and by feedgen at each request; nginx knows neither, and shows the noise."""
    rates: dict[str, list[list[float]]] = {which: [[], []] for which in ("ours", "nginx", "naive")}
    with contextlib.ExitStack() as stack:
        folder.mkdir()
        nginx = poll.start_servers(folder, stack, only=("nginx",))["nginx"].url
        urls = [{"nginx": nginx, **_start(old, stack)} for old in houses]
        for _ in range(rounds):
            for number, of_house in enumerate(urls):
                for which, url in of_house.items():
                    rates[which][number].append(ask(url, 2, with_tag=True).per_second)
    medians = {which: [statistics.median(each) for each in pair] for which, pair in rates.items()}
    said = {which: f"{few:,.0f}/s and {many:,.0f}/s ({few / many:.2f} ×)" for which, (few, many) in medians.items()}
    few, many = medians["ours"]
    told = _told("time of a poll (304)", few / many, houses, f"{few:,.0f}/s", f"{many:,.0f}/s")
    peers = {"nginx at the same times": said["nginx"], "feedgen at each request": said["naive"]}
    return replace(told, beside={**told.beside, **peers})


def _start(old: Old, stack: contextlib.ExitStack) -> dict[str, str]:
    """Start this service and its naive peer on the same house; returns where they are polled."""
    ports = {"ours": free_port(), "naive": free_port()}
    settings = {**os.environ, "SYNDICATOR_SERVER__PORT": str(ports["ours"]), "SYNDICATOR_SERVER__WORKERS": "1"}
    command = [sys.executable, "-m", "syndicator", "--config", str(old.file), "web"]
    stack.enter_context(running(command, ports["ours"], settings))
    stack.enter_context(running(naive.command(ports["naive"], old.file), ports["naive"]))
    return {which: f"http://127.0.0.1:{port}/feeds/latest.rss" for which, port in ports.items()}


# --- A house with a past


def _build(folder: Path, stories: int) -> Old:
    feeds = folder / "feeds"
    feeds.mkdir(parents=True)
    (feeds / "latest.toml").write_text(FEED)
    file = newsroom.build(folder, feeds)
    house = newsroom.enter(file)
    newsroom.publish(house, 1)
    render_stale(house)
    subscribe(house, 0, count=DUE)
    newsroom.publish(house, 2)  # owed to all of them
    with contextlib.closing(sqlite3.connect(folder / "var" / "syndicator.db")) as database:  # without foreign keys
        database.execute("PRAGMA synchronous=OFF")
        _age(database, stories)
        database.execute("ANALYZE")
        database.commit()
    with house.sessions.begin() as session:
        session.execute(update(Subscription).values(state=SubscriptionState.PAUSED))  # nothing more is owed
    for number in range(10, 60):
        newsroom.publish(house, number)
    with house.sessions.begin() as session:
        session.execute(update(Subscription).values(state=SubscriptionState.ACTIVE))
    while render_stale(house):
        pass
    return Old(file, house, stories)


def _age(database: sqlite3.Connection, count: int) -> None:
    """Add `count` stories that lie in archives long written, each with a version and a finished delivery."""
    of_story = {"story_id": "1000 + i", "published_at": AGE, "updated_at": AGE}
    section = "(CASE i % 50 WHEN 0 THEN 'Education' ELSE 'Politics' END)"
    _copy(
        database,
        "stories",
        "id = 1",
        count,
        {"id": "1000 + i", "public_id": "'b' || i", "uri": "'tag:b' || i", "external_id": "'b' || i"}
        | {"published_at": AGE, "updated_at": AGE, "released_at": AGE},
    )
    version = {"id": "1000 + i", "story_id": "1000 + i", "created_at": AGE, "section": section, "body_html": "'<p>Old.</p>'"}
    _copy(database, "story_versions", "story_id = 1", count, version)
    _copy(database, "feed_entries", "story_id = 1", count, of_story | {"archive": f"{count // 10} - (i - 1) / 10"})
    database.execute(
        "INSERT INTO feed_archives (feed, number, changed_at, stale_at, written)"
        " SELECT DISTINCT feed, archive, '2026-01-01 00:00:00.000000', NULL, 1 FROM feed_entries WHERE archive IS NOT NULL"
    )
    done = {"id": "1000 + i", "story_id": "1000 + i", "state": "'delivered'", "next_attempt_at": "NULL", "created_at": AGE}
    _copy(database, "deliveries", "event_seq = 2", count, done | {"settled_at": AGE, "event_seq": "1000000 + i"})


def _copy(database: sqlite3.Connection, table: str, where: str, count: int, changes: dict[str, str]) -> None:
    """Copy the first row of `table` that is so `count` times, number i (from 1) with `changes` of columns to expressions."""
    columns = [column.name for column in TABLES.tables[table].columns]
    values = ", ".join(changes.get(column, f"old.{column}") for column in columns)
    database.execute(
        f"WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count})"
        f" INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {values} FROM numbers, (SELECT * FROM {table} WHERE {where} LIMIT 1) AS old"
    )
