"""The API, the hub's door and private feeds, asked over WSGI: who may, and with which reason otherwise."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from syndicator.domain.publishers import ApiKey, FeedToken, PublisherState
from syndicator.operations.keys import revoke
from syndicator.operations.render_feeds import render_stale
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk, later
from tests.receiver import Receiver
from tests.web.callers import key_of, token_of

STORY = {"headline": "Budget passes", "body_html": "<p>It passed.</p>", "section": "City", "byline": ["A. Bee"]}


def refused(answer: TestResponse, status: int, reason: str) -> bool:
    problem = answer.get_json()
    assert answer.mimetype == "application/problem+json"
    assert problem["status"] == status == answer.status_code
    return bool(problem["reason"] == reason)


@pytest.mark.parametrize("path", ["/v1/me", "/v1/stories", "/v1/changes", "/v1/subscriptions", "/v1/deliveries"])
def test_without_a_key_the_api_asks_who_is_there(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert refused(answer, 401, "sign_in_required")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (PublisherState.APPLICANT, "application_pending"),
        (PublisherState.SUSPENDED, "suspended"),
        (PublisherState.EXPIRED, "eligibility_expired"),
        (PublisherState.REVOKED, "not_eligible"),
    ],
)
def test_an_unapproved_publisher_is_refused_with_its_reason(
    client: FlaskClient, desk: Desk, state: PublisherState, reason: str
) -> None:
    story = desk.publish().story
    render_stale(desk.house)
    publisher = desk.publisher(approved=state is not PublisherState.APPLICANT)
    headers = key_of(desk.house, publisher)
    _, token = token_of(desk.house, publisher)
    if state is not PublisherState.APPLICANT:
        desk.move(publisher, state)
    for path in ("/v1/stories", f"/v1/stories/{story.public_id}", "/v1/changes"):
        assert refused(client.get(path, headers=headers), 403, reason)
    assert refused(client.get(f"/f/{token}/partners.rss"), 403, reason)
    assert client.get("/v1/me", headers=headers).get_json()["reason"] == reason


def test_an_approved_publisher_has_the_story_in_every_format_with_the_notice(client: FlaskClient, desk: Desk) -> None:
    story = desk.publish().story
    headers = key_of(desk.house, desk.publisher())
    notice = desk.house.config.notice.text
    for name in ("ninjs", "html", "text", "jsonld", "newsml"):
        answer = client.get(f"/v1/stories/{story.public_id}?format={name}", headers=headers)
        assert answer.status_code == 200, name
        assert _plain(answer.get_data(as_text=True)).count(notice) == 1, name
        assert 'rel="license"' in answer.headers["Link"]


def test_embargoed_killed_and_unknown_stories_are_refused_alike_or_with_their_reason(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, desk.publisher())
    held = desk.publish(external_id="held", embargoed_until=later(desk.house, hours=1)).story
    killed = desk.publish(external_id="killed").story
    desk.kill(killed)
    assert refused(client.get(f"/v1/stories/{held.public_id}", headers=headers), 404, "unknown_story")
    assert refused(client.get("/v1/stories/nosuchstory", headers=headers), 404, "unknown_story")
    assert refused(client.get(f"/v1/stories/{killed.public_id}", headers=headers), 410, "killed")
    listed = client.get("/v1/stories", headers=headers).get_data(as_text=True)
    changes = client.get("/v1/changes", headers=headers).get_json()
    assert held.uri not in listed
    assert [change["type"] for change in changes["changes"]] == ["story.published", "story.killed"]
    assert changes["last_seq"] == 3


def test_pages_of_stories_follow_each_other(client: FlaskClient, desk: Desk, clock: HandClock) -> None:
    for number in range(5):
        clock.advance(timedelta(minutes=1))
        desk.publish(external_id=f"n{number}")
    headers = key_of(desk.house, desk.publisher())
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/stories?limit=2{f'&cursor={cursor}' if cursor else ''}", headers=headers).get_json()
        seen += [story["uri"] for story in page["stories"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=101", "cursor=%00", "cursor=abc", "limit=٣"])
def test_a_wrong_parameter_is_named(client: FlaskClient, desk: Desk, query: str) -> None:
    answer = client.get(f"/v1/stories?{query}", headers=key_of(desk.house, desk.publisher()))
    assert refused(answer, 422, "invalid_request")
    assert answer.get_json()["field"] == query.partition("=")[0]


def test_the_newsroom_puts_corrects_and_kills(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, None)
    made = client.put("/v1/newsroom/stories/budget", json=STORY, headers=headers)
    again = client.put("/v1/newsroom/stories/budget", json=STORY, headers=headers)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.get_json()["uri"] == again.get_json()["uri"]
    note = {"note": "It passed on Monday.", "body_html": "<p>It passed on Monday.</p>"}
    assert client.post("/v1/newsroom/stories/budget/correct", json=note, headers=headers).get_json()["version"] == 2
    killed = client.post("/v1/newsroom/stories/budget/kill", json={"reason": "False."}, headers=headers)
    assert (killed.status_code, killed.get_json()["pubstatus"]) == (202, "canceled")
    changed = client.put("/v1/newsroom/stories/budget", json=STORY | {"headline": "Budget?"}, headers=headers)
    assert refused(changed, 409, "killed")


def test_the_newsroom_finds_a_story_by_the_key_that_it_was_put_under(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, None)
    path = "/v1/newsroom/stories/budget%20%20of%202026"
    assert client.put(path, json=STORY, headers=headers).status_code == 201
    assert client.post(f"{path}/takedown", json={"reason": "Too early."}, headers=headers).status_code == 202


def test_a_publishers_key_is_no_newsroom_key_whatever_its_row_says(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    headers = key_of(desk.house, publisher)
    with desk.house.sessions.begin() as session:
        for key in session.scalars(select(ApiKey)):
            key.scopes = [*key.scopes, "newsroom"]
    assert refused(client.put("/v1/newsroom/stories/x", json=STORY, headers=headers), 403, "scope_missing")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "headline"),
        (STORY | {"headline": ""}, "headline"),
        (STORY | {"pubstatus": "usable"}, "pubstatus"),
        (STORY | {"published_at": "2026-01-01T00:00:00"}, "published_at"),
        (STORY | {"rights": "all"}, "rights"),
    ],
)
def test_a_story_document_that_does_not_fit_names_its_field(
    client: FlaskClient, desk: Desk, body: dict[str, Any], field: str
) -> None:
    answer = client.put("/v1/newsroom/stories/x", json=body, headers=key_of(desk.house, None))
    assert refused(answer, 422, "invalid_request")
    assert answer.get_json()["field"] == field


def test_a_revoked_key_is_refused_at_once(client: FlaskClient, desk: Desk) -> None:
    headers = key_of(desk.house, desk.publisher())
    assert client.get("/v1/stories", headers=headers).status_code == 200
    with desk.house.sessions.begin() as session:
        revoke(session, session.scalars(select(ApiKey.public_id)).one(), actor="test", at=desk.house.clock())
    assert refused(client.get("/v1/stories", headers=headers), 401, "sign_in_required")


def test_a_private_feed_opens_by_token_address_and_by_http_basic(client: FlaskClient, desk: Desk) -> None:
    desk.publish()
    render_stale(desk.house)
    token_id, token = token_of(desk.house, desk.publisher())
    basic = {"Authorization": f"Basic {b64encode(f'reader:{token}'.encode()).decode()}"}
    by_token, by_password = client.get(f"/f/{token}/partners.rss"), client.get("/feeds/partners.rss", headers=basic)
    for answer, is_topic in ((by_token, True), (by_password, False)):
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert ('rel="hub"' in answer.headers["Link"]) is is_topic
        again = client.get(f"/f/{token}/partners.rss", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    with desk.house.sessions.begin() as session:
        revoke(session, token_id, actor="test", at=desk.house.clock())
    later = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    for sent in ({}, {"If-None-Match": answer.headers["ETag"]}, {"If-None-Match": "*"}, later):
        for path, named in ((f"/f/{token}/partners.rss", {}), ("/feeds/partners.rss", basic), ("/feeds/partners.rss", {})):
            assert refused(client.get(path, headers={**sent, **named}), 401, "sign_in_required")
            assert client.head(path, headers={**sent, **named}).status_code == 401
    assert refused(client.get("/feeds/nosuch.rss"), 404, "unknown_feed")


def test_no_secret_is_stored_in_the_clear(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    secret = key_of(desk.house, publisher)["Authorization"].removeprefix("Bearer ")
    _, token = token_of(desk.house, publisher)
    with desk.house.sessions() as session:
        rows = [repr(vars(row)) for table in (ApiKey, FeedToken) for row in session.scalars(select(table))]
    assert not any(word in row for row in rows for word in (secret, token))


def test_a_subscription_is_its_publishers_alone(client: FlaskClient, desk: Desk) -> None:
    mine, other = key_of(desk.house, desk.publisher()), key_of(desk.house, desk.publisher())
    order = {"feed": "latest", "channel": "webhook", "endpoint": "https://93.184.216.34/in"}
    made = client.post("/v1/subscriptions", json=order, headers=mine)
    assert made.status_code == 201
    assert made.get_json()["secret"].startswith("whsec_")
    path = f"/v1/subscriptions/{made.get_json()['id']}"
    assert "secret" not in client.get(path, headers=mine).get_json()
    assert client.get(path, headers=other).status_code == client.delete(path, headers=other).status_code == 404
    assert client.get("/v1/subscriptions", headers=other).get_json() == {"subscriptions": []}
    for verb, state in (("pause", "paused"), ("resume", "active")):
        assert client.post(f"{path}/{verb}", headers=mine).get_json()["state"] == state
    assert client.delete(path, headers=mine).status_code == 204
    assert refused(client.post(f"{path}/resume", headers=mine), 409, "conflict")


def test_a_subscription_can_be_given_another_endpoint(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    mine, other = key_of(desk.house, publisher), key_of(desk.house, desk.publisher())
    path = f"/v1/subscriptions/{desk.subscription(publisher).public_id}"
    changed = client.patch(path, json={"endpoint": "https://93.184.216.34/new"}, headers=mine).get_json()
    assert (changed["endpoint"], changed["options"]) == ("https://93.184.216.34/new", {})
    assert refused(client.patch(path, json={"endpoint": "http://10.0.0.1/"}, headers=mine), 422, "invalid_request")
    assert refused(client.patch(path, json={"feed": "partners"}, headers=mine), 422, "invalid_request")
    assert client.patch(path, json={"options": {}}, headers=other).status_code == 404


def test_deliveries_are_filtered_and_paged(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    headers, first = key_of(desk.house, publisher), desk.subscription(publisher)
    desk.subscription(publisher, endpoint="https://courier.example/two")
    foreign = desk.subscription(desk.publisher())
    story = desk.publish(external_id="a").story
    desk.publish(external_id="b")

    def listed(query: str) -> list[str]:
        return [each["story"] for each in client.get(f"/v1/deliveries?{query}", headers=headers).get_json()["deliveries"]]

    assert len(listed("")) == 4
    assert len(listed(f"subscription={first.public_id}")) == 2
    assert listed(f"story={story.public_id}") == listed(f"story={story.uri}") == [story.uri] * 2
    assert listed("state=delivered") == []
    page = client.get("/v1/deliveries?limit=3", headers=headers).get_json()
    assert len(listed(f"limit=3&cursor={page['next_cursor']}")) == 1
    assert client.get(f"/v1/deliveries?subscription={foreign.public_id}", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"endpoint": "http://10.0.0.1/"}, 422, "invalid_request"),
        ({"endpoint": "file:///etc/passwd"}, 422, "invalid_request"),
        ({"feed": "nosuch"}, 404, "unknown_feed"),
        ({"channel": "pigeon"}, 422, "invalid_request"),
        ({"publisher": "pub_other"}, 422, "invalid_request"),
    ],
)
def test_a_wrong_subscription_is_refused(
    client: FlaskClient, desk: Desk, change: dict[str, str], status: int, reason: str
) -> None:
    order = {"feed": "latest", "channel": "webhook", "endpoint": "https://93.184.216.34/in"} | change
    answer = client.post("/v1/subscriptions", json=order, headers=key_of(desk.house, desk.publisher()))
    assert refused(answer, status, reason)


def test_deliveries_are_shown_to_their_owner_and_replayed(client: FlaskClient, desk: Desk) -> None:
    publisher = desk.publisher()
    mine, other = key_of(desk.house, publisher), key_of(desk.house, desk.publisher())
    with Receiver() as receiver:
        desk.subscription(publisher, endpoint=receiver.url)
        desk.publish()
        engine = create_engine(desk.house)
        engine.drain_due()
        [listed] = client.get("/v1/deliveries", headers=mine).get_json()["deliveries"]
        path = f"/v1/deliveries/{listed['id']}"
        assert client.get(path, headers=other).status_code == 404
        assert [attempt["status"] for attempt in client.get(path, headers=mine).get_json()["attempts"]] == [200]
        assert client.post(f"{path}/replay", headers=mine).status_code == 202
        engine.drain_due()
        engine.close()
    assert [request.headers["webhook-id"] for request in receiver.received] == [listed["id"]] * 2


def test_health_and_readiness(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def _plain(text: str) -> str:
    """What a reader sees: markup gone, entities and JSON escapes read."""
    decoded = json.loads(text) if text.startswith("{") else text
    flat = json.dumps(decoded, ensure_ascii=False) if isinstance(decoded, dict) else decoded
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", html.unescape(flat))).split())
