"""Copies taken while stories are sent and engines die come back whole; upgrades killed on their way leave nothing half done."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.stories import Event, Story
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House, open_house
from syndicator.storage.backup import backup, check, restore
from syndicator.storage.engine import open_engine
from tests.crash.scene import HOSTS, Scene, owed, publish, wait_until
from tests.receiver import Receiver

SUBSCRIBERS = 100
STORIES = 4
PATIENCE_SECONDS = 60


@pytest.fixture
def second_url(empty_database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the same kind, on what might be another machine."""
    url: str = request.getfixturevalue("postgresql_url") if "postgresql" in empty_database_url else ""
    return url or f"sqlite:///{tmp_path / 'second.db'}"


def test_a_copy_taken_while_engines_send_and_die_comes_back_whole(
    empty_database_url: str, second_url: str, tmp_path: Path
) -> None:
    """R22: every story committed before the copy was begun is in it, and reaches everybody; keys and secrets are the same."""
    file = tmp_path / "copy.tar"
    with Receiver(hosts=HOSTS) as receiver, ThreadPoolExecutor(1) as aside:
        first, second = (Scene(tmp_path / name, url, receiver) for name, url in (("1", empty_database_url), ("2", second_url)))
        house = first.furnish(SUBSCRIBERS)
        first.start(1)
        for number in range(STORIES):
            publish(house, f"before-{number}")
        receiver.wait_for(SUBSCRIBERS // 2)
        copying = aside.submit(backup, house.engine, house.config, file)
        for number in range(STORIES):
            publish(house, f"during-{number}")
        first.kill()
        copying.result()
        house.engine.dispose()

        second.settle()
        engine = open_engine(second.config.database_url)
        restore(engine, second.config, file)
        assert check(engine) == []
        engine.dispose()
        restored = open_house(second.config)
        second.start(1)
        wait_until(lambda: owed(restored) == 0, PATIENCE_SECONDS)
        must_hold(restored, receiver)
        known = {request.headers["webhook-id"] for request in receiver.received}
        publish(restored, "after")
        again = receiver.wait_for(len(receiver.received) + SUBSCRIBERS)[-SUBSCRIBERS:]
        assert known.isdisjoint({request.headers["webhook-id"] for request in again})  # what was lost is not mistaken for it
        second.stop()
        assert check(restored.engine) == []
        restored.engine.dispose()


def must_hold(house: House, receiver: Receiver) -> None:
    """Whatever the house says was promised has been received, by all, with the same bytes each time, under secrets that hold."""
    with house.sessions() as session:
        kept = set(session.scalars(select(Story.external_id)))
        counts = session.execute(select(func.count()).select_from(Delivery).group_by(Delivery.event_seq)).scalars().all()
        rows = session.execute(select(Subscription, Delivery.event_seq).join(Delivery.subscription)).all()
        events = session.scalar(select(func.count()).select_from(Event))
    assert {f"before-{number}" for number in range(STORIES)} <= kept
    assert counts == [SUBSCRIBERS] * (events or 0)
    came: dict[str, set[bytes]] = {}
    for request in receiver.received:
        came.setdefault(request.headers["webhook-id"], set()).add(request.body)
    by_uid = {delivery_uid(subscription.public_id, seq): subscription for subscription, seq in rows}
    assert by_uid.keys() <= came.keys()
    assert {len(bodies) for bodies in came.values()} == {1}
    last = next(request for request in reversed(receiver.received) if request.headers["webhook-id"] in by_uid)
    secret = house.vault.unlock(by_uid[last.headers["webhook-id"]].secret or "")
    Webhook(secret).verify(last.body, last.headers)


def test_an_upgrade_killed_on_its_way_starts_again_whole(empty_database_url: str) -> None:
    """R24: kill -9 between any two of its statements, twenty times and more, then once undisturbed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.upgrade", empty_database_url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= 20
