"""A small version of `python -m tests.crash`, in each shape: nothing is lost, and what comes twice was in flight."""

from __future__ import annotations

import random
from pathlib import Path

from tests.crash.scene import BROKER_DIES_EVERY, HOSTS, Scene, crash
from tests.receiver import Receiver
from tests.servers import Broker


def test_killing_the_engine_at_random_instants_loses_nothing(empty_database_url: str, tmp_path: Path) -> None:
    with Receiver(hosts=HOSTS) as receiver, Scene(tmp_path, empty_database_url, receiver) as scene:
        found = crash(scene, subscribers=200, kills=4, workers=1, chance=random.Random(20), pauses=True)
    assert not found.faults, str(found)
    assert found.owed >= 200


def test_ending_the_engine_in_order_loses_nothing_and_repeats_nothing(empty_sqlite_url: str, tmp_path: Path) -> None:
    with Receiver(hosts=HOSTS) as receiver, Scene(tmp_path, empty_sqlite_url, receiver) as scene:
        found = crash(scene, subscribers=200, kills=3, workers=1, chance=random.Random(21), gently=True)
    assert not found.faults, str(found)
    assert (found.duplicates, found.bound) == (0, 0)
    assert found.owed >= 200


def test_killing_celery_workers_timetable_and_broker_loses_nothing(
    empty_postgresql_url: str, tmp_path: Path, broker: Broker
) -> None:
    with Receiver(hosts=HOSTS) as receiver, Scene(tmp_path, empty_postgresql_url, receiver, broker) as scene:
        found = crash(scene, subscribers=200, kills=BROKER_DIES_EVERY, workers=2, chance=random.Random(22))
    assert not found.faults, str(found)
    assert found.owed >= 200
