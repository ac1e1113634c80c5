"""What portal and desk ask of the store gives the same answers on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState
from syndicator.domain.publishers import PublisherState
from syndicator.domain.stories import Story
from syndicator.errors import StoryNotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.desk_figures import attempts_by_day, tally_attempts, top_stories, waiting_by_age
from syndicator.operations.explain import explain, explain_to_publisher, story_meant
from syndicator.operations.exports import ExportFormat, ExportKind, export
from syndicator.operations.find_publishers import find_publishers, last_signs
from syndicator.operations.inquiries import ask, inquiries
from syndicator.operations.reach import reach_of
from syndicator.operations.works import feed_reports, job_runs
from syndicator.storage.desk_listing import Shelf, desk_stories
from syndicator.storage.search import read_words
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.newsroom import Newsroom


def test_one_story_is_told_of_alike_by_every_question(house: House, clock: HandClock) -> None:
    desk, newsroom = Desk(house), Newsroom(house)
    publisher = desk.publisher()
    subscription = desk.subscription(publisher)
    story = newsroom.publish("River gauges go live")
    with house.sessions.begin() as session:
        delivery = session.scalars(select(Delivery)).one()
        session.add(Attempt(delivery_id=delivery.id, at=clock(), outcome="accepted", duration_ms=5))
        settled = {"state": DeliveryState.DELIVERED, "settled_at": clock(), "next_attempt_at": None}
        session.execute(update(Delivery).values(**settled))
    today = clock().date()
    clock.advance(timedelta(minutes=1))
    with house.sessions.begin() as session:
        assert tally_attempts(session, at=clock()) == 1
    newsroom.kill(story, "It was false.")
    at = clock()
    with house.sessions() as session:
        row = session.scalars(select(Story)).one()
        assert attempts_by_day(session, days=2, at=at)[today]["accepted"] == 1
        assert [(each.story.id, each.pushed) for each in top_stories(session, days=7, at=at)] == [(row.id, 1)]
        assert sum(waiting_by_age(session, at=at).values()) == 0
        reach = reach_of(session, row, frozenset({"latest"}))
        assert [(each.name, each.ways, each.told, each.acknowledged_at) for each in reach.holders] == [
            (publisher.name, ["webhook"], "push owed", None)
        ]
        found = explain(session, house, publisher, story_meant(session, f"https://wire.example/stories/{story}/x"), at=at)
        assert (found.decision.reason.value, [way.subscription.id for way in found.ways]) == ("killed", [subscription.id])
        assert [each.id for each in desk_stories(session, shelf=Shelf.WITHDRAWN, words=None, before=None, limit=5)] == [row.id]
        words = read_words("gauges")
        assert desk_stories(session, shelf=Shelf.ALL, words=words, before=(at + timedelta(days=1), 9), limit=5) == []
        named = find_publishers(session, words=publisher.name, state=PublisherState.APPROVED, at=at, limit=5)
        assert [each.id for each in named] == [publisher.id]
        assert set(last_signs(session, publisher.id).values()) == {None}
        assert {report.feed.name for report in feed_reports(session, house)} == {feed.name for feed in house.catalogue}
        assert job_runs(session) == (None, [])
        assert [each.action for each in audit.newest_entries(session, action="story", limit=5)] == ["story.killed"]
        for kind in ExportKind:
            assert "".join(export(session, kind, ExportFormat.JSONL))


def test_a_publisher_learns_nothing_of_a_story_it_may_not_know(house: House) -> None:
    publisher, newsroom = Desk(house).publisher(), Newsroom(house)
    embargoed = newsroom.publish("Budget leak", embargoed_until=house.clock() + timedelta(hours=3))
    internal = newsroom.publish("Staff canteen", rights="none")
    with house.sessions() as session:
        for reference in (embargoed, internal, "", "unknown"):
            with pytest.raises(StoryNotFound):
                explain_to_publisher(session, house, publisher, reference, at=house.clock())


def test_inquiries_are_counted_and_listed(house: House) -> None:
    facts = {"name": "Ann", "organisation": "", "subject": "Film", "words": "May we?", "address": "192.0.2.7"}
    with house.sessions.begin() as session:
        for number in range(3):
            ask(session, house, email=f"ann{number}@film.example", at=house.clock(), **facts)
    with house.sessions() as session:
        assert len(inquiries(session, state=None, owner="", before=None, limit=2)) == 2
