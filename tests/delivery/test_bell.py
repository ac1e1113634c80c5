"""The bell that wakes Celery workers: rung often, heard or not, on a broker that is there or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery

from syndicator.config import Config, Push
from syndicator.delivery.executors.celery import MOST_BELLS, count_unheard, make_celery, ring
from tests.receiver import Receiver, tls_for
from tests.servers import free_port


def celery_on(config: Config, broker_url: str) -> Celery:
    return make_celery(config.model_copy(update={"push": Push(executor="celery", broker_url=broker_url)}))


def test_bells_that_nobody_hears_do_not_pile_up(config: Config) -> None:
    app = celery_on(config, "memory://")
    ring(app, due=1)
    assert count_unheard(app) == 1
    for _ in range(100):
        ring(app, due=100_000)
    assert count_unheard(app) == MOST_BELLS


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_told_in_a_word_whatever_its_kind(config: Config, scheme: str) -> None:
    app = celery_on(config, f"{scheme}://syndicator:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(ConnectionError, match=r"^\w+$"):
        ring(app, due=1)


@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_a_tls_broker_must_have_a_certificate_for_its_own_name(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    context, authority = tls_for(name, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    with Receiver(tls=context) as receiver, pytest.raises(ConnectionError) as refusal:
        ring(celery_on(config, receiver.url.replace("https", "amqps")), due=1)
    assert (str(refusal.value) != "SSLCertVerificationError") is trusted
