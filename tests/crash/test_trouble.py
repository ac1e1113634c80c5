"""Small versions of `python -m tests.crash.acknowledged` and `python -m tests.crash.trouble`: what was acknowledged is kept."""

from __future__ import annotations

import random
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.crash.acknowledged import acknowledged
from tests.crash.scene import DATABASE, postgresql
from tests.crash.trouble import Load, MountRefused, Trouble, away, full, locked, small_disk, through
from tests.crash.writers import served
from tests.receiver import Receiver

LOAD = Load(subscribers=10, a_second=20, seconds=0.5, calm_seconds=0.5)


def test_killing_the_service_loses_nothing_acknowledged_and_does_nothing_twice(empty_sqlite_url: str, tmp_path: Path) -> None:
    with Receiver() as receiver, served(tmp_path, empty_sqlite_url, receiver) as scene:
        found = acknowledged(scene, kills=2, retries=1, chance=random.Random(30))
    assert not found.faults, str(found)
    assert found.writes
    assert found.decisions


def test_a_full_disk_and_a_held_lock_lose_nothing_and_pass_by_themselves(tmp_path: Path) -> None:
    place = tmp_path / "var"
    file = place / "syndicator.db"
    with ExitStack() as stack:
        try:
            stack.enter_context(small_disk(place))
        except MountRefused as error:
            pytest.skip(f"nobody may mount a disk here: {error}")
        receiver = stack.enter_context(Receiver())
        scene = stack.enter_context(served(tmp_path, f"sqlite:///{file}", receiver))
        found = through(
            scene, [Trouble(partial(full, place), refuses=True), Trouble(partial(locked, file))], LOAD, random.Random(31)
        )
    assert not found.faults, str(found)
    assert found.statuses[507]


def test_a_postgresql_that_is_stopped_or_killed_loses_nothing(tmp_path: Path) -> None:
    with (
        postgresql(outlives_crashes=True) as server,
        Receiver() as receiver,
        served(tmp_path, server.url(DATABASE), receiver) as scene,
    ):
        troubles = [Trouble(partial(away, server, each), refuses=True) for each in (signal.SIGINT, signal.SIGQUIT)]
        found = through(scene, troubles, LOAD, random.Random(32))
    assert not found.faults, str(found)
    assert found.statuses[503]
