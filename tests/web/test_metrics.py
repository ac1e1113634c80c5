"""/metrics: what the worker did is seen by the web process, and only from where it may be."""

from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from syndicator.delivery.settling import RESTS_AFTER
from syndicator.domain.subscriptions import Subscription
from syndicator.operations.subscriptions import end, pause
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver, Reply


def numbers(client: FlaskClient) -> dict[str, float]:
    """Every sample by name and label values."""
    text = client.get("/metrics").get_data(as_text=True)
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {"/".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_the_workers_numbers_are_seen(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    with Receiver(hosts=2) as good, Receiver(lambda request: Reply(status=500)) as bad:
        for url in (*good.urls, bad.url):
            desk.subscription(desk.publisher(), endpoint=url)
        desk.publish()
        assert numbers(client)["syndicator_deliveries_owed"] == 3
        engine.drain_due()
        engine.drain(seconds=0.0)
    seen = numbers(client)
    assert seen["syndicator_deliveries_owed"] == 1
    assert seen["syndicator_attempts_total/webhook/accepted"] == 2
    assert seen["syndicator_attempts_total/webhook/deferred"] == 1
    assert seen["syndicator_attempt_duration_seconds_count/webhook"] == 3
    assert seen["syndicator_attempt_duration_seconds_bucket/webhook/+Inf"] == 3
    assert seen["syndicator_renders_total"] >= 1
    assert seen["syndicator_breakers/open"] == 0


def test_a_breaker_is_seen_open_and_half_open_and_no_more_once_its_endpoint_is_sent_nothing(
    client: FlaskClient, desk: Desk, clock: HandClock
) -> None:
    engine = create_engine(desk.house)
    with Receiver(lambda request: Reply(status=500)) as bad:
        subscription = desk.subscription(desk.publisher(), endpoint=bad.url)
        for number in range(RESTS_AFTER):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
    engine.close()
    assert breakers(client) == (1, 0)
    clock.advance(timedelta(minutes=15))
    assert breakers(client) == (0, 1)
    with desk.house.sessions.begin() as session:
        end(session, session.get_one(Subscription, subscription.id), reason="removed", actor="test", at=clock())
    assert breakers(client) == (0, 0)


def breakers(client: FlaskClient) -> tuple[float, float]:
    seen = numbers(client)
    return seen["syndicator_breakers/open"], seen["syndicator_breakers/half_open"]


def test_a_kill_that_does_not_get_through_is_seen_also_while_its_subscription_is_paused(
    client: FlaskClient, desk: Desk, clock: HandClock
) -> None:
    subscription = desk.subscription(desk.publisher())
    story = desk.publish().story
    desk.publish(external_id="other")
    with desk.house.sessions.begin() as session:
        pause(session, session.get_one(Subscription, subscription.id), reason="holiday", actor="test", at=clock())
    assert numbers(client)["syndicator_deliveries_owed"] == 0
    desk.kill(story)
    clock.advance(timedelta(hours=1))
    seen = numbers(client)
    assert (seen["syndicator_deliveries_owed"], seen["syndicator_oldest_owed_seconds"]) == (1, 3600)


def test_a_story_that_waits_for_the_hour_of_a_digest_is_not_late_before_it(
    client: FlaskClient, desk: Desk, clock: HandClock
) -> None:
    subscription = desk.subscription(desk.publisher())
    with desk.house.sessions.begin() as session:
        session.get_one(Subscription, subscription.id).digest_at = clock() + timedelta(hours=20)
    desk.publish()
    clock.advance(timedelta(hours=19))
    seen = numbers(client)
    assert (seen["syndicator_deliveries_owed"], seen["syndicator_oldest_owed_seconds"]) == (1, 0)
    clock.advance(timedelta(hours=2))
    assert numbers(client)["syndicator_oldest_owed_seconds"] == 21 * 3600


def test_strangers_find_no_metrics(client: FlaskClient, desk: Desk) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == 404
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert client.get("/metrics").status_code == 200
