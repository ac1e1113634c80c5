"""Documents on many machines: rendered on one, served by others, and no push before all of them show the story."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syndicator.app import create_app
from syndicator.delivery.engine import Engine
from syndicator.documents import public_folder, read_document
from syndicator.house import House
from syndicator.operations.mirror import NODE_LOST, Mirror, fresh, shown_everywhere
from syndicator.operations.render_feeds import render_stale
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver


@pytest.fixture
def many(house: House) -> House:
    """The machine that renders and sends."""
    push = house.config.push.model_copy(update={"executor": "celery"})
    return replace(house, config=house.config.model_copy(update={"push": push}))


@pytest.fixture
def web_machine(many: House, tmp_path: Path) -> House:
    """Another machine with a disk of its own, on the same database."""
    site = many.config.site.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    return replace(many, config=many.config.model_copy(update={"site": site}))


@pytest.fixture
def engine(many: House) -> Iterator[Engine]:
    made = create_engine(many)
    yield made
    made.close()


def bytes_at(house: House, key: str = "latest.rss") -> bytes:
    return (public_folder(house.config.data_dir) / key).read_bytes()


def test_a_web_machine_has_the_same_bytes_as_the_one_that_rendered(many: House, web_machine: House) -> None:
    Desk(many).publish()
    render_stale(many)
    mirror = Mirror(web_machine, "web-1")
    while mirror.turn():
        pass
    for key in ("latest.rss", "latest.atom", "headlines.json"):
        assert bytes_at(web_machine, key) == bytes_at(many, key)
        assert read_document(public_folder(web_machine.config.data_dir) / key).etags
    render_stale(many, everything=True)
    assert mirror.turn() == 0  # what is equal is not sent again


def test_no_push_leaves_before_every_web_machine_shows_the_story(
    many: House, web_machine: House, engine: Engine, clock: HandClock
) -> None:
    desk = Desk(many)
    mirror = Mirror(web_machine, "web-1")
    mirror.turn()
    with Receiver() as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        story = desk.publish().story
        engine.drain_due()
        assert receiver.received == []
        while mirror.turn():
            pass
        assert story.uri.encode() in read_document(public_folder(web_machine.config.data_dir) / "latest.rss").body
        engine.drain_due()
        assert len(receiver.received) == 1
        desk.publish(external_id="next")
        clock.advance(NODE_LOST + timedelta(seconds=1))  # a machine that is gone is not waited for
        engine.drain_due()
        assert len(receiver.received) == 2


def test_a_machine_whose_mirror_stopped_says_that_it_is_not_ready(many: House, web_machine: House, clock: HandClock) -> None:
    client = create_app(web_machine.config, web_machine).test_client()
    assert client.get("/readyz").status_code == 503
    mirror = Mirror(web_machine, "web-1")
    while mirror.turn():
        pass
    mirror.turn()
    assert client.get("/readyz").status_code == 200
    clock.advance(NODE_LOST)
    assert not fresh(web_machine, at=clock())
    assert client.get("/readyz").status_code == 503
    with many.sessions() as session:
        assert shown_everywhere(session, at=clock())


def test_a_machine_seen_under_a_clock_that_was_set_back_since_is_not_waited_for(
    many: House, web_machine: House, clock: HandClock
) -> None:
    Mirror(web_machine, "web-1").turn()
    clock.advance(timedelta(days=-400))
    Desk(many).publish()
    render_stale(many)
    with many.sessions() as session:
        assert shown_everywhere(session, at=clock())
