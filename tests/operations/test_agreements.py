"""Agreements at the gate and in the ledger: what they open, until when, how often, and what the statement says of it."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from syndicator.access import Decision, Purpose, decide, decide_feed
from syndicator.catalogue import Catalogue
from syndicator.delivery.parcels import load_parcels
from syndicator.domain.agreements import Agreement, QuotaPeriod, Way, period_start
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.domain.feeds import FeedDefinition, Selection
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Rights, Story
from syndicator.errors import AccessDenied, Conflict, FeedNotFound, InvalidRequest, NotFound, StoryNotFound
from syndicator.house import House
from syndicator.operations import keep_time
from syndicator.operations.agreements import add_agreement, end_agreement, quota_used, read_viewer
from syndicator.operations.takes import Taking, note_takes, usage, usage_rows
from syndicator.reasons import Reason
from syndicator.render.spreadsheet import csv_text
from tests.clocks import HandClock
from tests.desk import Desk

EXCLUSIVE = FeedDefinition(
    name="exclusive", title="Exclusive", access="eligible", select=Selection(rights=(Rights.FREE, Rights.LICENSED))
)


@pytest.fixture
def house(house: House) -> House:
    """A house with one more feed, which holds licensed stories."""
    return replace(house, catalogue=Catalogue(house.catalogue.feeds | {"exclusive": EXCLUSIVE}))


def agree(desk: Desk, publisher: Publisher, **terms: Any) -> Agreement:
    at = desk.house.clock()
    whole = {"title": "Contract 7", "valid_from": at, "valid_until": at + timedelta(days=30), **terms}
    with desk.house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id)
        return add_agreement(session, desk.house, holder, **whole, actor="test", at=at)


def judge(desk: Desk, publisher: Publisher, story: Story) -> Decision:
    at = desk.house.clock()
    with desk.house.sessions() as session:
        viewer = read_viewer(session, desk.house, session.get_one(Publisher, publisher.id), at=at)
        return decide(viewer, session.get_one(Story, story.id), Purpose.TAKE, at)


def take(desk: Desk, publisher: Publisher, story: Story) -> None:
    decision = judge(desk, publisher, story)
    decision.require()
    note_takes(desk.house, publisher, [Taking(story, decision)], Way.API, at=desk.house.clock())


def test_a_licensed_story_opens_for_the_holder_of_an_agreement_alone(desk: Desk) -> None:
    holder, other = desk.publisher(), desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder)
    assert judge(desk, holder, story).granted
    assert judge(desk, other, story).reason is Reason.LICENSE_REQUIRED


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({}, True),
        ({"sections": ["military and  DEFENSE"]}, True),
        ({"sections": ["Sports"]}, False),
        ({"feeds": ["exclusive"]}, True),
        ({"feeds": ["latest"]}, False),  # holds free stories only
        ({"feeds": ["latest"], "sections": ["Military and Defense"]}, True),
        ({"stories": "this"}, True),
        ({"stories": "another"}, False),
    ],
)
def test_an_agreement_covers_its_feeds_sections_and_stories(desk: Desk, scope: dict[str, Any], covered: bool) -> None:
    holder = desk.publisher()
    stories = {name: desk.publish(external_id=name, rights=Rights.LICENSED).story for name in ("this", "another")}
    if "stories" in scope:
        scope = {"stories": [stories[scope["stories"]].uri]}
    agree(desk, holder, **scope)
    assert judge(desk, holder, stories["this"]).granted is covered


def test_an_agreement_holds_from_its_first_instant_until_its_last_and_not_after_it_was_ended(
    desk: Desk, clock: HandClock
) -> None:
    holder = desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    start = clock()
    agreement = agree(desk, holder, valid_from=start + timedelta(hours=1), valid_until=start + timedelta(hours=2))
    granted = []
    for minutes in (0, 59, 60, 119, 120):
        clock.now = start + timedelta(minutes=minutes)
        granted.append(judge(desk, holder, story).granted)
    assert granted == [False, False, True, True, False]
    clock.now = start + timedelta(minutes=90)
    with desk.house.sessions.begin() as session:
        end_agreement(session, agreement.public_id, reason="Not paid.", actor="test", at=clock())
    assert judge(desk, holder, story).reason is Reason.LICENSE_REQUIRED
    with desk.house.sessions.begin() as session, pytest.raises(Conflict):
        end_agreement(session, agreement.public_id, reason="Again.", actor="test", at=clock())


@pytest.mark.parametrize("state", [PublisherState.SUSPENDED, PublisherState.REVOKED, PublisherState.EXPIRED])
def test_an_agreement_opens_nothing_for_a_publisher_that_is_not_approved(desk: Desk, state: PublisherState) -> None:
    holder = desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder)
    desk.move(holder, state)
    assert not judge(desk, holder, story).granted


@pytest.mark.parametrize("rights", [Rights.FREE, Rights.LICENSED])
def test_an_agreement_brings_back_nothing_that_was_withdrawn_or_is_not_for_syndication(desk: Desk, rights: Rights) -> None:
    holder = desk.publisher()
    agree(desk, holder, embargo_trusted=True)
    killed, kept = desk.publish(external_id="bad", rights=rights).story, desk.publish(external_id="ours", rights=Rights.NONE)
    desk.kill(killed)
    assert judge(desk, holder, killed).reason is Reason.KILLED
    assert judge(desk, holder, kept.story).reason is Reason.NOT_FOR_SYNDICATION


def test_a_quota_counts_each_story_once_and_starts_afresh_with_its_period(desk: Desk, clock: HandClock) -> None:
    clock.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    holder = desk.publisher()
    first, second, third = (desk.publish(external_id=name, rights=Rights.LICENSED).story for name in ("a", "b", "c"))
    agreement = agree(desk, holder, quota=2, quota_period=QuotaPeriod.MONTH)
    take(desk, holder, first)
    take(desk, holder, first)  # the same story again is free
    take(desk, holder, second)
    refused = judge(desk, holder, third)
    assert refused.reason is Reason.LICENSE_REQUIRED
    assert (
        refused.detail
        == f"Agreement {agreement.public_id} covers this story, but its quota of 2 stories is spent for this period."
    )
    take(desk, holder, first)  # also when nothing is left
    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    take(desk, holder, third)


def test_two_requests_at_once_cannot_both_take_the_last_story_of_a_quota(desk: Desk) -> None:
    holder = desk.publisher()
    first, second = (desk.publish(external_id=name, rights=Rights.LICENSED).story for name in ("a", "b"))
    agree(desk, holder, quota=1)
    decisions = [(story, judge(desk, holder, story)) for story in (first, second)]
    assert all(decision.granted for _, decision in decisions)  # both asked before either took
    note_takes(desk.house, holder, [Taking(*decisions[0])], Way.API, at=desk.house.clock())
    with pytest.raises(AccessDenied) as caught:
        note_takes(desk.house, holder, [Taking(*decisions[1])], Way.API, at=desk.house.clock())
    assert caught.value.reason is Reason.LICENSE_REQUIRED


def test_the_last_story_of_a_quota_taken_by_two_requests_at_once_is_given_to_both(desk: Desk) -> None:
    holder, story = desk.publisher(), desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder, quota=1)
    decision = judge(desk, holder, story)
    with ThreadPoolExecutor(4) as pool:
        noted = [
            pool.submit(note_takes, desk.house, holder, [Taking(story, decision)], Way.API, at=desk.house.clock())
            for _ in range(4)
        ]
        for each in noted:
            each.result()


def test_requests_at_once_never_take_more_than_the_quota(desk: Desk) -> None:
    holder = desk.publisher()
    stories = [desk.publish(external_id=f"s{number}", rights=Rights.LICENSED).story for number in range(12)]
    agreement = agree(desk, holder, quota=5)
    decisions = {story.id: judge(desk, holder, story) for story in stories}  # all asked before any took

    def took(story: Story) -> bool:
        try:
            note_takes(desk.house, holder, [Taking(story, decisions[story.id])], Way.API, at=desk.house.clock())
        except AccessDenied:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(took, stories)) == 5
    with desk.house.sessions() as session:
        assert quota_used(session, session.get_one(Agreement, agreement.id), at=desk.house.clock()) == 5


def test_a_story_taken_under_a_former_agreement_is_free_under_the_next_though_its_quota_is_spent(
    desk: Desk, clock: HandClock
) -> None:
    holder = desk.publisher()
    old, new = (desk.publish(external_id=name, rights=Rights.LICENSED).story for name in ("old", "new"))
    agree(desk, holder, quota=1, valid_until=clock() + timedelta(days=1))
    take(desk, holder, old)
    clock.advance(timedelta(days=1))
    agree(desk, holder, quota=1)
    take(desk, holder, new)
    take(desk, holder, old)


def test_an_agreement_without_a_quota_is_used_before_one_with_a_quota(desk: Desk) -> None:
    holder = desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder, quota=1)
    open_ = agree(desk, holder)
    decision = judge(desk, holder, story)
    assert decision.grant is not None
    assert decision.grant.agreement_id == open_.id


def test_an_agreement_may_trust_its_holder_with_embargoed_stories_of_its_scope(desk: Desk) -> None:
    holder = desk.publisher()
    until = desk.house.clock() + timedelta(hours=1)
    inside = desk.publish(external_id="in", section="Science", embargoed_until=until).story
    outside = desk.publish(external_id="out", section="Sports", embargoed_until=until).story
    agree(desk, holder, sections=["Science"], embargo_trusted=True)
    assert judge(desk, holder, inside).granted
    assert judge(desk, holder, outside).reason is Reason.EMBARGOED


def test_licensed_feeds_are_read_by_those_whose_agreement_covers_them_without_a_quota(desk: Desk) -> None:
    house, at = desk.house, desk.house.clock()

    def reason(*terms: dict[str, Any]) -> Reason:
        holder = desk.publisher()
        for each in terms:
            agree(desk, holder, **each)
        with house.sessions() as session:
            return decide_feed(read_viewer(session, house, holder, at=at), EXCLUSIVE, at).reason

    assert reason() is Reason.LICENSE_REQUIRED
    assert reason({"sections": ["Military and Defense"]}) is Reason.LICENSE_REQUIRED  # the document holds other sections too
    assert reason({"feeds": ["exclusive"], "quota": 5}) is Reason.LICENSE_REQUIRED
    assert reason({"feeds": ["exclusive"]}) is Reason.OK
    assert reason({}) is Reason.OK


def test_a_push_of_a_licensed_story_goes_to_holders_of_an_agreement_and_spends_no_quota(desk: Desk) -> None:
    holder, spender, other = desk.publisher(), desk.publisher(), desk.publisher()
    agree(desk, holder, sections=["Military and Defense"])
    agree(desk, spender, quota=5)
    subscriptions = [desk.subscription(publisher, feed="exclusive") for publisher in (holder, spender, other)]
    desk.publish(rights=Rights.LICENSED)
    ids = [desk.owed(subscription)[0].id for subscription in subscriptions]
    with desk.house.sessions() as session:
        load = load_parcels(session, desk.house, ids, at=desk.house.clock())
    assert [parcel.delivery_id for parcel in load.parcels] == [ids[0]]
    assert load.refused == {ids[1]: "license_required", ids[2]: "license_required"}


def test_an_embargoed_story_is_owed_to_holders_whose_agreement_trusts_them_with_it(desk: Desk, clock: HandClock) -> None:
    holder, other = desk.publisher(), desk.publisher()
    agree(desk, holder, embargo_trusted=True)
    trusted, plain = desk.subscription(holder), desk.subscription(other)
    desk.publish(embargoed_until=clock() + timedelta(hours=1))
    assert (len(desk.owed(trusted)), len(desk.owed(plain))) == (1, 0)
    clock.advance(timedelta(hours=1))
    with desk.house.sessions.begin() as session:
        keep_time.lift_embargoes(session, desk.house, at=clock())
    assert (len(desk.owed(trusted)), len(desk.owed(plain))) == (2, 1)


def test_the_statement_names_each_story_once_with_its_first_taking(desk: Desk, clock: HandClock) -> None:
    holder, other = desk.publisher(), desk.publisher()
    free, paid = (
        desk.publish(external_id="a").story,
        desk.publish(external_id="b", headline="=cmd()", rights=Rights.LICENSED).story,
    )
    agreement = agree(desk, holder)
    began = clock()
    take(desk, holder, free)
    clock.advance(timedelta(minutes=1))
    take(desk, holder, paid)
    take(desk, holder, free)
    take(desk, other, free)
    with desk.house.sessions() as session:
        uses = usage(session, desk.house.catalogue, since=began, until=clock() + timedelta(seconds=1), publisher_id=holder.id)
        everybody = usage(session, desk.house.catalogue, since=began, until=clock() + timedelta(seconds=1))
    assert [(use.uri, use.first_taken_at, use.agreement) for use in uses] == [
        (free.uri, began, ""),
        (paid.uri, clock(), agreement.public_id),
    ]
    assert len(everybody) == 3
    read = list(csv.reader(csv_text(usage_rows(uses)).splitlines()))
    assert read[0][:3] == ["publisher", "story", "headline"]
    assert read[2][2] == "'=cmd()"


def test_the_statement_names_the_agreement_by_which_a_licensed_story_was_pushed(desk: Desk, clock: HandClock) -> None:
    holder = desk.publisher()
    began = clock()
    agreement = agree(desk, holder, sections=["Military and Defense"])
    subscription = desk.subscription(holder, feed="exclusive")
    for external_id, rights in (("paid", Rights.LICENSED), ("free", Rights.FREE)):
        desk.publish(external_id=external_id, rights=rights)
    with desk.house.sessions.begin() as session:
        settled = {"state": DeliveryState.DELIVERED, "settled_at": clock(), "next_attempt_at": None}
        session.execute(update(Delivery).where(Delivery.subscription_id == subscription.id).values(**settled))
    clock.advance(timedelta(hours=1))
    with desk.house.sessions.begin() as session:
        end_agreement(session, agreement.public_id, reason="Over.", actor="test", at=clock())
    with desk.house.sessions() as session:
        uses = usage(session, desk.house.catalogue, since=began, until=clock())
    assert [(use.way, use.agreement) for use in uses] == [(Way.PUSH, agreement.public_id), (Way.PUSH, "")]


def test_wrong_agreements_are_refused_by_field(desk: Desk) -> None:
    holder = desk.publisher()
    at = desk.house.clock()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"title": " "}, "title"),
        ({"valid_until": at}, "valid_until"),
        ({"quota": 0}, "quota"),
        ({"territory": "x" * 201}, "territory"),
        ({"stories": ["x"] * 501}, "scope"),
    ]
    for terms, field in wrong:
        with pytest.raises(InvalidRequest) as caught:
            agree(desk, holder, **terms)
        assert caught.value.field == field
    with pytest.raises(FeedNotFound):
        agree(desk, holder, feeds=["nowhere"])
    with pytest.raises(StoryNotFound):
        agree(desk, holder, stories=["nothing"])
    with desk.house.sessions.begin() as session, pytest.raises(NotFound):
        end_agreement(session, "agr_none", reason="x", actor="test", at=at)


def test_quota_periods_begin_with_the_calendar_but_not_before_the_agreement() -> None:
    began, at = datetime(2026, 11, 18, 9, tzinfo=UTC), datetime(2026, 11, 20, 15, tzinfo=UTC)
    starts = {period: period_start(period, began, at) for period in QuotaPeriod}
    assert starts == {
        QuotaPeriod.DAY: datetime(2026, 11, 20, tzinfo=UTC),
        QuotaPeriod.WEEK: began,
        QuotaPeriod.MONTH: began,
        QuotaPeriod.YEAR: began,
        QuotaPeriod.TERM: began,
    }


@settings(max_examples=50)
@given(cell=st.text(max_size=20))
def test_no_cell_of_a_statement_begins_like_a_formula(cell: str) -> None:
    (line,) = csv.reader([csv_text([[cell]])], strict=False) if cell and not set(cell) & set("\r\n") else [[""]]
    assert not line or not line[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
