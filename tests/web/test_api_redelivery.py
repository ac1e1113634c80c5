"""Owing again by the API: backfill, replay of many, test sends. What an attempt shows, and what the log tells of embargoes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, func, insert, select, update

from syndicator.delivery.engine import Engine
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, delivery_uid
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.operations import tidy
from syndicator.operations.agreements import add_agreement
from syndicator.operations.deliveries import replay_given_up
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk, later
from tests.receiver import Receiver, Reply
from tests.web.callers import key_of

MANY = 3000


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    made = create_engine(desk.house)
    yield made
    made.close()


def test_a_publisher_backfills_its_own_subscription_and_nobody_elses(client: FlaskClient, desk: Desk) -> None:
    for number in range(3):
        desk.publish(external_id=f"story-{number}")
    publisher = desk.publisher()
    subscription, mine = desk.subscription(publisher), key_of(desk.house, publisher)
    path = f"/v1/subscriptions/{subscription.public_id}/backfill"
    assert client.post(path, json={"days": 7}, headers=key_of(desk.house, desk.publisher())).status_code == 404
    assert client.post(path, json={}, headers=mine).status_code == 422
    assert client.post(path, json={"days": 7, "after_seq": 1}, headers=mine).status_code == 422
    answer = client.post(path, json={"after_seq": 1}, headers=mine)
    assert (answer.status_code, answer.get_json()) == (202, {"owed": 2})
    assert client.post(path, json={"days": 7}, headers=mine).get_json() == {"owed": 1}
    assert len(desk.owed(subscription)) == 3


def test_a_test_send_is_asked_for_and_its_result_read(client: FlaskClient, desk: Desk, engine: Engine) -> None:
    publisher = desk.publisher()
    mine, others = key_of(desk.house, publisher), key_of(desk.house, desk.publisher())
    with Receiver(lambda request: Reply(status=418, body=b"teapot")) as receiver:
        path = f"/v1/subscriptions/{desk.subscription(publisher, endpoint=receiver.url).public_id}/test"
        assert client.post(path, headers=others).status_code == 404
        asked = client.post(path, headers=mine)
        assert (asked.status_code, asked.get_json()["outcome"]) == (202, "")
        engine.drain_due()
    here = f"{path}/{asked.get_json()['id']}"
    assert client.get(here, headers=others).status_code == 404
    result = client.get(here, headers=mine).get_json()
    assert (result["outcome"], result["status"], result["answer"]) == ("deferred", 418, "teapot")


def test_thousands_that_were_given_up_are_replayed_with_the_same_ids(client: FlaskClient, desk: Desk, engine: Engine) -> None:
    publisher = desk.publisher()
    subscriptions = [desk.subscription(publisher, endpoint=f"https://courier.example/{number}") for number in range(30)]
    for number in range(MANY // 30):
        desk.publish(external_id=f"story-{number}")
    with desk.house.sessions.begin() as session:
        session.execute(
            update(Delivery).values(state=DeliveryState.GIVEN_UP, settled_at=desk.house.clock(), next_attempt_at=None)
        )
    before = {row.id: uid_of(row, subscription) for subscription in subscriptions for row in desk.owed(subscription)}
    assert len(before) == MANY
    answer = client.post("/v1/deliveries/replay", json={"state": "given_up"}, headers=key_of(desk.house, publisher))
    assert (answer.status_code, answer.get_json()) == (202, {"owed": MANY})
    rows = [(row, subscription) for subscription in subscriptions for row in desk.owed(subscription)]
    assert {row.id: uid_of(row, subscription) for row, subscription in rows} == before
    assert {row.state for row, _ in rows} == {DeliveryState.OWED}
    others = key_of(desk.house, desk.publisher())
    assert client.post("/v1/deliveries/replay", json={"state": "given_up"}, headers=others).get_json() == {"owed": 0}


def test_an_attempt_shows_the_answers_headers_masked_and_is_forgotten_in_time(
    client: FlaskClient, desk: Desk, engine: Engine, clock: HandClock
) -> None:
    publisher = desk.publisher()
    headers = (("Set-Cookie", "sid=s3cr3t"), ("X-Request-Id", "42"))
    with Receiver(lambda request: Reply(status=204, headers=headers)) as receiver:
        subscription = desk.subscription(publisher, endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
    path = f"/v1/deliveries/{uid_of(desk.owed(subscription)[0], subscription)}"
    answer = client.get(path, headers=key_of(desk.house, publisher))
    [attempt] = answer.get_json()["attempts"]
    shown = {name.lower(): value for name, value in attempt["headers"].items()}
    assert (shown["set-cookie"], shown["x-request-id"]) == ("…", "42")
    assert "s3cr3t" not in answer.get_data(as_text=True)
    clock.advance(tidy.ATTEMPTS_KEPT + timedelta(seconds=1))
    with desk.house.sessions.begin() as session:
        assert tidy.forget_attempts(session, at=clock()) == 1
        assert session.scalar(select(func.count()).select_from(Attempt)) == 0
        assert session.scalars(select(Delivery.state)).one() is DeliveryState.DELIVERED


def test_the_last_fifty_attempts_at_an_endpoint_are_shown_whichever_delivery_they_were_of(
    client: FlaskClient, desk: Desk, engine: Engine
) -> None:
    publisher = desk.publisher()
    with Receiver(lambda request: Reply(status=204, headers=(("Set-Cookie", "sid=s3cr3t"),))) as receiver:
        subscription = desk.subscription(publisher, endpoint=receiver.url)
        desk.subscription(publisher, endpoint=receiver.url)
        for number in range(3):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
    with desk.house.sessions.begin() as session:
        owed = desk.owed(subscription)
        old = {"delivery_id": owed[0].id, "outcome": "deferred", "reason": "http-500", "status": 500, "duration_ms": 1}
        session.execute(insert(Attempt), [old | {"at": desk.house.clock()}] * 60)
    path = f"/v1/subscriptions/{subscription.public_id}/attempts"
    answer = client.get(path, headers=key_of(desk.house, publisher))
    shown = answer.get_json()["attempts"]
    assert (len(shown), {each["status"] for each in shown}) == (50, {500})
    assert {each["delivery"] for each in shown} == {uid_of(owed[0], subscription)}
    with desk.house.sessions.begin() as session:
        session.execute(delete(Attempt).where(Attempt.status == 500))
    answer = client.get(path, headers=key_of(desk.house, publisher))
    shown = answer.get_json()["attempts"]
    assert {each["delivery"] for each in shown} == {uid_of(row, subscription) for row in owed}
    assert "s3cr3t" not in answer.get_data(as_text=True)
    assert client.get(path, headers=key_of(desk.house, desk.publisher())).status_code == 404


def test_a_410_ends_the_subscription_and_its_owner_has_one_letter_about_it(desk: Desk, engine: Engine) -> None:
    with Receiver(lambda request: Reply(status=410)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
        desk.publish(external_id="after")
        engine.drain_due()
        assert len(receiver.received) == 1
    with desk.house.sessions.begin() as session:
        assert session.get_one(Subscription, subscription.id).state is SubscriptionState.ENDED
        told = replay_given_up(session, since=desk.house.clock(), subscription_id=None, actor="test", at=desk.house.clock())
        assert told.refused == {"its subscription has ended": 1}  # and not that somebody could resume it
        assert [letter.kind for letter in session.scalars(select(Letter))] == ["subscription-ended"]


def test_the_log_tells_of_an_embargoed_story_exactly_those_whose_agreement_covers_it(client: FlaskClient, desk: Desk) -> None:
    holder, other = desk.publisher(), desk.publisher()
    term: dict[str, Any] = {"valid_from": desk.house.clock(), "valid_until": later(desk.house, days=9)}
    with desk.house.sessions.begin() as session:
        found = session.get_one(Publisher, holder.id)
        scope: dict[str, Any] = {"title": "Science", "sections": ["Science"], "embargo_trusted": True}
        add_agreement(session, desk.house, found, **scope, **term, actor="test", at=desk.house.clock())
    until = later(desk.house, hours=2)
    inside = desk.publish(external_id="in", section="Science", embargoed_until=until).story
    outside = desk.publish(external_id="out", section="Sports", embargoed_until=until).story
    plain = desk.publish(external_id="plain").story

    def told(publisher: Publisher) -> list[str]:
        answer = client.get("/v1/changes", headers=key_of(desk.house, publisher)).get_json()
        assert answer["last_seq"] == 3  # what is left out is not asked for again
        return [change["uri"] for change in answer["changes"]]

    assert told(holder) == [inside.uri, plain.uri]
    assert told(other) == [plain.uri]
    assert outside.uri not in told(holder)


def uid_of(row: Delivery, subscription: Subscription) -> str:
    return delivery_uid(subscription.public_id, row.event_seq)
