"""Whatever is sent to the API, a fault of the sender is a problem document (RFC 9457) and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from syndicator.app import create_app
from syndicator.config import Config, Database, Intake, Server
from syndicator.house import open_house
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.web.callers import key_of
from tests.web.test_api import STORY, refused

JSON = {"Content-Type": "application/json"}
NOT_JSON = {
    "nothing": b"",
    "half a list": b"[",
    "a text": b"headline=x",
    "not a number": b'{"headline":NaN}',
    "without end": b'{"limit":-Infinity}',
    "no UTF": b"\xff\xfe\xfd",
    "a control character": b'{"headline":"\x00"}',
    "five thousand digits": b'{"days":' + b"9" * 5000 + b"}",
    "two documents": b"{}{}",
}
ILL_FITTING = {
    "null": b"null",
    "a list": b"[1]",
    "deep": b"[" * 65 + b"]" * 65,
    "bottomless": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "half a surrogate pair": b'{"headline":"\\ud800","body_html":"<p>x</p>","reason":"\\udfff","feed":"\\ud800"}',
    "a half as a name": b'{"\\ud800":1}',
    "a NUL": b'{"reason":"\\u0000","note":"\\u0000","feed":"\\u0000","story":"\\u0000","endpoint":"\\u0000"}',
    "a number beyond any": b'{"days":1e999,"after_seq":1e999,"limit":99999999999999999999}',
    "of another kind": b'{"headline":[],"reason":{},"note":1,"feed":true,"options":"x","days":"7"}',
}


@pytest.fixture
def desk(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[Desk]:
    changed = {"server": Server(max_body_bytes=3_000_000), "intake": Intake(max_story_bytes=2_000_000)}
    house = open_house(config.model_copy(update={"database": Database(url=sqlite_url), **changed}), clock)
    yield Desk(house)
    house.engine.dispose()


@pytest.fixture
def client(desk: Desk) -> FlaskClient:
    return create_app(desk.house.config, desk.house).test_client()


class Senders:
    """Whoever holds a key, and every operation of the description that takes a body."""

    def __init__(self, desk: Desk, client: FlaskClient) -> None:
        publisher = desk.publisher()
        self.client, self.publisher = client, key_of(desk.house, publisher)
        self.newsroom = key_of(desk.house, None)
        self.known = {
            "public_id": desk.subscription(publisher).public_id,
            "external_id": desk.publish().story.external_id,
        }

    def send(self, body: bytes, **headers: str) -> Iterator[tuple[str, TestResponse]]:
        described = self.client.get("/v1/openapi.json").get_json()["paths"]
        for path, operations in described.items():
            for method, operation in operations.items():
                if "requestBody" in operation:
                    key = self.newsroom if path.startswith("/v1/newsroom/") else self.publisher
                    address = path.format_map(self.known)
                    yield f"{method} {path}", self.client.open(address, method=method.upper(), data=body, headers=key | headers)


@pytest.fixture
def senders(desk: Desk, client: FlaskClient) -> Senders:
    return Senders(desk, client)


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_malformed_to_every_operation(senders: Senders, body: bytes) -> None:
    answers = list(senders.send(body, **JSON))
    assert len(answers) > 8
    for operation, answer in answers:
        assert refused(answer, 400, "invalid_request"), operation


@pytest.mark.parametrize("body", ILL_FITTING.values(), ids=ILL_FITTING)
def test_what_does_not_fit_is_refused_by_every_operation(senders: Senders, body: bytes) -> None:
    for operation, answer in senders.send(body, **JSON):
        assert refused(answer, 422, "invalid_request"), operation
        answer.get_data().decode()


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml"])
def test_a_body_of_another_kind_is_told_which_is_wanted(senders: Senders, media_type: str) -> None:
    for operation, answer in senders.send(json.dumps(STORY).encode(), **({"Content-Type": media_type} if media_type else {})):
        assert refused(answer, 415, "invalid_request"), operation
        assert answer.headers["Accept"] == "application/json"


def test_too_large_a_body_and_too_large_a_story_are_told_apart_from_wrong_ones(senders: Senders) -> None:
    for operation, answer in senders.send(b'{"headline":"' + b"x" * 3_000_000 + b'"}', **JSON):
        assert refused(answer, 413, "invalid_request"), operation
    story = STORY | {"body_html": f"<p>{'x' * 2_000_000}</p>"}
    answer = senders.client.put("/v1/newsroom/stories/large", json=story, headers=senders.newsroom)
    assert refused(answer, 413, "invalid_request")
    assert answer.get_json()["field"] == "body_html"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/", 404),
        ("GET", "/v1/nosuch", 404),
        ("GET", "/v1/stories/", 404),
        ("GET", "/v1/stories/a/b/c", 404),
        ("GET", "/v1/stories/%00", 404),
        ("GET", "/v1/stories/%ff%fe/versions/99999999999999999999", 404),
        ("DELETE", "/v1/stories", 405),
        ("POST", "/v1/me", 405),
        ("PATCH", "/v1/openapi.json", 405),
        ("BREW", "/v1/stories", 405),
        ("PUT", "/v1/newsroom/superdesk", 405),
    ],
)
def test_what_is_not_there_is_a_problem_document(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert refused(answer, status, "invalid_request")
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_problem_leads_to_a_page_that_explains_it(client: FlaskClient) -> None:
    problem: dict[str, Any] = client.get("/v1/stories").get_json()
    assert problem["type"].startswith(f"{BASE_URL}/problems/")
    assert client.get(problem["type"].removeprefix(BASE_URL)).status_code == 200
    assert {"type", "title", "status", "detail", "reason", "contact", "license", "apply"} == set(problem)
