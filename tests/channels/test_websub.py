"""WebSub: what the hub sends, what it takes, and how it asks back. Numbers are sections of the Recommendation."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator import config
from syndicator.channels import Answer
from syndicator.channels.websub import (
    HubForm,
    WebSub,
    challenge_echoed,
    denial_url,
    hub_signature,
    parse_hub_request,
    verification_url,
)
from syndicator.errors import InvalidRequest
from syndicator.outbound import Outbound
from tests.channels.parcels import parcel
from tests.render.strategies import BASE, entry, feed

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OUTBOUND = Outbound(config.Outbound(), "Syndicator/test")
LEASES = config.WebSub()
TOPIC = f"{BASE}/feeds/latest.rss"
CALLBACK = "https://reader.example/cb?id=%2F7&hub.mode=mine&x"
FORM = (("hub.mode", "subscribe"), ("hub.topic", TOPIC), ("hub.callback", CALLBACK))


def parse(*more: tuple[str, str], form: tuple[tuple[str, str], ...] = FORM) -> HubForm:
    return parse_hub_request([*form, *more], LEASES, OUTBOUND.check_url)


def changed(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value if key == name else old) for key, old in FORM)


@pytest.mark.parametrize(
    ("form", "kind"),
    [("rss", "application/rss+xml"), ("atom", "application/atom+xml"), ("json", "application/feed+json")],
)
def test_a_delivery_has_the_topics_own_type_and_its_links(form: str, kind: str) -> None:
    topic = f"{BASE}/feeds/latest.{form}"
    request = WebSub().request(parcel(topic=topic, secrets=()), AT)
    headers = dict(request.headers)
    assert headers["Content-Type"].startswith(kind)
    assert headers["Link"] == f'<{BASE}/hub>; rel="hub", <{topic}>; rel="self"'
    assert "X-Hub-Signature" not in headers
    assert parcel().entry.uri in request.body.decode()


def test_a_delivery_reads_as_a_feed() -> None:
    read = feedparser.parse(WebSub().request(parcel(), AT).body)
    assert [entry.id for entry in read.entries] == [parcel().entry.uri]


def test_all_who_take_a_change_get_bytes_rendered_once_and_another_change_gets_its_own() -> None:
    channel, first, other = WebSub(), parcel(), parcel(topic=f"{BASE}/feeds/latest.rss")
    body = channel.request(first, AT).body
    assert channel.request(replace(first, delivery_id=8, secrets=("another",)), AT).body is body
    assert channel.request(other, AT).body == WebSub().request(other, AT).body
    newer = replace(first, feed=feed((entry(headline="Newer"),)))
    assert channel.request(newer, AT).body == WebSub().request(newer, AT).body != body
    assert channel.request(first, AT).body == body


def test_the_signature_is_that_of_the_published_vector() -> None:
    body = b'{"type":"story.published","timestamp":"2026-11-20T15:10:00Z","data":{"id":"48213"}}'
    assert hub_signature(body, "s3cret") == "sha256=fc8862a2097005093912936e5c7975a8029dab31f37bf2d49943704e07c89bd0"


def test_a_delivery_is_signed_over_the_bytes_it_carries() -> None:
    request = WebSub().request(parcel(secrets=("gehéim",)), AT)
    expected = hmac.new("gehéim".encode(), request.body, hashlib.sha256).hexdigest()
    assert dict(request.headers)["X-Hub-Signature"] == f"sha256={expected}"


def test_the_hub_reads_what_a_subscriber_asks() -> None:
    asked = parse(("hub.secret", "s"), ("hub.lease_seconds", "86400"), ("hub.foo", "1"), ("hub.foo", "2"))
    assert asked == HubForm(mode="subscribe", topic=TOPIC, callback=CALLBACK, secret="s", lease_seconds=86400)
    assert "s3cr" not in repr(parse(("hub.secret", "s3cr")))


@pytest.mark.parametrize(
    ("written", "given_lease"),
    [
        ("", LEASES.default_lease_seconds),
        ("0", LEASES.min_lease_seconds),
        ("1", LEASES.min_lease_seconds),
        ("999999999", LEASES.max_lease_seconds),
        ("7200", 7200),
    ],
)
def test_a_lease_is_never_endless_and_never_shorter_than_stated(written: str, given_lease: int) -> None:
    assert parse(("hub.lease_seconds", written)).lease_seconds == given_lease


def test_unsubscribing_ignores_lease_and_secret() -> None:
    asked = parse(("hub.lease_seconds", "junk"), ("hub.secret", "x" * 999), form=changed("hub.mode", "unsubscribe"))
    assert (asked.mode, asked.secret, asked.lease_seconds) == ("unsubscribe", None, 0)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ((), "hub.mode"),
        (FORM[1:], "hub.mode"),
        (FORM[:1] + FORM[2:], "hub.topic"),
        (FORM[:2], "hub.callback"),
        (changed("hub.mode", "denied"), "hub.mode"),
        (changed("hub.mode", ""), "hub.mode"),
        (changed("hub.topic", "x" * 513), "hub.topic"),
        (changed("hub.callback", "ftp://reader.example/"), "hub.callback"),
        (changed("hub.callback", "http://127.0.0.1/"), "hub.callback"),
        (changed("hub.callback", "http://user:pass@reader.example/"), "hub.callback"),
        (changed("hub.callback", "https://reader.example/" + "x" * 1024), "hub.callback"),
        (changed("hub.callback", "https://reader.example/" + "é" * 400), "hub.callback"),
        ((*FORM, ("hub.callback", "https://other.example/")), "hub.callback"),
        ((*FORM, ("hub.secret", "x" * 200)), "hub.secret"),
        ((*FORM, ("hub.secret", "é" * 100)), "hub.secret"),
        ((*FORM, ("hub.secret", "\ud800")), "hub.secret"),
        ((*FORM, ("hub.lease_seconds", "-1")), "hub.lease_seconds"),
        ((*FORM, ("hub.lease_seconds", "1e9")), "hub.lease_seconds"),
        ((*FORM, ("hub.lease_seconds", "٣")), "hub.lease_seconds"),
        ((*FORM, ("hub.lease_seconds", "9" * 5000)), "hub.lease_seconds"),
    ],
)
def test_a_wrong_request_is_told_which_field(form: tuple[tuple[str, str], ...], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(form=form)
    assert refused.value.field == field


def test_a_secret_of_199_bytes_is_taken() -> None:
    assert parse(("hub.secret", "é" * 99 + "x")).secret == "é" * 99 + "x"


@pytest.mark.parametrize(
    "junk", ["\x00", "\r\nX: 1", "http://[", "http://[::1", "//x", "http://a\\b/", "http://\ud800/", "http://" + "a." * 900]
)
def test_a_junk_callback_never_breaks_the_hub(junk: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(form=changed("hub.callback", junk))


def test_a_verification_keeps_the_callbacks_query_byte_for_byte() -> None:
    """5.1.1: the parameters are appended and overwrite none of the same name."""
    url = verification_url(CALLBACK, "subscribe", TOPIC, "chal", 864000)
    assert url.startswith(CALLBACK + "&")
    appended = dict(parse_qsl(url.removeprefix(CALLBACK + "&")))
    assert appended == {"hub.mode": "subscribe", "hub.topic": TOPIC, "hub.challenge": "chal", "hub.lease_seconds": "864000"}


@pytest.mark.parametrize(("end", "joined"), [("", "?hub."), ("?", "?hub."), ("?a", "?a&hub."), ("?a&", "?a&hub.")])
def test_parameters_are_joined_to_any_kind_of_callback(end: str, joined: str) -> None:
    assert verification_url(f"https://r.example/cb{end}", "unsubscribe", TOPIC, "c", None).startswith(
        f"https://r.example/cb{joined}"
    )


def test_the_longest_callback_still_makes_an_address_that_may_be_asked() -> None:
    callback = parse(form=changed("hub.callback", "https://reader.example/".ljust(1024, "x"))).callback
    OUTBOUND.check_url(verification_url(callback, "subscribe", TOPIC, "c" * 43, 2_592_000))
    OUTBOUND.check_url(denial_url(callback, TOPIC, "reason " * 50))


@settings(max_examples=100)
@given(topic=st.text(st.characters(codec="utf-8"), max_size=40), reason=st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_denial_tells_topic_and_reason_whatever_they_hold(topic: str, reason: str) -> None:
    told = parse_qsl(urlsplit(denial_url("https://r.example/cb", topic, reason)).query, keep_blank_values=True)
    assert told == [("hub.mode", "denied"), ("hub.topic", topic), ("hub.reason", reason)]


@pytest.mark.parametrize(
    ("status", "body", "confirmed"),
    [
        *((status, b"chal", True) for status in (200, 204, 299)),
        *((status, b"chal", False) for status in (0, 302, 404, 410, 500)),
        *((200, body, False) for body in (b"chal\n", b"", b"xchal", b"CHAL")),
    ],
)
def test_only_2xx_with_exactly_the_challenge_confirms(status: int, body: bytes, confirmed: bool) -> None:
    assert challenge_echoed(Answer(status=status, body=body), "chal") is confirmed
