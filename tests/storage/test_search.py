"""Finding stories: by words, ranked and marked, on both databases alike; by labels; never what may not be had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text

from syndicator.config import Config, Database
from syndicator.domain.findable import StoryLabel, StoryText
from syndicator.domain.stories import Rights
from syndicator.errors import InvalidRequest
from syndicator.house import House, open_house
from syndicator.operations.keep_time import lift_embargoes
from syndicator.storage.engine import reading
from syndicator.storage.listing import Wanted, best_stories, newest_stories
from syndicator.storage.queries import changes_after, feed_stories
from syndicator.storage.search import Marked, mark, read_words
from tests.clocks import HandClock
from tests.desk import Desk, later
from tests.render.strategies import HOSTILE


def found(house: House, query: str, **wanted: Any) -> list[str]:
    """External ids of what `query` finds, best first; the same stories must be found newest first."""
    words = read_words(query)
    with reading(house.sessions) as session:
        best = best_stories(session, Wanted(**wanted), words, at=house.clock())
        newest = newest_stories(session, Wanted(words=words, **wanted), at=house.clock())
    assert {story.id for story in best} == {story.id for story in newest}
    return [story.external_id for story in best]


def test_words_phrases_and_stems_are_found_the_best_first(desk: Desk) -> None:
    desk.publish(external_id="body", headline="Budget passes", body_html="<p>Nobody spoke of the flood gauges.</p>")
    desk.publish(external_id="headline", headline="Flood gauges fail", body_html="<p>They failed.</p>")
    desk.publish(external_id="apart", headline="Gauges", body_html="<p>A flood, says Müller.</p>")
    house = desk.house
    assert found(house, "flooding gauge") == ["headline", "apart", "body"]
    assert found(house, '"flood gauges"') == ["headline", "body"]
    assert found(house, "ortiz headline") == []
    assert set(found(house, "Lena ORTIZ")) == {"body", "headline", "apart"}
    assert set(found(house, "military floods", section="military and defense")) == {"body", "headline", "apart"}
    assert found(house, "müller") == ["apart"]
    assert found(house, '"flood gauges"', tag="floods", feed="latest", author="lena ortiz") == ["headline", "body"]
    assert found(house, "flood", section="nowhere") == []


def test_what_matched_is_marked_and_all_else_escaped(desk: Desk) -> None:
    body = "<p>Rain &amp; <b>gauges</b> &lt; 3.</p>"
    story = desk.publish(headline="Gauges <script>alert(1)</script>", body_html=body).story
    with reading(desk.house.sessions) as session:
        marked = mark(session, [story.id], read_words("gauge"))[story.id]
    assert marked == Marked("<mark>Gauges</mark> &lt;script&gt;alert(1)&lt;/script&gt;", "Rain &amp; <mark>gauges</mark> &lt; 3.")


def test_embargoed_killed_unlicensed_and_expired_stories_are_never_found(desk: Desk, clock: HandClock) -> None:
    house = desk.house
    desk.publish(external_id="open")
    desk.publish(external_id="held", embargoed_until=later(house, hours=1))
    desk.publish(external_id="licensed", rights=Rights.LICENSED)
    desk.publish(external_id="none", rights=Rights.NONE)
    desk.publish(external_id="short", expires_at=later(house, minutes=30))
    desk.kill(desk.publish(external_id="killed").story)
    desk.take_down(desk.publish(external_id="down").story)
    assert set(found(house, "gauges")) == {"open", "short"}
    clock.advance(timedelta(hours=1))
    assert set(found(house, "gauges")) == {"open", "held"}
    with house.sessions.begin() as session:
        lift_embargoes(session, house, at=clock())
    assert set(found(house, "gauges")) == {"open", "held"}


def test_a_story_is_found_by_what_it_says_now(desk: Desk) -> None:
    story = desk.publish(headline="Zebra crossing", tags=("Roads",)).story
    desk.publish(headline="Crossing", tags=("Streets",), correction_note="There is no zebra.")
    assert found(desk.house, "zebra") == []
    assert found(desk.house, "crossing") == ["river"]
    assert found(desk.house, "crossing", tag="roads") == []
    assert found(desk.house, "crossing", tag="STREETS") == ["river"]
    desk.kill(story)
    with desk.house.sessions() as session:
        assert not session.scalars(select(StoryText)).all()
        assert not session.scalars(select(StoryLabel)).all()


def test_the_index_of_words_agrees_with_the_texts(desk: Desk, database_url: str) -> None:
    for number in range(5):
        desk.publish(external_id=f"n{number}", headline=f"Story {number}")
        desk.publish(external_id=f"n{number}", headline=f"Changed {number}")
    desk.kill(desk.publish(external_id="gone").story)
    assert len(found(desk.house, "changed")) == 5
    if database_url.startswith("sqlite"):
        with desk.house.engine.begin() as connection:
            connection.execute(text("INSERT INTO story_words (story_words, rank) VALUES ('integrity-check', 1)"))


@pytest.mark.parametrize("query", ["", " ", '""', "🙂", "---", "_", "x" * 201, " ".join("abcdefghijklmnopqrstu")])
def test_a_query_without_words_or_with_too_many_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_words(query)
    assert refused.value.field == "q"


TRICKS = (*HOSTILE, '"', "NEAR(", "AND", "OR", "NOT", "*", "^", "a:*", "headline:x", "-", "!", "&", "|", "\\", "'")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.lists(st.sampled_from(TRICKS) | st.text(max_size=8), max_size=8).map(" ".join))
def test_no_query_is_a_fault(house: House, query: str) -> None:
    try:
        words = read_words(query)
    except InvalidRequest:
        return
    with reading(house.sessions) as session:
        stories = best_stories(session, Wanted(), words, at=house.clock())
        assert mark(session, [story.id for story in stories], words) == {}


def test_labels_are_compared_without_case_and_combined(desk: Desk) -> None:
    house = desk.house
    desk.publish(external_id="a", section="City", tags=("Roads", "Rain"), byline=("A. Bee", "C. Dee"))
    desk.publish(external_id="b", section="City", tags=("Rain",), byline=("C. Dee",))
    with reading(house.sessions) as session:

        def listed(**wanted: Any) -> list[str]:
            return [story.external_id for story in newest_stories(session, Wanted(**wanted), at=house.clock())]

        assert listed(section="city") == ["b", "a"]
        assert listed(section="CITY", tag="roads") == ["a"]
        assert listed(tag=" rain ", author="c.  dee") == ["b", "a"]
        assert listed(feed="latest", tag="roads") == ["a"]
        assert listed(feed="latest", section="country") == []


def test_every_way_to_list_walks_an_index_in_its_order(config: Config, clock: HandClock, sqlite_url: str) -> None:
    house = open_house(config.model_copy(update={"database": Database(url=sqlite_url)}), clock)
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            plans.extend(row[3] for row in connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))

    event.listen(house.engine, "before_cursor_execute", explain)
    with reading(house.sessions) as session:
        for wanted in (Wanted(), Wanted(feed="latest"), Wanted(tag="x"), Wanted(section="x", tag="y", author="z")):
            newest_stories(session, wanted, at=clock(), before=(clock(), 5))
        feed_stories(session, "latest", 50)
        changes_after(session, 0, limit=100, embargo_trusted=False, at=clock())
    assert len(plans) > 8
    assert not [
        plan
        for plan in plans
        if "TEMP B-TREE" in plan or "MATERIALIZE" in plan or (plan.startswith("SCAN") and "USING" not in plan)
    ]
