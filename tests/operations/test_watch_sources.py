"""Stories withdrawn at their source leave our offer, and only then; silent sources are reported once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from syndicator.domain.letters import Letter
from syndicator.domain.stories import PubStatus, Source, SourceKind, Story
from syndicator.house import House
from syndicator.operations.pull import pull_source
from syndicator.operations.watch_sources import MOST_AT_ONCE, is_quiet, recheck_withdrawn, report_quiet
from syndicator.outbound import Outbound
from tests.clocks import HandClock
from tests.intake.test_feed import RSS
from tests.intake.wordpress_site import Answer, WordPressSite
from tests.operations.test_pull import add_source, source_of

Trouble = Callable[[str, dict[str, str], Answer], Answer]


@pytest.fixture
def site() -> Iterator[WordPressSite]:
    with WordPressSite().running() as running:
        yield running


@pytest.fixture
def outbound(house: House) -> Outbound:
    return Outbound(house.config.outbound, "test")


class Watch:
    """A site that was pulled, and the hours that pass."""

    def __init__(self, house: House, outbound: Outbound, site: WordPressSite, clock: HandClock, posts: int = 3) -> None:
        self.house, self.outbound, self.site, self.clock = house, outbound, site, clock
        for number in range(1, posts + 1):
            site.add(number)
        self.source_id = add_source(house, site.url)
        self.pull()

    def pull(self) -> None:
        pull_source(self.house, self.outbound, self.source_id)

    def hours_pass(self, hours: float = 1.1) -> int:
        self.clock.advance(timedelta(hours=hours))
        return recheck_withdrawn(self.house, self.outbound)

    def vanish(self, number: int) -> None:
        """Delete the post, and let the sweep find out."""
        del self.site.posts[number]
        self.clock.advance(timedelta(hours=1.1))
        self.pull()

    def withheld(self) -> set[str]:
        with self.house.sessions() as session:
            found = session.scalars(select(Story).where(Story.pubstatus != PubStatus.USABLE)).all()
            assert all(story.pubstatus is PubStatus.WITHHELD for story in found)  # never killed
            return {story.external_id for story in found}

    def letters(self) -> list[str]:
        with self.house.sessions() as session:
            return list(session.scalars(select(Letter.subject).order_by(Letter.id)))


@pytest.fixture
def watch(house: House, outbound: Outbound, site: WordPressSite, clock: HandClock) -> Watch:
    return Watch(house, outbound, site, clock)


def test_a_story_that_is_gone_twice_is_taken_down_and_the_editors_are_told(watch: Watch) -> None:
    watch.vanish(2)
    assert recheck_withdrawn(watch.house, watch.outbound) == 0  # once is not enough
    assert watch.withheld() == set()
    assert watch.hours_pass() == 1
    assert watch.withheld() == {"2"}
    assert [subject.startswith("Taken down: Post 2") for subject in watch.letters()] == [True]
    assert watch.hours_pass() == 0
    with watch.house.sessions() as session:
        story = session.scalars(select(Story).where(Story.external_id == "2")).one()
        assert story.withdrawn_reason == "It is deleted at its source."


def test_a_story_that_comes_back_in_between_stays(watch: Watch) -> None:
    watch.vanish(2)
    watch.site.add(2)
    assert watch.hours_pass() == 0
    assert (watch.withheld(), watch.letters()) == (set(), [])
    assert source_of(watch.house, watch.source_id).cursor["gone"] == {}


def outage(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return 503, {}, b"maintenance"


def blocked(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return 403, {"Content-Type": "text/html"}, b"<html>Attention required</html>"


def api_closed(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return 401, {}, b'{"code":"rest_forbidden","message":"No."}'


def page_by_id(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return (404, {}, b"<html>Nothing here</html>") if path.endswith("/posts/2") else answer


def password_revoked(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return (401, {}, b'{"code":"rest_not_logged_in"}') if path.endswith("/users/me") else answer


def emptied(path: str, query: dict[str, str], answer: Answer) -> Answer:
    return (200, {"X-WP-Total": "0"}, b"[]") if path.endswith("/posts") else answer


@pytest.mark.parametrize("trouble", [outage, blocked, api_closed, page_by_id, emptied])
def test_no_outage_and_no_block_ever_takes_a_story_down(watch: Watch, trouble: Trouble) -> None:
    watch.vanish(2)
    watch.site.trouble = trouble
    for _ in range(3):
        assert watch.hours_pass() == 0
    assert watch.withheld() == set()


def test_what_a_revoked_password_no_longer_shows_is_not_taken_down(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    for number in (1, 2, 3):
        site.add(number)
    source_id = add_source(house, site.url, credentials="editor:secret")
    pull_source(house, outbound, source_id)
    del site.posts[2]
    clock.advance(timedelta(hours=1.1))
    pull_source(house, outbound, source_id)
    assert list(source_of(house, source_id).cursor["gone"]) == ["2"]
    site.trouble = password_revoked
    for _ in range(3):
        clock.advance(timedelta(hours=1.1))
        assert recheck_withdrawn(house, outbound) == 0
    site.trouble = lambda path, query, answer: answer
    assert recheck_withdrawn(house, outbound) == 1


def test_many_that_vanish_together_stay_on_offer_and_are_reported_once(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    watch = Watch(house, outbound, site, clock, posts=MOST_AT_ONCE + 3)
    for number in range(1, MOST_AT_ONCE + 1):
        del site.posts[number]
    watch.vanish(MOST_AT_ONCE + 1)
    for _ in range(2):
        assert watch.hours_pass() == 0
    assert watch.withheld() == set()
    assert watch.letters() == [f"{MOST_AT_ONCE + 1} stories vanished from news"]


def test_a_silent_source_is_reported_once_and_again_after_it_spoke(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    start = clock()
    for number in range(1, 8):
        moment = f"{start - timedelta(hours=9 - number):%Y-%m-%dT%H:%M:%S}"
        site.add(number, modified=moment, date_gmt=moment)
    source_id = add_source(house, site.url)

    def watched(hours: float) -> int:
        clock.advance(timedelta(hours=hours))
        pull_source(house, outbound, source_id)
        with house.sessions.begin() as session:
            return report_quiet(session, house, at=clock())

    assert [watched(1), watched(8), watched(3), watched(1)] == [0, 0, 1, 0]
    moment = f"{clock():%Y-%m-%dT%H:%M:%S}"
    site.add(9, modified=moment, date_gmt=moment)
    assert [watched(1), watched(30)] == [0, 1]
    with house.sessions() as session:
        assert session.get_one(Source, source_id).quiet_since is not None


def test_a_source_that_keeps_failing_is_reported_once_with_its_fault(
    house: House, outbound: Outbound, site: WordPressSite, clock: HandClock
) -> None:
    """A feed of nothing but excerpts is one: it answers, and no story ever comes of it."""
    feed = RSS.replace(b"<content:encoded>", b"<nothing>").replace(b"</content:encoded>", b"</nothing>")
    site.trouble = lambda path, query, answer: (200, {"ETag": '"one"'}, feed)
    source_id = add_source(house, f"{site.url}feed", SourceKind.FEED)
    told = []
    for _ in range(8):
        report = pull_source(house, outbound, source_id)
        assert report.failure.endswith("it carries an excerpt only, not the story")
        with house.sessions.begin() as session:
            told.append(report_quiet(session, house, at=clock.advance(timedelta(hours=1))))
    assert told == [0, 0, 0, 0, 1, 0, 0, 0]
    with house.sessions() as session:
        letter = session.scalars(select(Letter)).one()
        assert (letter.subject, "excerpt only" in letter.text) == ("news is failing", True)
    site.trouble = lambda path, query, answer: (200, {}, RSS)
    pull_source(house, outbound, source_id)
    with house.sessions.begin() as session:
        assert report_quiet(session, house, at=clock()) == 0
        assert session.get_one(Source, source_id).quiet_since is None


@given(gap=st.integers(1, 48), count=st.integers(5, 30))
def test_a_source_is_quiet_after_several_of_its_usual_gaps_and_not_before(gap: int, count: int) -> None:
    newest = datetime(2026, 11, 20, tzinfo=UTC)
    published = [newest - timedelta(hours=gap * number) for number in range(count)]
    limit = max(timedelta(hours=5 * gap), timedelta(hours=12))
    assert not is_quiet(published, newest + limit)
    assert is_quiet(published, newest + limit + timedelta(seconds=1))
    assert not is_quiet(published[:4], newest + timedelta(days=900))
