"""How often feeds are rendered in a burst, and what waits with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from syndicator.delivery.engine import Engine, Sight
from syndicator.delivery.pace import LONGEST_PAUSE_SECONDS, Pace
from syndicator.documents import public_folder, read_document
from syndicator.domain.feeds import FeedArchive
from syndicator.operations.archives import mark_all_stale
from syndicator.operations.tallies import read_tallies
from syndicator.sending import create_engine
from syndicator.storage.engine import reading
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


class Ticks:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def engine(desk: Desk, ticks: Ticks) -> Iterator[Engine]:
    """An engine that runs on: everything that was there is rendered."""
    made = create_engine(desk.house)
    made.drain_due()
    made.pace = Pace(ticks)
    yield made
    made.close()


def shown(desk: Desk) -> str:
    return read_document(public_folder(desk.house.config.data_dir) / "latest.json").body.decode()


def test_the_first_story_of_a_burst_is_shown_at_once_and_the_others_together(desk: Desk, engine: Engine, ticks: Ticks) -> None:
    renders = []
    for number in range(100):
        desk.publish(external_id=f"s{number}", headline=f"Story {number}.")
        renders.append(engine.turn(0.0).rendered)
        ticks.now += 0.02
    assert renders[0]
    assert sum(map(bool, renders)) <= 3
    ticks.now += LONGEST_PAUSE_SECONDS
    assert engine.turn(0.0).rendered
    assert "Story 99." in shown(desk)
    assert engine.turn(0.0).idle


def test_after_a_calm_time_nothing_waits(desk: Desk, engine: Engine, ticks: Ticks) -> None:
    for number in range(10):
        desk.publish(external_id=f"s{number}")
        assert engine.turn(0.0).rendered
        ticks.now += 2.5


def test_a_burst_costs_celery_workers_few_renderings_too_and_is_shown_whole_when_they_rest(desk: Desk, ticks: Ticks) -> None:
    engine = create_engine(desk.house)
    engine.ticks = ticks
    stories = iter(range(20))
    feeds: set[str] = set()

    def passing() -> bool:
        number = next(stories, None)
        if number is not None:
            event = desk.publish(external_id=f"s{number}", headline=f"Story {number}.").event
            feeds.update(event.feeds if event else [])
        ticks.now += 0.5 if number is None else 0.02
        return False

    engine.work_off(passing)
    engine.drain(seconds=0.0)
    assert "Story 19." in shown(desk)
    with desk.house.sessions() as session:
        [renders] = read_tallies(session, "renders").values()
    assert renders <= len(desk.house.catalogue.feeds) + 4 * len(feeds)  # all at first, and then not twenty times


def test_a_kill_and_a_correction_wait_for_nothing(desk: Desk, engine: Engine) -> None:
    story = desk.publish(headline="Wrong.").story
    engine.turn(0.0)
    desk.publish(headline="Right.", correction_note="It was wrong.")
    assert engine.turn(0.0).rendered
    assert "Right." in shown(desk)
    desk.kill(story)
    assert engine.turn(0.0).rendered
    assert "Right." not in shown(desk).replace("KILLED: Right.", "")


def test_no_push_leaves_before_its_document_however_long_that_waits(
    desk: Desk, engine: Engine, ticks: Ticks, clock: HandClock
) -> None:
    with Receiver() as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish(headline="First.")
        while len(receiver.received) < 1:
            engine.turn(0.1)
        desk.publish(external_id="second", headline="Second.")
        for _ in range(5):
            engine.turn(0.02)
        assert len(receiver.received) == 1
        assert "Second." not in shown(desk)
        ticks.now += 1
        clock.advance(timedelta(seconds=1))
        while len(receiver.received) < 2:
            engine.turn(0.1)
        assert "Second." in shown(desk)


def test_archives_that_are_written_anew_hold_up_no_push(desk: Desk, engine: Engine) -> None:
    desk.publish()
    engine.turn(0.0)
    with desk.house.sessions.begin() as session:
        session.add(FeedArchive(feed="latest", number=1, changed_at=desk.house.clock(), stale_at=None, written=True))
        session.flush()
        mark_all_stale(session, "latest", at=desk.house.clock())
    with reading(desk.house.sessions) as session:
        seen = Sight.of(session, desk.house.clock())
    assert engine._render(seen) == (1, 0)  # all pushes may leave, although the feed rests
