"""Superdesk's HTTP Push: signed over raw bytes, taken once, refused without a key (S27)."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import EnvironBuilder, TestResponse

from syndicator.app import create_app
from syndicator.domain.stories import PubStatus, Rights, Story, StoryVersion
from syndicator.house import House
from syndicator.operations.pictures import forget_pictures
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.web.callers import key_of

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


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50 + b"IEND\xaeB`\x82"
ASSETS = "/v1/newsroom/superdesk/assets"


def push_asset(client: FlaskClient, media_id: str = "urn:media:1", content: bytes = PNG, key: str = KEY) -> TestResponse:
    """Send a picture as Superdesk does: a form, signed as a whole."""
    form = EnvironBuilder(method="POST", data={"media_id": media_id, "media": (io.BytesIO(content), media_id, "image/png")})
    environment = form.get_environ()
    body = environment["wsgi.input"].read()
    return client.post(ASSETS, data=body, headers=signed(body, key=key) | {"Content-Type": environment["CONTENT_TYPE"]})


def with_picture(credit: str, **changes: Any) -> dict[str, Any]:
    renditions = {"original": {"media": "urn:media:9"}, "baseImage": {"media": "urn:media:1", "mimetype": "image/png"}}
    picture = {"type": "picture", "byline": credit, "description_text": "The dam", "renditions": renditions}
    return {"associations": {"featuremedia": picture}} | changes


def picture_path(house: House) -> str:
    """Where the picture of the story is to be had."""
    with house.sessions() as session:
        (image,) = session.scalars(select(Story)).one().current.images
        return str(image["url"]).removeprefix(BASE_URL)


def test_a_picture_that_was_pushed_is_given_out_with_its_story_and_no_longer(client: FlaskClient, house: House) -> None:
    assert client.get(f"{ASSETS}/urn:media:1").status_code == 404
    assert push_asset(client).status_code == 201
    assert client.get(f"{ASSETS}/urn:media:1").status_code == 200
    assert push_asset(client).status_code == 201  # the same again is nothing new
    assert push_asset(client, content=PNG + b"x").status_code == 409
    push(client, **with_picture(house.config.site.name))
    path = picture_path(house)
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/png", PNG)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    push(client, **with_picture(house.config.site.name, version="2", pubstatus="canceled"))
    assert client.get(path).status_code == 404


def test_an_agencys_picture_is_given_to_nobody_and_forgotten(client: FlaskClient, house: House, clock: HandClock) -> None:
    push_asset(client)
    push(client, **with_picture("J. Doe/Agency"))
    path = picture_path(house)
    assert [client.get(path, headers=headers).status_code for headers in ({}, key_of(house, None))] == [404, 404]
    clock.advance(timedelta(days=8))
    with house.sessions.begin() as session:
        assert forget_pictures(session, at=clock()) == 1


def test_the_picture_of_an_embargoed_story_is_shown_to_those_who_may_have_the_story(
    client: FlaskClient, house: House, clock: HandClock
) -> None:
    push_asset(client)
    push(client, **with_picture(house.config.site.name, embargoed=f"{clock() + timedelta(hours=1):%Y-%m-%dT%H:%M:%S+0000}"))
    path = picture_path(house)
    assert client.get(path).status_code == 404
    seen = client.get(path, headers=key_of(house, None))
    assert (seen.status_code, seen.headers["Cache-Control"]) == (200, "private, no-store")
    clock.advance(timedelta(hours=1))
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "content", [b"", b"<svg onload=alert(1)>", b"%PDF-1.7", b"<html>", b"GIF8", b"RIFF1234WAVE", b"\x89PNG\r\n"]
)
def test_nothing_but_a_picture_is_kept(client: FlaskClient, content: bytes) -> None:
    assert push_asset(client, content=content).status_code == 422
    assert client.get(f"{ASSETS}/urn:media:1").status_code == 404


def test_a_picture_needs_our_signature_over_the_whole_form(client: FlaskClient) -> None:
    assert push_asset(client, key="another-key-of-twenty").status_code == 401
    assert client.post(ASSETS, data={"media_id": "x"}).status_code == 401
    body = b"not a form"
    assert client.post(ASSETS, data=body, headers=signed(body)).status_code == 422


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
    for place in range(0, len(body) * 8, 13):
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        assert client.post("/v1/newsroom/superdesk", data=bytes(flipped), headers=headers).status_code == 401
    assert stories(house) == []
    assert client.post("/v1/newsroom/superdesk", data=body, headers=headers).status_code == 201
    push(client, version="2", body_html="<p>Newer.</p>")
    for _ in range(100):
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
