"""The database goes away or the disk is full: whoever asks is told to come back, and nothing else breaks (R5, R6)."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from syndicator.app import create_app
from syndicator.config import Config, Database
from syndicator.domain.accounts import StaffRole
from syndicator.domain.publishers import Scope
from syndicator.house import House, open_house
from syndicator.web.meter import SLOT, SLOTS, Meter
from tests.desk import Desk
from tests.web.callers import key_of
from tests.web.people import Browser, People

STORY = {"headline": "River gauges", "body_html": "<p>They report.</p>"}


@pytest.fixture
def house(config: Config, sqlite_url: str) -> House:
    return open_house(config.model_copy(update={"database": Database(url=sqlite_url)}))


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house.config, house)


@pytest.fixture
def editor(app: Flask, desk: Desk) -> Browser:
    people = People(app, desk.house)
    return people.signed_in(people.user("editor@newsroom.example", staff=StaffRole.ADMIN))


def full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def break_storage(house: House, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    event.listen(house.engine, "do_execute", refuse)
    house.engine.dispose()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (sqlite3.OperationalError("disk I/O error"), 503),
        (OperationalError("SELECT 1", None, psycopg.OperationalError("the server closed the connection")), 503),
        (full(), 507),
        (OperationalError("SELECT 1", None, psycopg.errors.DiskFull("could not extend file")), 507),
        (OSError(errno.ENOSPC, "No space left on device"), 507),
        (OSError(errno.EIO, "Input/output error"), 503),
    ],
)
def test_whatever_page_or_operation_asks_for_it_says_when_to_come_back(
    app: Flask, house: House, editor: Browser, error: Exception, status: int
) -> None:
    newsroom = key_of(house, None, Scope.NEWSROOM)
    asked = [rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]
    break_storage(house, error)
    answers = {path: editor.get(path, headers=newsroom if path.startswith("/v1/") else {}) for path in asked}
    answers["PUT"] = editor.client.put("/v1/newsroom/stories/a", json=STORY, headers=newsroom)
    answers["POST"] = editor.client.post(
        "/v1/newsroom/stories/a/kill", json={"reason": "Wrong."}, headers=newsroom | {"Idempotency-Key": "once"}
    )
    broken = {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 500}
    assert set(broken.values()) - {503} <= {status}
    assert {"PUT", "POST", "/v1/stories", "/desk/", "/"} <= broken.keys()
    assert all(answers[path].headers["Retry-After"] for path in ("PUT", "POST", "/v1/stories", "/desk/", "/"))


def test_a_full_disk_ends_no_process_that_counts_requests(tmp_path: Path) -> None:
    """A hole in a file that is mapped would be a bus error at the first write once there is no room."""
    Meter(tmp_path / "meter").close()
    assert (tmp_path / "meter").stat().st_blocks * 512 >= SLOTS * SLOT.size
