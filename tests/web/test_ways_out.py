"""Choosing a way out by the API: options are checked and completed, a credential goes in and never comes out."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.domain.subscriptions import Subscription
from tests.desk import Desk
from tests.web.callers import key_of

SFTP = {
    "feed": "latest",
    "channel": "sftp",
    "endpoint": "sftp://93.184.216.34",
    "options": {"user": "courier", "host_key": "SHA256:" + "A" * 43},
    "credential": "hunter2-hunter2",
}
WORDPRESS = {
    "feed": "latest",
    "channel": "wordpress",
    "endpoint": "https://93.184.216.34/",
    "options": {"user": "desk", "status": "publish"},
    "credential": "hunter2-hunter2",
}


@pytest.mark.parametrize("order", [SFTP, WORDPRESS])
def test_a_credential_is_kept_encrypted_and_never_shown(client: FlaskClient, desk: Desk, order: dict[str, object]) -> None:
    key = key_of(desk.house, desk.publisher())
    made = client.post("/v1/subscriptions", json=order, headers=key)
    assert (made.status_code, made.get_json()["secret"]) == (201, "")
    path = f"/v1/subscriptions/{made.get_json()['id']}"
    assert "hunter2" not in made.text + client.get(path, headers=key).text
    with desk.house.sessions() as session:
        locked = session.scalars(select(Subscription.secret)).one()
    assert locked is not None
    assert "hunter2" not in locked
    assert desk.house.vault.unlock(locked) == "hunter2-hunter2"
    assert client.post(f"{path}/rotate-secret", headers=key).status_code == 422


def test_a_credential_does_not_follow_to_another_server(client: FlaskClient, desk: Desk) -> None:
    key = key_of(desk.house, desk.publisher())
    path = f"/v1/subscriptions/{client.post('/v1/subscriptions', json=SFTP, headers=key).get_json()['id']}"
    elsewhere = {"endpoint": "sftp://93.184.216.35"}
    refused = client.patch(path, json=elsewhere, headers=key)
    assert (refused.status_code, refused.get_json()["field"]) == (422, "credential")
    assert client.get(path, headers=key).get_json()["endpoint"] == SFTP["endpoint"]
    assert client.patch(path, json={**elsewhere, "credential": "another"}, headers=key).status_code == 200
    folder = client.patch(path, json={"options": {**SFTP["options"], "folder": "in"}}, headers=key)  # type: ignore[dict-item]
    assert folder.get_json()["options"]["folder"] == "in"


def test_a_publisher_has_letters_sent_to_its_own_mailbox(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    order = {"feed": "latest", "channel": "email", "endpoint": publisher.email, "options": {"frequency": "daily"}}
    made = client.post("/v1/subscriptions", json=order, headers=key_of(desk.house, publisher))
    assert (made.status_code, made.get_json()["secret"]) == (201, "")
    assert made.get_json()["options"] == {"frequency": "daily", "hour": 7, "timezone": "UTC"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"credential": ""}, "credential"),
        ({"options": {"user": "desk", "status": "loud"}}, "options.status"),
        ({"options": {"user": "desk", "colour": "red"}}, "options.colour"),
        ({"options": {}}, "options.user"),
        ({"channel": "email", "endpoint": "x@else.example", "options": {}, "credential": ""}, "endpoint"),
        ({"channel": "email", "endpoint": "x@else.example", "options": {"timezone": "Mars/Base"}}, "options.timezone"),
        ({"channel": "websub", "options": {}, "credential": ""}, "channel"),
    ],
)
def test_what_does_not_fit_is_named(client: FlaskClient, desk: Desk, changes: dict[str, object], field: str) -> None:
    key = key_of(desk.house, desk.publisher())
    refused = client.post("/v1/subscriptions", json={**WORDPRESS, **changes}, headers=key)
    assert (refused.status_code, refused.get_json()["field"]) == (422, field)
