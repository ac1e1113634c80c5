"""Deciding: by one person, on what stood on the page, with a reason and a letter, never about oneself, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.config import Eligibility
from syndicator.domain.accounts import MemberRole
from syndicator.domain.applications import WAITING_STATES, Application, ApplicationNote, ApplicationState
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import EligibilityDecision, Publisher, PublisherState
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import application_queue as queue
from syndicator.operations import apply, audit, decide, eligibility, keep_time, members
from syndicator.operations.accounts import user_called
from syndicator.operations.application_queue import decision_on
from syndicator.operations.reminders import remind
from syndicator.operations.resemblance import remarks_on
from tests.applicants import Applicants
from tests.clocks import HandClock

RITA = "rita@newsroom.example"
Verb = Callable[..., Any]


@pytest.fixture
def applicants(house: House) -> Applicants:
    return Applicants(house)


def act(house: House, verb: Verb, application: Application, *, reviewer: str = RITA, **values: Any) -> Any:
    """Let `reviewer` do `verb` on what their page showed."""
    words = {"question": "Whose figure is this?"} if verb is decide.ask else {"reason": "A large audience."}
    given = {"version": application.version, "letter": "Dear publisher,\n\n[reason]", "reviewer": reviewer, "at": house.clock()}
    with house.sessions.begin() as session:
        return verb(session, house, application.public_id, **(given | words | values))


def publisher_of(house: House, application: Application) -> Publisher:
    with house.sessions() as session:
        return session.get_one(Publisher, application.publisher_id)


def test_an_approval_keeps_facts_policy_decider_reason_and_term(house: House, applicants: Applicants, clock: HandClock) -> None:
    application = applicants.submitted()
    act(house, decide.approve, application, days=90)
    publisher = publisher_of(house, application)
    assert (publisher.state, publisher.approved_until) == (PublisherState.APPROVED, clock.now + timedelta(days=90))
    assert publisher.terms_version == ""  # nothing is granted before the terms are accepted
    with house.sessions() as session:
        [kept] = session.scalars(select(EligibilityDecision).where(EligibilityDecision.publisher_id == publisher.id))
        assert (kept.actor, kept.reason, kept.decided_at) == (RITA, "A large audience.", clock.now)
        assert kept.facts["audience"] == 120_000
        assert {item["verdict"] for item in kept.facts["items"]} == {"pass"}
        assert kept.policy["version"] == eligibility.policy_record(house.config)["version"]
        letter = session.scalars(select(Letter).order_by(Letter.id.desc()).limit(1)).one()
        assert (letter.recipient, letter.about) == (publisher.email, application.public_id)
        assert "Dear publisher,\n\nA large audience." in letter.text
        assert audit.verify(session) == []


def test_another_policy_has_another_version(house: House) -> None:
    other = house.config.model_copy(update={"eligibility": Eligibility(minimum_monthly_audience=5)})
    assert eligibility.policy_record(other)["version"] != eligibility.policy_record(house.config)["version"]


def test_two_people_at_once_cannot_both_decide(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def decides(verb: Verb, reviewer: str) -> None:
        together.wait()
        try:
            outcomes.append(act(house, verb, application, reviewer=reviewer))
        except Conflict as conflict:
            outcomes.append(conflict)

    people = [
        threading.Thread(target=decides, args=(decide.approve, RITA)),
        threading.Thread(target=decides, args=(decide.decline, "omar@newsroom.example")),
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    with house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(EligibilityDecision)) == 1
    decided = applicants.stored(application).state
    assert publisher_of(house, application).state.value == decided.value


def test_a_page_that_is_out_of_date_decides_nothing(house: House, applicants: Applicants) -> None:
    shown = applicants.submitted()
    with house.sessions.begin() as session:
        decide.take(session, shown.public_id, version=shown.version, reviewer="omar@newsroom.example", at=house.clock())
    for verb in (decide.approve, decide.decline, decide.ask):
        with pytest.raises(Conflict, match="has changed"):
            act(house, verb, shown)
    assert applicants.stored(shown).owner == "omar@newsroom.example"


def move(session: Session, house: House, publisher: Publisher, state: PublisherState, reviewer: str = RITA) -> None:
    decide.move_publisher(
        session, house, publisher.public_id, state, reason="As it is.", letter="[reason]", reviewer=reviewer, at=house.clock()
    )


def test_nobody_decides_about_their_own_publisher(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    domain = application.applicant.partition("@")[2]
    with house.sessions.begin() as session:
        colleague = user_called(session, "freelance@else.example", at=house.clock())
        members.add_member(
            session,
            session.get_one(Publisher, application.publisher_id),
            colleague,
            MemberRole.EDITOR,
            actor="test",
            at=house.clock(),
        )
    for reviewer in (application.applicant, f"boss@{domain}", f"BOSS@{domain}".upper(), "freelance@else.example"):
        for verb in (decide.approve, decide.decline, decide.ask):
            with pytest.raises(Conflict, match="your own publisher"):
                act(house, verb, application, reviewer=reviewer)
        with house.sessions.begin() as session, pytest.raises(Conflict, match="your own publisher"):
            decide.move_publisher(
                session,
                house,
                application.publisher.public_id,
                PublisherState.APPROVED,
                reason="x",
                letter="x",
                reviewer=reviewer,
                at=house.clock(),
            )
    assert applicants.stored(application).state in WAITING_STATES


def test_naming_our_own_domain_keeps_nobody_from_a_no(house: House, applicants: Applicants) -> None:
    """What an applicant only claims must not make it untouchable, and grants nothing either."""
    application = applicants.submitted(sites="news.newsroom.example", editorial_email=RITA)
    with pytest.raises(Conflict, match="your own publisher"):
        act(house, decide.approve, application)
    act(house, decide.decline, application)
    assert applicants.stored(application).state is ApplicationState.DECLINED


def test_a_reviewer_at_a_public_mail_provider_decides_about_others_there(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    with house.sessions.begin() as session:
        session.get_one(Publisher, application.publisher_id).email = "lena@gmail.com"
    act(house, decide.approve, application, reviewer="rita@gmail.com")


def test_asking_and_answering_goes_back_and_forth(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    act(house, decide.ask, application, question="Whose figure is this?")
    asked = applicants.stored(application)
    assert (asked.state, asked.question, asked.owner) == (ApplicationState.MORE_INFO, "Whose figure is this?", RITA)
    with house.sessions.begin() as session:
        mine = apply.changeable_application(session, asked.publisher_id)
        apply.submit(session, house, mine, actor=mine.applicant, reply="Ours, by Analytics.", at=house.clock())
    answered = applicants.stored(application)
    assert (answered.state, answered.reply) == (ApplicationState.IN_REVIEW, "Ours, by Analytics.")
    with house.sessions() as session:
        words = session.scalars(select(ApplicationNote.words).order_by(ApplicationNote.id)).all()
        assert words == ["Asked: Whose figure is this?", "Answer: Ours, by Analytics."]
    act(house, decide.approve, answered)


def test_a_reason_and_a_letter_are_required(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    for verb, empty in (
        (decide.approve, "reason"),
        (decide.decline, "reason"),
        (decide.ask, "question"),
        (decide.approve, "letter"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            act(house, verb, application, **{empty: "  "})
        assert refused.value.field == ("reason" if empty == "question" else empty)
    assert applicants.stored(application).state is ApplicationState.SUBMITTED


def test_a_draft_is_nobodys_business(house: House, applicants: Applicants) -> None:
    with house.sessions() as session, pytest.raises(NotFound):
        decide.get_application(session, applicants.draft().public_id)


def test_a_publisher_is_suspended_reinstated_and_revoked_with_letters(house: House, applicants: Applicants) -> None:
    publisher = applicants.approved()
    until = publisher.approved_until
    for state in (PublisherState.SUSPENDED, PublisherState.APPROVED, PublisherState.REVOKED):
        with house.sessions.begin() as session:
            decide.move_publisher(
                session, house, publisher.public_id, state, reason="as agreed", letter="[reason]", reviewer=RITA, at=house.clock()
            )
        with house.sessions() as session:
            now = session.get_one(Publisher, publisher.id)
            assert (now.state, now.approved_until) == (state, until)
    with house.sessions() as session:
        subjects = session.scalars(select(Letter.subject).order_by(Letter.id.desc()).limit(3)).all()
    assert [subject.partition(":")[0] for subject in subjects] == [
        "Your approval is revoked",
        "Your access is back",
        "Your access is suspended",
    ]


def test_a_declined_renewal_leaves_the_approval_to_its_end(house: House, applicants: Applicants, clock: HandClock) -> None:
    publisher = applicants.approved()
    clock.advance(timedelta(days=320))
    with house.sessions.begin() as session:
        renewal = apply.begin_again(session, publisher.id, actor="lena", at=clock.now)
        apply.submit(session, house, renewal, actor="lena", at=clock.now)
    act(house, decide.decline, renewal)
    assert publisher_of(house, renewal).state is PublisherState.APPROVED
    with house.sessions() as session:
        kept = decision_on(session, applicants.stored(renewal))
        assert kept is not None
        assert (kept.actor, kept.reason, kept.words) == (RITA, "A large audience.", "renewal declined")
        assert kept.facts["audience"] == 0  # the figures have aged
        assert kept.policy["version"] == eligibility.policy_record(house.config)["version"]


def test_after_a_no_one_may_apply_again_as_if_for_the_first_time(house: House, applicants: Applicants, clock: HandClock) -> None:
    application = applicants.submitted()
    act(house, decide.decline, application)
    with house.sessions.begin() as session:
        again = apply.begin_again(session, application.publisher_id, actor=application.applicant, at=clock.now)
        assert again.publisher.state is PublisherState.APPLICANT
        apply.submit(session, house, again, actor=application.applicant, at=clock.now)
    act(house, decide.decline, again, reason="Still no figures.")
    with house.sessions() as session:
        kept = session.scalars(select(EligibilityDecision).order_by(EligibilityDecision.id)).all()
    assert [each.reason for each in kept] == ["A large audience.", "Still no figures."]


def test_no_renewal_ends_a_suspension(house: House, applicants: Applicants, clock: HandClock) -> None:
    publisher = applicants.approved()
    clock.advance(timedelta(days=320))
    with house.sessions.begin() as session:
        renewal = apply.begin_again(session, publisher.id, actor="lena", at=clock.now)
        apply.submit(session, house, renewal, actor="lena", at=clock.now)
        move(session, house, publisher, PublisherState.SUSPENDED)
    with pytest.raises(Conflict, match="Reinstate it first"):
        act(house, decide.approve, renewal)
    assert publisher_of(house, renewal).state is PublisherState.SUSPENDED


def test_no_machine_approves_unless_the_policy_says_so_and_every_item_passes(house: House, applicants: Applicants) -> None:
    good, small, unproven = applicants.submitted(), applicants.submitted(visitors=500), applicants.submitted(proven=False)
    with house.sessions.begin() as session:
        assert decide.auto_approve(session, house, at=house.clock()) == 0
    eager = replace(house, config=house.config.model_copy(update={"eligibility": Eligibility(auto_approve=True)}))
    with house.sessions.begin() as session:
        assert decide.auto_approve(session, eager, at=house.clock()) == 1
    states = [applicants.stored(each).state for each in (good, small, unproven)]
    assert states == [ApplicationState.APPROVED, ApplicationState.SUBMITTED, ApplicationState.SUBMITTED]
    alike = applicants.submitted(organisation=good.publisher.name)
    with house.sessions.begin() as session:
        assert decide.auto_approve(session, eager, at=house.clock()) == 0  # somebody should look twice
    assert applicants.stored(alike).state is ApplicationState.SUBMITTED


def test_what_if_names_who_would_fall_out_and_changes_nothing(house: House, applicants: Applicants) -> None:
    big, small = applicants.approved(visitors=900_000), applicants.approved(visitors=150_000)
    with house.sessions() as session:
        assert eligibility.what_if(session, house.config, minimum=150_000, at=house.clock()) == []
        [fallen] = eligibility.what_if(session, house.config, minimum=150_001, at=house.clock())
        assert (fallen.publisher.id, fallen.audience, fallen.lost) == (small.id, 150_000, ("Large audience",))
        both = eligibility.what_if(session, house.config, minimum=1_000_000, at=house.clock())
        assert [each.publisher.id for each in both] == [small.id, big.id]
        assert session.get_one(Publisher, small.id).state is PublisherState.APPROVED


def test_a_reviewer_is_told_of_others_like_the_applicant(house: House, applicants: Applicants) -> None:
    other = applicants.submitted(organisation="Daily Post", sites="dailypost.example", editorial_email="desk@dailypost.example")
    mine = applicants.submitted(
        organisation="Dаily Pоst",  # Cyrillic а and о
        sites="news.dailypost.example\ndai1ypost.example",
        editorial_email="desk@dailypost.example",
    )
    alone = applicants.submitted(organisation="Evening News")
    with house.sessions() as session:
        told = [remark.words for remark in remarks_on(session, session.get_one(Publisher, mine.publisher_id))]
        assert [remark.words for remark in remarks_on(session, session.get_one(Publisher, alone.publisher_id))] == []
    assert told == [
        "“Dаily” in the name mixes letters of several scripts.",
        "“Pоst” in the name mixes letters of several scripts.",
        "The name reads like Daily Post (applicant).",
        "A site reads like dailypost.example of Daily Post.",
        "dailypost.example is proven by Daily Post (applicant).",
        "desk@dailypost.example is a contact of Daily Post too (applicant).",
    ]
    assert other.publisher.name == "Daily Post"


def test_a_reviewer_is_told_who_else_writes_from_there(house: House, applicants: Applicants) -> None:
    other, mine = applicants.submitted(), applicants.submitted()
    [site] = other.answers["sites"]
    with house.sessions.begin() as session:
        publisher = session.get_one(Publisher, mine.publisher_id)
        for email, words in (
            (other.applicant.upper(), f"{other.applicant} is a member of {other.publisher.name} too (applicant)."),
            (f"boss@{site}", f"The applicant writes from {site}, a site of {other.publisher.name}."),
            ("lena@gmail.com", "The applicant writes from gmail.com, where anybody can have a mailbox."),
        ):
            publisher.email = email
            session.flush()
            assert words in [remark.words for remark in remarks_on(session, publisher)]


def test_the_queue_begins_with_who_has_waited_longest_since_sending(
    house: House, applicants: Applicants, clock: HandClock
) -> None:
    early_draft = applicants.draft()
    sent = applicants.submitted()
    clock.advance(timedelta(hours=1))
    with house.sessions.begin() as session:
        mine = apply.changeable_application(session, early_draft.publisher_id)
        apply.submit(session, house, mine, actor=mine.applicant, at=clock.now)
    never_sent = applicants.draft()
    with house.sessions.begin() as session:
        apply.withdraw(session, house, never_sent.publisher_id, actor="lena", at=clock.now)
    with house.sessions() as session:
        assert [each.id for each in queue.applications(session, queue.Wanted(), limit=9)] == [sent.id, early_draft.id]
        assert [each.id for each in queue.applications(session, queue.Wanted(), after=sent.id, limit=9)] == [early_draft.id]
        assert queue.counts(session)[ApplicationState.WITHDRAWN] == 0
        with pytest.raises(NotFound):
            decide.get_application(session, never_sent.public_id)


def test_who_has_sent_a_renewal_is_not_reminded_and_the_end_is_told(
    house: House, applicants: Applicants, clock: HandClock
) -> None:
    waiting, late = applicants.approved(), applicants.approved()
    clock.advance(timedelta(days=310))
    with house.sessions.begin() as session:
        renewal = apply.begin_again(session, waiting.id, actor="lena", at=clock.now)
        apply.submit(session, house, renewal, actor="lena", at=clock.now)
    with house.sessions.begin() as session:
        assert remind(session, house, at=clock.now) == 1
    clock.advance(timedelta(days=55))
    with house.sessions.begin() as session:
        assert keep_time.expire_approvals(session, house, at=clock.now) == 2
    with house.sessions() as session:
        ended = select(Letter.recipient).where(Letter.subject.like("Your approval has ended%")).order_by(Letter.id)
        assert session.scalars(ended).all() == [waiting.email, late.email]


def test_reminders_go_once_for_each_mark(house: House, applicants: Applicants, clock: HandClock) -> None:
    applicants.approved()
    sent = []
    for days in (304, 1, 10, 36, 10, 3, 1):
        clock.advance(timedelta(days=days))
        with house.sessions.begin() as session:
            remind(session, house, at=clock.now)
            assert remind(session, house, at=clock.now) == 0
        with house.sessions() as session:
            wanted = select(Letter.subject).where(Letter.subject.like("Your approval ends%")).order_by(Letter.id)
            sent = list(session.scalars(wanted))
    assert sent == ["Your approval ends in 60 days", "Your approval ends in 14 days", "Your approval ends in 1 day"]
