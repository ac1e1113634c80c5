"""An idle engine hears at once of what came to be owed on its machine."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from syndicator.bell import Bell, ring, ring_after
from syndicator.delivery.engine import Engine
from syndicator.sending import create_engine
from tests.desk import Desk
from tests.receiver import Receiver

AN_HOUR = 3600.0


@pytest.fixture
def idle(desk: Desk) -> Iterator[Engine]:
    """A running engine that would look by itself in an hour."""
    engine, stopping = create_engine(desk.house), threading.Event()
    engine.drain_due()  # feeds that were just rendered would rest
    thread = threading.Thread(target=engine.run, args=[stopping.is_set], kwargs={"idle_seconds": AN_HOUR})
    thread.start()
    yield engine
    stopping.set()
    ring(desk.house.config.data_dir / "locks")
    thread.join()


def test_an_idle_engine_sends_as_soon_as_a_story_is_committed(desk: Desk, idle: Engine) -> None:
    with Receiver() as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        receiver.wait_for(1, 30)


def rung(bell: Bell) -> bool:
    return bool(select.select([bell.descriptor], [], [], 0)[0])


def test_every_engine_of_the_machine_hears_and_is_told_once(tmp_path: Path) -> None:
    bells = [Bell(tmp_path, f"worker-{number}") for number in range(3)]
    assert not any(map(rung, bells))
    fcntl.fcntl(bells[0].descriptor, fcntl.F_SETPIPE_SZ, 4096)
    for _ in range(5000):  # more than that pipe holds
        ring(tmp_path)
    assert all(map(rung, bells))
    for bell in bells:
        bell.hush()
    assert not any(map(rung, bells))
    for bell in bells:
        bell.close()
    assert list(tmp_path.iterdir()) == []


def test_ringing_for_an_engine_that_was_killed_harms_nobody_and_clears_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bell-killed")
    ring(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_rings_when_it_is_committed_and_not_when_it_is_rolled_back(desk: Desk) -> None:
    bell = Bell(desk.house.config.data_dir / "locks", "listening")
    with desk.house.sessions() as session:
        ring_after(session)
        session.rollback()
        assert not rung(bell)
        ring_after(session)
        assert not rung(bell)
        session.commit()
        assert rung(bell)
    bell.close()
