"""Standard Webhooks 1.0.0, held against the published vectors and the library that receivers use."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from syndicator.channels.webhook import Webhook, new_webhook_secret, signature_headers
from syndicator.domain.stories import EventType, PubStatus
from tests.channels.parcels import SECRET, parcel
from tests.render.strategies import TERMS, entries, entry, words

BODY = b'{"type":"story.published","timestamp":"2026-11-20T15:10:00Z","data":{"id":"48213"}}'
AT = datetime.fromtimestamp(1795360200, UTC)
SIGNATURE = "v1,JQehqFCVF/a5oZHvJInVcRnba5VXh9XbPABI0dvAm6U="


def test_the_signature_is_that_of_the_published_vector() -> None:
    assert signature_headers("msg_0001", BODY, (SECRET,), AT) == (
        ("webhook-id", "msg_0001"),
        ("webhook-timestamp", "1795360200"),
        ("webhook-signature", SIGNATURE),
    )


def test_the_zone_of_the_clock_does_not_change_the_signature() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=-5)))
    assert signature_headers("msg_0001", BODY, (SECRET,), elsewhere) == signature_headers("msg_0001", BODY, (SECRET,), AT)


def test_while_a_secret_is_changed_holders_of_either_can_verify() -> None:
    old, new = new_webhook_secret(), new_webhook_secret()
    now = datetime.now(UTC)
    request = Webhook().request(parcel(secrets=(new, old)), now)
    for secret in (old, new):
        assert Receiver(secret).verify(request.body, dict(request.headers))["type"] == "story.corrected"
    with pytest.raises(WebhookVerificationError):
        Receiver(new_webhook_secret()).verify(request.body, dict(request.headers))


@settings(max_examples=150)
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_changed_byte_breaks_the_signature(place: int, flip: int) -> None:
    body = bytearray(BODY)
    body[place % len(body)] ^= flip
    expected = Receiver(SECRET).sign("msg_0001", AT, BODY.decode())
    assert Receiver(SECRET).sign("msg_0001", AT, body.decode("latin-1")) != expected


@settings(max_examples=100)
@given(uid=st.text("abc_019", min_size=1, max_size=9), seconds=st.integers(0, 10**6))
def test_another_id_or_time_breaks_the_signature(uid: str, seconds: int) -> None:
    other = dict(signature_headers(uid, BODY, (SECRET,), AT + timedelta(seconds=seconds)))
    assert (other["webhook-signature"] == SIGNATURE) == (uid == "msg_0001" and seconds == 0)


def test_the_body_says_what_the_contract_promises() -> None:
    event = json.loads(Webhook().request(parcel(), AT).body)
    assert event["type"] == "story.corrected"
    assert event["timestamp"] == "2026-11-20T12:00:00Z"
    data = event["data"]
    assert data["seq"] == 41
    assert data["story"]["uri"] == entry().uri
    assert data["notice"] == {"version": TERMS.notice_version, "text": TERMS.notice_text, "contact": TERMS.contact_email}
    assert data["license"] == {"url": TERMS.license_url, "version": TERMS.license_version}
    assert data["feeds"] == ["latest"]
    assert data["links"] == {
        "api": "https://wire.example/v1/stories/st_1",
        "html": "https://wire.example/stories/st_1",
        "receipt": "https://wire.example/v1/stories/st_1/receipts",
    }


def test_a_kill_says_why_and_carries_no_story_text() -> None:
    killed = parcel(event=EventType.KILLED, reason="libel", entry=entry(status=PubStatus.CANCELED, body_html=""))
    event = json.loads(Webhook().request(killed, AT).body)
    assert (event["type"], event["data"]["reason"], event["data"]["story"]["pubStatus"]) == ("story.killed", "libel", "canceled")
    assert "bodies" not in event["data"]["story"]


def test_those_who_wait_for_the_same_story_share_its_bytes() -> None:
    first, second = (Webhook().request(parcel(sequence=number), AT) for number in (1, 2))
    assert first.body != second.body
    assert [len(piece) for one, piece in zip(first.pieces, second.pieces, strict=True) if one is not piece] == [1]


def test_every_attempt_carries_the_same_bytes_and_id_and_a_time_of_its_own() -> None:
    first, second = (Webhook().request(parcel(), AT + timedelta(minutes=minutes)) for minutes in (0, 5))
    assert (first.body, first.url) == (second.body, second.url)
    headers, later = dict(first.headers), dict(second.headers)
    assert headers["webhook-id"] == later["webhook-id"] == "dlv_abc_41"
    assert int(later["webhook-timestamp"]) - int(headers["webhook-timestamp"]) == 300
    assert headers["Content-Type"] == "application/json"


@settings(max_examples=60)
@given(entries(), words)
def test_whatever_a_story_holds_the_body_is_sent_signed_and_valid(story: object, reason: str) -> None:
    now = datetime.now(UTC)
    request = Webhook().request(parcel(entry=story, reason=reason), now)
    event = Receiver(SECRET).verify(request.body, dict(request.headers))
    assert event.keys() == {"type", "timestamp", "data"}
    assert all(value.isprintable() for _, value in request.headers)


def test_nothing_leaves_unsigned() -> None:
    with pytest.raises(ValueError, match="no secret"):
        Webhook().request(parcel(secrets=()), AT)


def test_a_new_secret_is_long_enough_and_never_the_same() -> None:
    secrets = {new_webhook_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {32}


def test_secrets_do_not_show_when_a_request_is_printed() -> None:
    assert SECRET not in repr(Webhook().request(parcel(), AT))
