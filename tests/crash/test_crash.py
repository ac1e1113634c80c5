"""A small version of `python -m tests.crash`, on both databases: nothing is lost, and what comes twice was in flight."""

from __future__ import annotations

import random
from pathlib import Path

from tests.crash.scene import HOSTS, Scene, crash
from tests.receiver import Receiver


def test_killing_the_engine_at_random_instants_loses_nothing(empty_database_url: str, tmp_path: Path) -> None:
    with Receiver(hosts=HOSTS) as receiver:
        scene = Scene(tmp_path, empty_database_url, receiver)
        found = crash(scene, subscribers=200, kills=4, workers=1, chance=random.Random(20))
    assert not found.faults, str(found)
    assert found.owed >= 200


def test_ending_the_engine_in_order_loses_nothing_and_repeats_nothing(empty_sqlite_url: str, tmp_path: Path) -> None:
    with Receiver(hosts=HOSTS) as receiver:
        scene = Scene(tmp_path, empty_sqlite_url, receiver)
        found = crash(scene, subscribers=200, kills=3, workers=1, chance=random.Random(21), gently=True)
    assert not found.faults, str(found)
    assert (found.duplicates, found.bound) == (0, 0)
    assert found.owed >= 200
