"""Stories: versions, embargo, expiry, rights, correction, kill and takedown, and the event log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from syndicator.access import ANYBODY, Purpose, Viewer, decide
from syndicator.config import Config, Database
from syndicator.domain.audit import AuditEntry
from syndicator.domain.deliveries import Acknowledgement, DeliveryState
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.publishers import PublisherState, Scope
from syndicator.domain.stories import Event, EventType, PubStatus, Rights, SourceKind, Story, StoryVersion
from syndicator.errors import Conflict, InvalidRequest, StoryKilled
from syndicator.house import House, open_house
from syndicator.operations import audit, keep_time
from syndicator.operations.correct import correct_story
from syndicator.operations.publish import publish_story
from syndicator.operations.restore import restore_story
from syndicator.reasons import Reason
from syndicator.storage.listing import Wanted, best_stories
from syndicator.storage.queries import get_version, next_value, source_called
from syndicator.storage.search import read_words
from tests.clocks import HandClock
from tests.databases import wait_for_a_lock
from tests.desk import DRAFT, Desk, later


def events(house: House) -> list[Event]:
    with house.sessions() as session:
        return list(session.scalars(select(Event).order_by(Event.seq)))


def feeds_holding(house: House, story_id: int) -> set[str]:
    with house.sessions() as session:
        places = select(FeedEntry.feed).where(FeedEntry.story_id == story_id, FeedEntry.left_at.is_(None))
        return set(session.scalars(places))


def test_the_same_input_twice_makes_nothing_new(desk: Desk) -> None:
    first, second = desk.publish(), desk.publish()
    assert (first.outcome, second.outcome) == ("made", "unchanged")
    assert first.story.uri == second.story.uri
    assert [event.type for event in events(desk.house)] == [EventType.PUBLISHED]


@pytest.mark.parametrize("known", [False, True], ids=["a new source", "a known source"])
def test_two_who_bring_a_new_story_at_once_make_one(config: Config, clock: HandClock, postgresql_url: str, known: bool) -> None:
    """R3: a writer who repeats a request that is still being carried out is answered, not told of a fault of ours."""
    house = open_house(config.model_copy(update={"database": Database(url=postgresql_url)}), clock)
    desk = Desk(house)
    if known:
        desk.publish(external_id="another")
    with ThreadPoolExecutor(1) as thread, house.sessions.begin() as first:
        made = publish_story(first, house, source_called(first, "newsroom", SourceKind.API), DRAFT, at=clock())
        work = thread.submit(desk.publish)
        wait_for_a_lock(house, work)
        first.commit()
        second = work.result(30)
    assert (made.outcome, second.outcome) == ("made", "unchanged")
    assert second.story.uri == made.story.uri


def test_a_change_makes_a_new_version_and_keeps_the_uri(desk: Desk, clock: HandClock) -> None:
    first = desk.publish()
    clock.advance(timedelta(minutes=5))
    second = desk.publish(headline="River gauges go live at last")
    assert (second.outcome, second.story.version_number, second.story.uri) == ("changed", 2, first.story.uri)
    with desk.house.sessions() as session:
        headlines = list(session.scalars(select(StoryVersion.headline).order_by(StoryVersion.number)))
    assert headlines == ["River gauges go live", "River gauges go live at last"]


def test_a_story_joins_the_feeds_that_select_it(desk: Desk) -> None:
    story = desk.publish().story
    assert feeds_holding(desk.house, story.id) == {"latest", "headlines", "partners", "military-and-defense"}
    desk.publish(section="Education")
    assert feeds_holding(desk.house, story.id) == {"latest", "headlines", "partners"}


def test_an_embargoed_story_is_in_no_feed_until_its_minute(desk: Desk, clock: HandClock) -> None:
    story = desk.publish(embargoed_until=later(desk.house, hours=1)).story
    assert feeds_holding(desk.house, story.id) == set()
    with desk.house.sessions.begin() as session:
        assert keep_time.lift_embargoes(session, desk.house, at=later(desk.house, minutes=59)) == 0
    clock.advance(timedelta(hours=1))
    with desk.house.sessions.begin() as session:
        assert keep_time.lift_embargoes(session, desk.house, at=clock()) == 1
        assert keep_time.lift_embargoes(session, desk.house, at=clock()) == 0
    assert "latest" in feeds_holding(desk.house, story.id)
    assert [(event.type, event.embargoed) for event in events(desk.house)] == [
        (EventType.PUBLISHED, True),
        (EventType.EMBARGO_LIFTED, False),
    ]
    assert desk.story(story).published_at == clock()


def test_a_time_of_publication_ahead_is_an_embargo(desk: Desk) -> None:
    story = desk.publish(published_at=later(desk.house, hours=2)).story
    assert story.embargoed_until == later(desk.house, hours=2)
    assert feeds_holding(desk.house, story.id) == set()


def test_a_story_that_waits_follows_its_new_time_although_its_words_are_the_same(desk: Desk, clock: HandClock) -> None:
    story = desk.publish(published_at=later(desk.house, hours=2)).story
    assert desk.publish(published_at=later(desk.house, hours=4)).outcome == "changed"
    clock.advance(timedelta(hours=3))
    with desk.house.sessions.begin() as session:
        assert keep_time.lift_embargoes(session, desk.house, at=clock()) == 0
    assert feeds_holding(desk.house, story.id) == set()
    assert desk.publish(published_at=clock()).outcome == "changed"
    assert "latest" in feeds_holding(desk.house, story.id)
    assert desk.publish(published_at=clock()).outcome == "unchanged"


def test_a_story_that_is_out_cannot_be_embargoed(desk: Desk) -> None:
    desk.publish()
    with pytest.raises(Conflict, match="take it down"):
        desk.publish(headline="Other", embargoed_until=later(desk.house, hours=1))


def test_a_story_killed_under_embargo_never_comes_out(desk: Desk, clock: HandClock) -> None:
    story = desk.publish(embargoed_until=later(desk.house, hours=1)).story
    desk.kill(story)
    clock.advance(timedelta(hours=2))
    with desk.house.sessions.begin() as session:
        keep_time.lift_embargoes(session, desk.house, at=clock())
    assert feeds_holding(desk.house, story.id) == set()
    assert decide(ANYBODY, desk.story(story), Purpose.READ, clock()).reason is Reason.EMBARGOED


def test_an_expired_story_leaves_the_feeds(desk: Desk, clock: HandClock) -> None:
    story = desk.publish(expires_at=later(desk.house, hours=1)).story
    clock.advance(timedelta(hours=1))
    assert decide(ANYBODY, desk.story(story), Purpose.READ, clock()).reason is Reason.EXPIRED
    with desk.house.sessions.begin() as session:
        assert keep_time.expire_stories(session, desk.house, at=clock()) == 1
        assert keep_time.expire_stories(session, desk.house, at=clock()) == 0
    assert feeds_holding(desk.house, story.id) == set()


def test_a_killed_story_is_never_changed_or_brought_back(desk: Desk) -> None:
    story = desk.publish().story
    desk.kill(story)
    for again in (lambda: desk.publish(headline="Back again"), lambda: desk.kill(story), desk.publish):
        with pytest.raises(StoryKilled):
            again()
    assert feeds_holding(desk.house, story.id) == set()
    now = desk.story(story)
    assert (now.pubstatus, now.version_number) == (PubStatus.CANCELED, 2)


def test_a_takedown_recalls_and_the_source_cannot_undo_it(desk: Desk) -> None:
    story = desk.publish().story
    desk.take_down(story)
    assert desk.publish().outcome == "unchanged"
    with pytest.raises(Conflict, match="taken down"):
        desk.publish(headline="Back again")
    desk.kill(story)  # what was only recalled may turn out to be wrong
    assert desk.story(story).pubstatus is PubStatus.CANCELED


def test_a_kill_needs_a_reason(desk: Desk) -> None:
    story = desk.publish().story
    with pytest.raises(InvalidRequest) as error:
        desk.kill(story, reason="  ")
    assert error.value.field == "reason"


def test_a_correction_says_what_was_wrong(desk: Desk) -> None:
    story = desk.publish().story
    with desk.house.sessions.begin() as session:
        correct_story(
            session,
            desk.house,
            story.public_id,
            note="It was 220 gauges.",
            actor="test",
            at=desk.house.clock(),
            body_html="<p>220 gauges report.</p>",
        )
    last = events(desk.house)[-1]
    assert (last.type, last.reason, last.version_number) == (EventType.CORRECTED, "It was 220 gauges.", 2)
    with desk.house.sessions() as session:
        assert audit.verify(session) == []


def test_a_correction_outlives_a_source_that_still_says_the_old_words(desk: Desk, clock: HandClock) -> None:
    story = desk.publish().story
    with desk.house.sessions.begin() as session:
        correct_story(
            session, desk.house, story.uri, note="It is 220.", actor="editor", at=clock(), headline="220 gauges go live"
        )
    assert desk.publish().outcome == "unchanged"
    assert desk.publish(headline="220 gauges go live").outcome == "unchanged"  # the source has caught up
    assert desk.story(story).version_number == 2
    told = desk.publish(headline="Gauges flooded")
    assert (told.outcome, told.story.version_number) == ("changed", 3)
    assert desk.publish().outcome == "changed"


def test_a_story_whose_rights_are_withdrawn_is_taken_down(desk: Desk) -> None:
    story = desk.publish().story
    desk.publish(rights=Rights.NONE)
    assert feeds_holding(desk.house, story.id) == set()
    assert events(desk.house)[-1].type is EventType.TAKEN_DOWN
    desk.publish(rights=Rights.FREE)
    assert events(desk.house)[-1].type is EventType.PUBLISHED
    assert "latest" in feeds_holding(desk.house, story.id)


def test_nobody_hears_of_a_story_that_is_not_for_syndication(desk: Desk) -> None:
    story = desk.publish(rights=Rights.NONE).story
    assert events(desk.house) == []
    assert decide(ANYBODY, story, Purpose.READ, desk.house.clock()).reason is Reason.NOT_FOR_SYNDICATION


def test_the_log_has_no_gaps_even_where_a_transaction_failed(desk: Desk) -> None:
    desk.publish()
    with desk.house.sessions() as session:  # a transaction that took a number and then failed
        next_value(session, "events")
        session.rollback()
    desk.publish(external_id="other")
    assert [event.seq for event in events(desk.house)] == [1, 2]


def test_a_shorter_audit_log_shows(desk: Desk) -> None:
    story = desk.publish().story
    desk.publisher()
    desk.kill(story)
    with desk.house.sessions() as session:
        assert audit.verify(session) == []
        newest = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()
        session.delete(newest)
        session.flush()
        assert audit.verify(session) != []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (PublisherState.APPLICANT, Reason.APPLICATION_PENDING),
        (PublisherState.DECLINED, Reason.NOT_ELIGIBLE),
        (PublisherState.SUSPENDED, Reason.SUSPENDED),
        (PublisherState.EXPIRED, Reason.ELIGIBILITY_EXPIRED),
        (PublisherState.REVOKED, Reason.NOT_ELIGIBLE),
        (None, Reason.SIGN_IN_REQUIRED),
        (PublisherState.APPROVED, Reason.OK),
    ],
)
def test_the_gate_says_why_a_publisher_may_not_take(desk: Desk, state: PublisherState | None, reason: Reason) -> None:
    story, now = desk.publish().story, desk.house.clock()
    viewer = Viewer(1, state, later(desk.house, days=1), terms_accepted=True)
    assert decide(viewer, story, Purpose.TAKE, now).reason is reason


def test_the_gate_knows_the_end_of_a_term_the_terms_and_the_license(desk: Desk) -> None:
    story, now = desk.publish().story, desk.house.clock()
    approved = PublisherState.APPROVED
    assert decide(Viewer(1, approved, now, True), story, Purpose.TAKE, now).reason is Reason.ELIGIBILITY_EXPIRED
    over = Viewer(1, approved, later(desk.house, days=1), terms_accepted=False)
    assert decide(over, story, Purpose.TAKE, now).reason is Reason.TERMS_NOT_ACCEPTED
    licensed = desk.publish(external_id="paid", rights=Rights.LICENSED).story
    fine = Viewer(1, approved, later(desk.house, days=1), terms_accepted=True)
    assert decide(fine, licensed, Purpose.TAKE, now).reason is Reason.LICENSE_REQUIRED
    assert decide(Viewer(scopes=frozenset({Scope.NEWSROOM})), licensed, Purpose.TAKE, now).granted


def test_only_publishers_trusted_with_embargoes_have_a_story_early(desk: Desk) -> None:
    story, now = desk.publish(embargoed_until=later(desk.house, hours=1)).story, desk.house.clock()
    until = later(desk.house, days=1)
    plain = Viewer(1, PublisherState.APPROVED, until, terms_accepted=True)
    trusted = Viewer(1, PublisherState.APPROVED, until, terms_accepted=True, embargo_trusted=True)
    assert decide(plain, story, Purpose.TAKE, now).reason is Reason.EMBARGOED
    assert decide(trusted, story, Purpose.TAKE, now).granted
    assert decide(trusted, story, Purpose.READ, now).reason is Reason.EMBARGOED  # a page is for everybody


def restore(desk: Desk, story: Story, reason: str = "It was right after all.") -> None:
    with desk.house.sessions.begin() as session:
        restore_story(session, desk.house, story.uri, reason=reason, actor="editor", at=desk.house.clock())


def test_a_story_taken_down_comes_back_as_it_read_and_all_who_had_it_are_told(desk: Desk, clock: HandClock) -> None:
    subscription = desk.subscription(desk.publisher())
    story = desk.publish().story
    feeds = feeds_holding(desk.house, story.id)
    desk.take_down(story)
    with desk.house.sessions() as session:
        [asked] = session.scalars(select(Acknowledgement)).all()
        assert asked.remind_at is not None
    clock.advance(timedelta(hours=1))
    restore(desk, story)
    now = desk.story(story)
    assert (now.pubstatus, now.version_number, now.withdrawn_reason) == (PubStatus.USABLE, 3, None)
    assert now.published_at == story.published_at
    assert decide(ANYBODY, now, Purpose.READ, clock()).granted
    assert feeds_holding(desk.house, story.id) == feeds != set()
    last = events(desk.house)[-1]
    assert (last.type, last.reason) == (EventType.PUBLISHED, "It was right after all.")
    assert [each.version_number for each in desk.owed(subscription) if each.state is DeliveryState.OWED] == [3]
    with desk.house.sessions() as session:
        version = get_version(session, story.id, 3)
        assert (version.body_html, version.headline) == (DRAFT.body_html, DRAFT.headline)
        assert all(each.remind_at is None and each.overtaken for each in session.scalars(select(Acknowledgement)))
        assert [found.id for found in best_stories(session, Wanted(), read_words("gauges"), at=clock(), limit=5)] == [story.id]
        assert audit.verify(session) == []
    assert desk.publish().outcome == "unchanged"  # its source may go on with it
    assert desk.publish(headline="River gauges are live").outcome == "changed"


def test_nothing_but_a_takedown_can_be_undone(desk: Desk, clock: HandClock) -> None:
    usable, killed = desk.publish().story, desk.publish(external_id="killed").story
    expired = desk.publish(external_id="expired", expires_at=later(desk.house, hours=1)).story
    down = desk.publish(external_id="down").story
    for story in (expired, down, killed):
        desk.take_down(story)
    desk.kill(killed)
    clock.advance(timedelta(hours=2))
    for story, error in ((usable, Conflict), (killed, StoryKilled), (expired, Conflict)):
        with pytest.raises(error):
            restore(desk, story)
    with pytest.raises(InvalidRequest):
        restore(desk, down, reason=" ")
    assert desk.story(killed).pubstatus is PubStatus.CANCELED
    assert desk.story(down).pubstatus is PubStatus.WITHHELD


def test_a_story_brought_back_before_its_minute_stays_under_embargo(desk: Desk, clock: HandClock) -> None:
    story = desk.publish(embargoed_until=later(desk.house, hours=2)).story
    desk.take_down(story)
    restore(desk, story)
    assert decide(ANYBODY, desk.story(story), Purpose.READ, clock()).reason is Reason.EMBARGOED
    assert feeds_holding(desk.house, story.id) == set()
    desk.take_down(story)
    clock.advance(timedelta(hours=3))
    with desk.house.sessions.begin() as session:
        keep_time.lift_embargoes(session, desk.house, at=clock())
    restore(desk, story)
    assert decide(ANYBODY, desk.story(story), Purpose.READ, clock()).granted
    assert feeds_holding(desk.house, story.id) != set()


def test_an_expired_story_stays_out_of_the_feeds_although_its_source_changes_it(desk: Desk, clock: HandClock) -> None:
    over = later(desk.house, hours=1)
    story = desk.publish(expires_at=over).story
    clock.advance(timedelta(hours=2))
    with desk.house.sessions.begin() as session:
        keep_time.expire_stories(session, desk.house, at=clock())
    desk.publish(expires_at=over, headline="River gauges went live")
    assert feeds_holding(desk.house, story.id) == set()
    desk.publish(expires_at=later(desk.house, hours=1), headline="River gauges went live")
    assert "latest" in feeds_holding(desk.house, story.id)
