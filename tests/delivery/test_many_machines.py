"""Many machines in small: PostgreSQL, a broker, Celery workers and timetables as processes, killed and started again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier

import pytest

from syndicator.domain.stories import SourceKind
from syndicator.house import House
from syndicator.jobs import Timetable
from syndicator.operations.lead import LEASE, take_lead
from syndicator.operations.publish import publish_story
from syndicator.outbound import open_outbound
from syndicator.storage.queries import source_called
from tests.clocks import HandClock
from tests.crash.scene import PATIENCE_SECONDS, Scene
from tests.desk import DRAFT, Desk
from tests.receiver import Receiver
from tests.servers import Broker

ALL = 60


@dataclass
class Fleet:
    """Processes of ours with the settings of one scene."""

    scene: Scene
    broker: Broker
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        process = self.scene.run((*self.scene.command[:-1], command))
        self.running.append(process)
        return process

    def kill(self, *processes: subprocess.Popen[bytes]) -> None:
        """Kill -9, and wait until the dead hold nothing any more."""
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def end(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(hosts=20) as running:
        yield running


@pytest.fixture
def fleet(tmp_path: Path, empty_postgresql_url: str, receiver: Receiver, broker: Broker) -> Iterator[Fleet]:
    with Scene(tmp_path, empty_postgresql_url, receiver, broker) as scene:
        made = Fleet(scene, broker)
        try:
            yield made
        finally:
            made.end()


def publish(house: House, external_id: str) -> None:
    with house.sessions.begin() as session:
        source = source_called(session, "newsroom", SourceKind.API)
        publish_story(session, house, source, replace(DRAFT, external_id=external_id), at=house.clock())


def wait_for_ids(receiver: Receiver, count: int) -> None:
    """Wait until so many deliveries came; what was in flight when a worker was killed may come twice. On a busy machine the
    start of a process alone takes half a minute."""
    while len({request.headers["webhook-id"] for request in receiver.received}) < count:
        receiver.wait_for(len(receiver.received) + 1, PATIENCE_SECONDS)


def test_workers_timetable_and_broker_may_die_and_nothing_is_lost(fleet: Fleet, receiver: Receiver) -> None:
    house = fleet.scene.furnish(ALL)
    first, second = fleet.start("worker"), fleet.start("worker")
    leader = fleet.start("scheduler")
    publish(house, "one")
    wait_for_ids(receiver, ALL)

    fleet.kill(first, leader)
    fleet.start("scheduler")  # finds its predecessor dead, on the same machine
    publish(house, "two")
    wait_for_ids(receiver, 2 * ALL)

    fleet.broker.restart()
    publish(house, "three")
    wait_for_ids(receiver, 3 * ALL)
    assert second.poll() is None

    ids = [request.headers["webhook-id"] for request in receiver.received]
    assert len(set(ids)) == 3 * ALL
    assert len(ids) - len(set(ids)) <= ALL  # the killed worker had at most this in flight


def test_one_of_two_timetables_leads_and_the_other_follows_within_a_minute(desk: Desk, clock: HandClock) -> None:
    with desk.house.sessions.begin() as session:
        assert take_lead(session, "a", at=clock())
        assert not take_lead(session, "b", at=clock())
        assert take_lead(session, "a", at=clock())
    clock.advance(LEASE)
    with desk.house.sessions.begin() as session:
        assert take_lead(session, "b", at=clock())
        assert not take_lead(session, "a", at=clock())
    assert LEASE.total_seconds() <= 60


def test_of_two_that_reach_for_the_lead_at_once_one_gets_it(desk: Desk, clock: HandClock) -> None:
    """R21, a hundred times: in turn for a lead that nobody ever had, and for that of a leader who is gone."""
    both = Barrier(2)

    def reach(holder: str, name: str) -> bool:
        both.wait()
        with desk.house.sessions.begin() as session:
            return take_lead(session, holder, at=clock(), name=name)

    with ThreadPoolExecutor(2) as pool:
        for number in range(100):
            clock.advance(LEASE)
            got = pool.map(reach, (f"a{number}", f"b{number}"), [f"lead-{number // 2}"] * 2)
            assert sorted(got) == [False, True]


def test_a_leader_that_stops_lets_its_successor_start_at_once(desk: Desk) -> None:
    timetable = Timetable(desk.house, open_outbound(desk.house.config))
    timetable.start()
    timetable.stop()
    with desk.house.sessions.begin() as session:
        assert take_lead(session, "successor", at=desk.house.clock())


def test_a_leader_that_was_killed_is_followed_at_once_on_its_machine_and_a_paused_one_is_not(desk: Desk) -> None:
    outbound = open_outbound(desk.house.config)
    first, second = Timetable(desk.house, outbound), Timetable(desk.house, outbound)
    first.start()
    second.start()
    assert (first._leads(), second._leads()) == (True, False)
    assert first._living is not None
    first._living._handle.close()  # as the kernel does for a process that died
    assert second._leads()
    first.stop()
    second.stop()
