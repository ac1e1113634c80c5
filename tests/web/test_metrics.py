"""/metrics: what the worker did is seen by the web process, and only from where it may be."""

from __future__ import annotations

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from syndicator.sending import create_engine
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


def test_strangers_find_no_metrics(client: FlaskClient, desk: Desk) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == 404
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert client.get("/metrics").status_code == 200
