"""Superdesk's HTTP Push: signed over raw bytes, taken once, refused without a key (S27)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from syndicator.app import create_app
from syndicator.domain.stories import PubStatus, Rights, Story, StoryVersion
from syndicator.house import House
from tests.clocks import HandClock
from tests.desk import Desk

KEY = "a-secret-of-superdesk-and-us"
ITEM = {
    "guid": "urn:newsml:superdesk:1",
    "type": "text",
    "version": "1",
    "pubstatus": "usable",
    "headline": "Council votes on the dam",
    "slugline": "dam-vote",
    "byline": "By Jane Roe",
    "language": "en",
    "firstcreated": "2026-06-30T09:00:00+0000",
    "versioncreated": "2026-06-30T09:30:00+0000",
    "body_html": "<p>The council voted on Tuesday.</p><script>alert(1)</script>",
    "description_text": "A vote.",
    "service": [{"code": "p", "name": "Politics"}],
    "subject": [{"code": "1", "name": "Dams"}],
    "keywords": ["River"],
    "priority": 6,
    "associations": {
        "featuremedia": {
            "type": "picture",
            "byline": "J. Doe/Agency",
            "description_text": "The dam",
            "renditions": {"original": {"href": "https://superdesk.example/dam.jpg", "mimetype": "image/jpeg"}},
        }
    },
}


@pytest.fixture
def house(house: House) -> House:
    """A house that has a key for Superdesk."""
    from dataclasses import replace

    intake = house.config.intake.model_copy(update={"superdesk_key": KEY})
    return replace(house, config=house.config.model_copy(update={"intake": intake}))


def signed(body: bytes, *, key: str = KEY, timestamp: str = "", digest: str = "sha1") -> dict[str, str]:
    content = f"{timestamp}.".encode() + body if timestamp else body
    mac = hmac.new(key.encode(), content, digest).hexdigest()
    headers = {"X-Superdesk-Signature": f"{digest}={mac}", "Content-Type": "application/json"}
    return headers | ({"X-Superdesk-Timestamp": timestamp} if timestamp else {})


def push(client: FlaskClient, headers: dict[str, str] | None = None, **changes: Any) -> TestResponse:
    body = json.dumps(ITEM | changes).encode()
    return client.post("/v1/newsroom/superdesk", data=body, headers=headers or signed(body))


def stories(house: House) -> list[Story]:
    with house.sessions() as session:
        return list(session.scalars(select(Story).order_by(Story.id)))


def test_a_signed_item_becomes_a_story(client: FlaskClient, house: House) -> None:
    answer = push(client)
    assert answer.status_code == 201, answer.text
    with house.sessions() as session:
        story = session.scalars(select(Story)).one()
        said = story.current
        assert (said.headline, said.byline, said.section, said.tags) == (
            "Council votes on the dam",
            ["Jane Roe"],
            "Politics",
            ["River", "Dams"],
        )
        assert said.body_html == "<p>The council voted on Tuesday.</p>"
        assert (said.images[0]["credit"], said.images[0]["rights"]) == ("J. Doe/Agency", Rights.NONE.value)


def test_a_new_version_updates_and_cancelled_kills(client: FlaskClient, house: House) -> None:
    push(client)
    assert push(client, version="2", body_html="<p>They voted twice.</p>").get_json()["outcome"] == "changed"
    assert push(client, version="3", pubstatus="cancelled", ednote="Invented.").get_json()["type"] == "story.killed"
    (story,) = stories(house)
    assert (story.pubstatus, story.withdrawn_reason) == (PubStatus.CANCELED, "Invented.")
    assert push(client, version="4").status_code == 409


def test_withheld_takes_down(client: FlaskClient, house: House) -> None:
    push(client)
    push(client, version="2", pubstatus="withheld")
    assert stories(house)[0].pubstatus is PubStatus.WITHHELD
    assert push(client, guid="other", pubstatus="withheld").status_code == 404


def test_without_a_key_every_push_is_refused(config: Any, clock: HandClock, house: House) -> None:
    from dataclasses import replace

    keyless = replace(house, config=config.model_copy(update={"database": house.config.database}))
    Desk(keyless)
    client = create_app(keyless.config, keyless).test_client()
    body = json.dumps(ITEM).encode()
    for headers in (signed(body), signed(body, key=""), {"X-Superdesk-Signature": ""}, {}):
        assert client.post("/v1/newsroom/superdesk", data=body, headers=headers).status_code == 401
    assert stories(house) == []


def test_no_flipped_bit_and_no_replay_is_taken(client: FlaskClient, house: House) -> None:
    body = json.dumps(ITEM).encode()
    headers = signed(body)
    for place in range(0, len(body) * 8, 37):
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        assert client.post("/v1/newsroom/superdesk", data=bytes(flipped), headers=headers).status_code == 401
    assert stories(house) == []
    assert client.post("/v1/newsroom/superdesk", data=body, headers=headers).status_code == 201
    push(client, version="2", body_html="<p>Newer.</p>")
    for _ in range(20):
        again = client.post("/v1/newsroom/superdesk", data=body, headers=headers)
        assert (again.status_code, again.get_json()["reason"]) == (409, "conflict")
    with house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(StoryVersion)) == 2
        assert session.scalars(select(Story)).one().current.body_html == "<p>Newer.</p>"


@pytest.mark.parametrize(("off", "status"), [(0, 201), (299, 201), (-299, 201), (301, 401), (-301, 401)])
def test_a_timestamp_holds_for_five_minutes_and_is_signed(client: FlaskClient, clock: HandClock, off: int, status: int) -> None:
    body = json.dumps(ITEM).encode()
    stamp = str(int(clock().timestamp()) + off)
    headers = signed(body, timestamp=stamp, digest="sha256")
    moved = headers | {"X-Superdesk-Timestamp": str(int(stamp) + 1)}
    assert client.post("/v1/newsroom/superdesk", data=body, headers=moved).status_code == 401
    assert client.post("/v1/newsroom/superdesk", data=body, headers=headers).status_code == status


@pytest.mark.parametrize(
    "signature", ["", "sha1=", "md5=00", "sha1=" + "0" * 40, "sha1=é", hashlib.sha1(b"x").hexdigest(), "sha512=00", "=", "sha1"]
)
def test_an_odd_signature_is_refused(client: FlaskClient, signature: str) -> None:
    assert push(client, {"X-Superdesk-Signature": signature}).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"guid": None},
        {"guid": 7},
        {"type": "picture"},
        {"pubstatus": "maybe"},
        {"embargoed": "soon"},
        {"headline": None, "slugline": None},
        {"body_html": None},
        {"body_html": ["x"]},
    ],
)
def test_an_item_that_no_story_can_be_made_of_is_refused_by_name(client: FlaskClient, changes: dict[str, Any]) -> None:
    answer = push(client, **changes)
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request")
