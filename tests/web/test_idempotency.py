"""`Idempotency-Key`: the same request again has the same answer and no second effect, whenever the process dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from syndicator.domain.requests import RememberedRequest
from syndicator.domain.stories import StoryVersion
from syndicator.domain.subscriptions import Subscription
from syndicator.operations.remembering import forget_requests
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.callers import key_of
from tests.web.test_api import refused

ORDER = {"feed": "latest", "channel": "webhook", "endpoint": "https://93.184.216.34/in"}


@pytest.fixture
def mine(desk: Desk) -> dict[str, str]:
    return key_of(desk.house, desk.publisher()) | {"Idempotency-Key": "order-1"}


def subscriptions(desk: Desk) -> int:
    with desk.house.sessions() as session:
        return session.scalar(select(func.count()).select_from(Subscription)) or 0


def test_the_same_request_has_the_same_answer_and_no_second_effect(
    client: FlaskClient, desk: Desk, mine: dict[str, str], clock: HandClock
) -> None:
    first = client.post("/v1/subscriptions", json=ORDER, headers=mine)
    clock.advance(timedelta(hours=23))
    again = client.post("/v1/subscriptions", json=ORDER, headers=mine)
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert subscriptions(desk) == 1
    clock.advance(timedelta(hours=1))
    later = client.post("/v1/subscriptions", json=ORDER, headers=mine)
    assert later.get_json()["id"] != first.get_json()["id"]


def test_a_remembered_secret_is_not_stored_in_the_clear(client: FlaskClient, desk: Desk, mine: dict[str, str]) -> None:
    secret = client.post("/v1/subscriptions", json=ORDER, headers=mine).get_json()["secret"]
    with desk.house.sessions() as session:
        [kept] = session.scalars(select(RememberedRequest))
    assert secret not in str(vars(kept))
    assert "order-1" not in str(vars(kept))


def test_the_key_belongs_to_its_sender_and_to_one_request(client: FlaskClient, desk: Desk, mine: dict[str, str]) -> None:
    client.post("/v1/subscriptions", json=ORDER, headers=mine)
    other = client.post("/v1/subscriptions", json=ORDER | {"feed": "partners"}, headers=mine)
    assert refused(other, 422, "invalid_request")
    assert other.get_json()["field"] == "Idempotency-Key"
    theirs = key_of(desk.house, desk.publisher()) | {"Idempotency-Key": "order-1"}
    assert client.post("/v1/subscriptions", json=ORDER, headers=theirs).status_code == 201
    assert subscriptions(desk) == 2


def test_a_request_that_failed_may_be_sent_again(client: FlaskClient, desk: Desk, mine: dict[str, str]) -> None:
    wrong = ORDER | {"endpoint": "http://10.0.0.1/"}
    assert refused(client.post("/v1/subscriptions", json=wrong, headers=mine), 422, "invalid_request")
    assert client.post("/v1/subscriptions", json=ORDER, headers=mine).status_code == 201


@pytest.mark.parametrize(("order", "status"), [(ORDER, 201), (ORDER | {"endpoint": "http://10.0.0.1/"}, 422)])
def test_an_answer_that_could_not_be_stored_is_stored_later(
    client: FlaskClient, desk: Desk, mine: dict[str, str], order: dict[str, str], status: int
) -> None:
    """R5: a disk that was full for a moment keeps nobody waiting for a request that has long ended."""
    full = OperationalError("", None, sqlite3.OperationalError("database or disk is full"))
    with storing_fails(desk, full):
        assert client.post("/v1/subscriptions", json=order, headers=mine).status_code == status
    again = client.post("/v1/subscriptions", json=order, headers=mine)
    assert again.status_code == status
    assert again.headers.get("Idempotent-Replayed") == ("true" if status == 201 else None)
    assert subscriptions(desk) == (status == 201)


@contextmanager
def storing_fails(desk: Desk, error: Exception) -> Iterator[None]:
    """Let claims and effects be stored, and no answers."""

    def refuse(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("DELETE FROM remembered_requests", "UPDATE remembered_requests SET answer")):
            raise error

    event.listen(desk.house.engine, "before_cursor_execute", refuse)
    yield
    event.remove(desk.house.engine, "before_cursor_execute", refuse)


@pytest.mark.parametrize("word", ["", "x" * 256, "caf\u00e9\x00"])
def test_a_key_that_cannot_be_one_is_named(client: FlaskClient, mine: dict[str, str], word: str) -> None:
    answer = client.post("/v1/subscriptions", json=ORDER, headers=mine | {"Idempotency-Key": word.replace("\x00", "\x7f")})
    assert refused(answer, 422, "invalid_request")


def test_while_the_first_one_runs_the_second_is_told_to_wait(client: FlaskClient, desk: Desk, mine: dict[str, str]) -> None:
    client.post("/v1/subscriptions", json=ORDER, headers=mine)
    with desk.house.sessions.begin() as session:
        session.execute(update(RememberedRequest).values(answer=None, took_effect=False))
    waiting = client.post("/v1/subscriptions", json=ORDER, headers=mine)
    assert refused(waiting, 409, "conflict")
    assert waiting.headers["Retry-After"] == "1"


def test_a_process_that_died_before_the_effect_lets_the_request_be_carried_out(
    client: FlaskClient, desk: Desk, mine: dict[str, str], clock: HandClock
) -> None:
    _die(client, desk, mine, "before_commit")
    assert subscriptions(desk) == 0
    clock.advance(timedelta(minutes=2))
    assert client.post("/v1/subscriptions", json=ORDER, headers=mine).status_code == 201
    assert subscriptions(desk) == 1


def test_a_process_that_died_after_the_effect_never_repeats_it(
    client: FlaskClient, desk: Desk, mine: dict[str, str], clock: HandClock
) -> None:
    _die(client, desk, mine, "after_commit")
    assert subscriptions(desk) == 1
    clock.advance(timedelta(minutes=2))
    again = client.post("/v1/subscriptions", json=ORDER, headers=mine)
    assert refused(again, 409, "conflict")
    assert subscriptions(desk) == 1


def test_the_newsrooms_corrections_are_remembered_too(client: FlaskClient, desk: Desk) -> None:
    newsroom = key_of(desk.house, None) | {"Idempotency-Key": "fix"}
    client.put("/v1/newsroom/stories/a", json={"headline": "A", "body_html": "<p>B</p>"}, headers=newsroom)
    for _ in range(3):
        answer = client.post("/v1/newsroom/stories/a/correct", json={"note": "Not so."}, headers=newsroom)
        assert answer.get_json()["version"] == 2
    with desk.house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(StoryVersion)) == 2


def test_remembered_requests_are_forgotten_after_a_day(
    client: FlaskClient, desk: Desk, mine: dict[str, str], clock: HandClock
) -> None:
    client.post("/v1/subscriptions", json=ORDER, headers=mine)
    clock.advance(timedelta(hours=24))
    with desk.house.sessions.begin() as session:
        assert forget_requests(session, at=clock()) == 1


def test_many_who_send_the_same_at_once_make_one_thing(client: FlaskClient, desk: Desk, mine: dict[str, str]) -> None:
    """R3: whoever is first is carried out; the others are told its answer, or to ask again for it."""

    def send(_number: int) -> TestResponse:
        return client.application.test_client().post("/v1/subscriptions", json=ORDER, headers=mine)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(200)))
    made = {answer.get_json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert client.post("/v1/subscriptions", json=ORDER, headers=mine).get_json()["id"] == made.pop()
    assert subscriptions(desk) == 1


def test_a_request_that_broke_after_it_took_effect_is_not_done_again(
    client: FlaskClient, desk: Desk, mine: dict[str, str], clock: HandClock
) -> None:
    client.application.view_functions["api.add_subscription"] = Broken(client.application.view_functions["api.add_subscription"])
    assert client.post("/v1/subscriptions", json=ORDER, headers=mine).status_code == 500
    assert refused(client.post("/v1/subscriptions", json=ORDER, headers=mine), 409, "conflict")
    clock.advance(timedelta(minutes=2))
    assert refused(client.post("/v1/subscriptions", json=ORDER, headers=mine), 409, "conflict")
    assert subscriptions(desk) == 1


class Broken:
    """A view with a fault of ours behind its last commit."""

    def __init__(self, view: Callable[..., Any]) -> None:
        self.view = view

    def __call__(self, **values: Any) -> Any:
        self.view(**values)
        raise RuntimeError("the answer could not be written")


class Killed(BaseException):
    """The process ends here: nothing after it runs, no answer and no clean-up."""


def _die(client: FlaskClient, desk: Desk, mine: dict[str, str], moment: str) -> None:
    """Send the order to a process that dies at `moment` of the transaction that makes the subscription."""

    def dying(session: Session) -> None:
        if any(isinstance(row, Subscription) for row in session.identity_map.values()):
            raise Killed

    event.listen(desk.house.sessions, moment, dying)
    with pytest.raises(Killed):
        client.post("/v1/subscriptions", json=ORDER, headers=mine)
    event.remove(desk.house.sessions, moment, dying)
