"""Pulling sources into a real database from a loopback site."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import func, select

from syndicator.domain.stories import Source, SourceKind, Story, StoryVersion
from syndicator.errors import InvalidRequest, NotFound
from syndicator.house import House
from syndicator.jobs import get_job
from syndicator.operations.pull import PullReport, due_sources, pull_source
from syndicator.operations.withdraw import kill_story
from syndicator.outbound import Outbound
from tests.clocks import HandClock
from tests.intake.test_feed import RSS
from tests.intake.wordpress_site import Answer, WordPressSite


@pytest.fixture
def site() -> Iterator[WordPressSite]:
    with WordPressSite().running() as running:
        yield running


@pytest.fixture
def outbound(house: House) -> Outbound:
    return Outbound(house.config.outbound, "test")


def add_source(house: House, url: str, kind: SourceKind = SourceKind.WORDPRESS, credentials: str = "", name: str = "news") -> int:
    with house.sessions.begin() as session:
        source = Source(
            name=name, kind=kind, url=url, section="General", every_seconds=300, cursor={}, next_pull_at=house.clock()
        )
        source.credentials = house.vault.lock(credentials) if credentials else None
        session.add(source)
        session.flush()
        return source.id


def source_of(house: House, source_id: int) -> Source:
    with house.sessions() as session:
        return session.get_one(Source, source_id)


def counts(report: PullReport) -> tuple[int, int, int]:
    return report.made, report.changed, report.unchanged


def test_the_same_posts_twice_make_nothing_new_and_a_change_makes_a_version(
    house: House, outbound: Outbound, site: WordPressSite
) -> None:
    site.add(1)
    site.add(2)
    source_id = add_source(house, site.url)
    assert counts(pull_source(house, outbound, source_id)) == (2, 0, 0)
    assert counts(pull_source(house, outbound, source_id)) == (0, 0, 2)
    site.add(2, "2026-06-30T10:00:01", title={"rendered": "Changed"})
    assert counts(pull_source(house, outbound, source_id)) == (0, 1, 1)
    with house.sessions() as session:
        assert session.scalar(select(func.count(Story.id))) == 2
        assert session.scalar(select(func.count(StoryVersion.id))) == 3
        assert session.scalars(select(StoryVersion.section)).first() == "Law & Order"


def test_one_bad_story_leaves_the_others_and_is_named(house: House, outbound: Outbound, site: WordPressSite) -> None:
    site.add(1, content={"rendered": "<p></p>", "protected": False})
    site.add(2, content={"rendered": "<div>" * 400 + "x", "protected": False})
    site.add(3)
    source_id = add_source(house, site.url)
    report = pull_source(house, outbound, source_id)
    assert (counts(report), len(report.problems), report.failed) == ((1, 0, 0), 2, False)
    source = source_of(house, source_id)
    assert source.failures == 0
    assert "story 1: a story needs a body" in str(source.last_error)


def test_a_source_is_due_when_its_time_has_come(house: House, outbound: Outbound, site: WordPressSite, clock: HandClock) -> None:
    site.add(1)
    source_id = add_source(house, site.url)
    with house.sessions() as session:
        assert due_sources(session, house.clock()) == [source_id]
    pull_source(house, outbound, source_id)
    with house.sessions() as session:
        assert due_sources(session, house.clock()) == []
        assert due_sources(session, clock.advance(timedelta(seconds=300))) == [source_id]


def test_failures_are_recorded_and_ask_less_and_less_often(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    source_id = add_source(house, site.url)
    site.trouble = lambda path, query, answer: (500, {}, b"")
    pauses = []
    for _ in range(8):
        assert pull_source(house, outbound, source_id).failed
        pauses.append(int((source_of(house, source_id).next_pull_at - clock()).total_seconds()))  # type: ignore[operator]
    assert pauses == [600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    source = source_of(house, source_id)
    assert (source.failures, source.last_error_at, source.last_success_at) == (8, clock(), None)
    assert "answered 500" in str(source.last_error)
    site.trouble = lambda path, query, answer: answer
    pull_source(house, outbound, source_id)
    source = source_of(house, source_id)
    assert (source.failures, source.last_error, source.last_success_at) == (0, None, clock())


def test_retry_after_is_heeded(house: House, outbound: Outbound, site: WordPressSite, clock: HandClock) -> None:
    source_id = add_source(house, site.url)
    site.trouble = lambda path, query, answer: (429, {"Retry-After": "7200"}, b"")
    pull_source(house, outbound, source_id)
    assert source_of(house, source_id).next_pull_at == clock() + timedelta(hours=2)


def test_a_vanished_story_is_shown_to_the_desk_and_never_killed(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    site.add(1)
    source_id = add_source(house, site.url)
    pull_source(house, outbound, source_id)
    removed = site.posts.pop(1)
    clock.advance(timedelta(hours=2))
    report = pull_source(house, outbound, source_id)
    assert [gone.external_id for gone in report.gone] == ["1"]
    assert source_of(house, source_id).cursor["gone"]["1"]["why"] == "deleted at its source"
    with house.sessions() as session:
        assert session.scalars(select(Story.pubstatus)).all() == ["usable"]
    site.posts[1] = removed | {"modified_gmt": "2026-07-01T13:59:00"}
    pull_source(house, outbound, source_id)
    assert source_of(house, source_id).cursor["gone"] == {}


def test_a_killed_story_is_not_brought_back_by_its_source(house: House, outbound: Outbound, site: WordPressSite) -> None:
    site.add(1)
    source_id = add_source(house, site.url)
    pull_source(house, outbound, source_id)
    with house.sessions.begin() as session:
        uri = session.scalars(select(Story.uri)).one()
        kill_story(session, house, uri, reason="wrong", actor="editor", at=house.clock())
    site.add(1, "2026-06-30T11:00:00", title={"rendered": "Again"})
    report = pull_source(house, outbound, source_id)
    assert (counts(report), len(report.problems), report.failed) == ((0, 0, 0), 1, False)


def test_a_feed_is_asked_conditionally(house: House, outbound: Outbound, site: WordPressSite) -> None:
    def feed(path: str, query: dict[str, str], answer: Answer) -> Answer:
        return (200, {"ETag": '"one"', "Content-Type": "application/rss+xml"}, RSS) if path == "/feed" else answer

    site.trouble = feed
    source_id = add_source(house, f"{site.url}feed", SourceKind.FEED)
    report = pull_source(house, outbound, source_id)
    assert (counts(report), len(report.problems)) == ((1, 0, 0), 2)
    assert source_of(house, source_id).cursor["etag"] == '"one"'
    site.trouble = lambda path, query, answer: (304, {}, b"")
    assert counts(pull_source(house, outbound, source_id)) == (0, 0, 0)
    assert source_of(house, source_id).cursor["etag"] == '"one"'


def test_a_feed_that_cannot_be_parsed_is_a_failure_with_its_reason(house: House, outbound: Outbound, site: WordPressSite) -> None:
    site.trouble = lambda path, query, answer: (200, {}, b"<!DOCTYPE x []><rss/>")
    source_id = add_source(house, f"{site.url}feed", SourceKind.FEED)
    report = pull_source(house, outbound, source_id)
    assert report.failed
    assert "document types" in str(source_of(house, source_id).last_error)


def test_credentials_are_unlocked_for_the_source(house: House, outbound: Outbound, site: WordPressSite) -> None:
    site.add(1)
    pull_source(house, outbound, add_source(house, site.url, credentials="editor:se:cret"))
    assert {authorization for _, _, authorization in site.asked} == {"Basic ZWRpdG9yOnNlOmNyZXQ="}


def test_only_what_is_pulled_can_be_pulled(house: House, outbound: Outbound) -> None:
    with pytest.raises(InvalidRequest):
        pull_source(house, outbound, add_source(house, "", SourceKind.API))
    with pytest.raises(NotFound):
        pull_source(house, outbound, 999)


def test_two_that_pull_at_once_make_no_story_twice(house: House, outbound: Outbound, site: WordPressSite) -> None:
    for number in range(1, 21):
        site.add(number)
    source_id = add_source(house, site.url)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: pull_source(house, outbound, source_id), range(2)))
    assert sum(report.made for report in reports) == 20
    assert [report.problems for report in reports] == [[], []]
    with house.sessions() as session:
        assert session.scalar(select(func.count(Story.id))) == 20
        assert session.scalar(select(func.count(StoryVersion.id))) == 20


def test_stories_of_a_feed_happen_in_the_order_of_their_times(house: House, outbound: Outbound, site: WordPressSite) -> None:
    dates = ("Tue, 30 Jun 2026 12:00:00 GMT", "", "Mon, 29 Jun 2026 12:00:00 GMT", "Tue, 30 Jun 2026 09:00:00 GMT")
    items = [
        f"<item><guid>s{number}</guid><title>Story {number}</title><pubDate>{date}</pubDate>"
        f"<description>All the words of story {number}.</description></item>"
        for number, date in enumerate(dates)
    ]
    document = f'<rss version="2.0"><channel><title>News</title>{"".join(items)}</channel></rss>'.encode()
    site.trouble = lambda path, query, answer: (200, {}, document)
    pull_source(house, outbound, add_source(house, f"{site.url}feed", SourceKind.FEED))
    with house.sessions() as session:
        assert session.scalars(select(Story.external_id).order_by(Story.id)).all() == ["s2", "s3", "s0", "s1"]


def test_a_slow_source_holds_up_no_other(house: House, outbound: Outbound, site: WordPressSite) -> None:
    other_was_asked = Event()

    def slow(path: str, query: dict[str, str], answer: Answer) -> Answer:
        if path == "/slow":
            return (200, {}, RSS) if other_was_asked.wait(timeout=10) else (500, {}, b"")
        other_was_asked.set()
        return 200, {}, RSS

    site.trouble = slow
    slow_id = add_source(house, f"{site.url}slow", SourceKind.FEED, name="slow")
    add_source(house, f"{site.url}quick", SourceKind.FEED, name="quick")
    assert get_job("pull-sources").run(house, outbound) == "2 sources pulled"
    assert source_of(house, slow_id).failures == 0
