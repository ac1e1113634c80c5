"""Applying: nothing counts before the link is used, drafts may be incomplete, what is sent is whole, steps follow the table."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest
from sqlalchemy import event, func, select

from syndicator.domain.accounts import Membership, User
from syndicator.domain.answers import read_answers
from syndicator.domain.applications import (
    NEXT_STATES,
    Application,
    ApplicationRequest,
    ApplicationState,
    AudienceEvidence,
    PublisherContact,
)
from syndicator.domain.audit import AuditEntry
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.errors import Conflict, InvalidForm, NotFound, TooManyTries
from syndicator.house import House
from syndicator.operations import apply, audit, evidence
from syndicator.operations.evidence import FigureGiven, Upload, read_file
from syndicator.operations.sign_in import browser_of
from tests.applicants import ANSWERS, Applicants
from tests.clocks import HandClock

BROWSER = browser_of("192.0.2.7", "Test")


@pytest.fixture
def applicants(house: House) -> Applicants:
    return Applicants(house)


def ask(house: House, email: str = "lena@courier.example", **answers: str) -> None:
    with house.sessions.begin() as session:
        apply.request_application(session, house, email, read_answers(ANSWERS | answers), BROWSER, at=house.clock())


def counted(house: House, kind: type) -> int:
    with house.sessions() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def test_nothing_exists_before_the_link_is_used_and_it_is_used_once(house: House, applicants: Applicants) -> None:
    ask(house)
    assert [counted(house, each) for each in (User, Publisher, Application)] == [0, 0, 0]
    with house.sessions.begin() as session:
        token = applicants.token(session, "lena@courier.example")
        user, application = apply.confirm(session, token, at=house.clock())
    assert user.email_verified_at == house.clock()
    assert application.state is ApplicationState.DRAFT
    with house.sessions.begin() as session, pytest.raises(NotFound):
        apply.confirm(session, token, at=house.clock())
    assert [counted(house, each) for each in (User, Publisher, Application, Membership, PublisherContact)] == [1] * 5


def test_the_letter_is_the_same_whether_its_reader_has_an_account(house: House, applicants: Applicants) -> None:
    known = applicants.draft().applicant
    ask(house, known)
    ask(house, "stranger@other.example")
    with house.sessions() as session:
        letters = session.scalars(select(Letter).order_by(Letter.id)).all()[-2:]
    assert len({letter.text for letter in letters}) == 1


def test_floods_from_one_place_are_refused_and_a_flooded_mailbox_is_left_alone(house: House, clock: HandClock) -> None:
    for number in range(apply.FROM_ONE_PLACE_PER_HOUR):
        ask(house, "lena@courier.example" if number < 5 else f"{number}@courier.example")
    with house.sessions() as session:
        to_lena = session.scalars(select(Letter).where(Letter.recipient == "lena@courier.example")).all()
    assert len(to_lena) == apply.LETTERS_TO_ONE_PER_HOUR
    with pytest.raises(TooManyTries):
        ask(house)
    clock.advance(timedelta(hours=1))
    ask(house)


def test_a_mailbox_is_left_alone_however_its_address_is_spelled(house: House) -> None:
    for email in ("lena@courier.example", "Lena@courier.example", "LENA@courier.example", "lena@Courier.example"):
        ask(house, email)
    assert counted(house, Letter) == apply.LETTERS_TO_ONE_PER_HOUR


def test_who_is_known_and_who_is_not_cost_the_same_work(house: House, applicants: Applicants) -> None:
    """Reliability S16: the same statements run, so that no clock tells them apart either."""
    known = applicants.draft().applicant
    work: list[list[str]] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        work[-1].append(statement)

    event.listen(house.engine, "before_cursor_execute", note)
    for email in (known, "stranger@other.example"):
        work.append([])
        ask(house, email)
    event.remove(house.engine, "before_cursor_execute", note)
    assert work[0]
    assert work[0] == work[1]


def test_a_name_and_an_address_are_needed_and_each_is_blamed(house: House) -> None:
    with pytest.raises(InvalidForm) as refused:
        ask(house, "nobody", organisation="")
    assert set(refused.value.faults) == {"email", "organisation"}


def test_a_draft_may_be_incomplete_and_what_is_sent_may_not(house: House, applicants: Applicants) -> None:
    draft = applicants.draft(sites="", use="", passes_on="")
    with house.sessions.begin() as session, pytest.raises(InvalidForm) as refused:
        apply.submit(session, house, apply.changeable_application(session, draft.publisher_id), actor="lena", at=house.clock())
    assert set(refused.value.faults) == {"sites", "use", "passes_on"}


def test_each_step_of_an_applicant_is_confirmed_by_letter(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        mine.state = ApplicationState.MORE_INFO
        with pytest.raises(InvalidForm, match="reply"):
            apply.submit(session, house, mine, actor=mine.applicant, reply="x" * 4001, at=house.clock())
        apply.submit(session, house, mine, actor=mine.applicant, reply="Ours.", at=house.clock())
        apply.withdraw(session, house, mine.publisher_id, actor=mine.applicant, at=house.clock())
    with house.sessions() as session:
        told = session.scalars(select(Letter.subject).where(Letter.about == application.public_id).order_by(Letter.id)).all()
        steps = session.execute(select(AuditEntry.action, AuditEntry.details).where(AuditEntry.subject == application.public_id))
        before = {action: details.get("before") for action, details in steps}
    name = application.publisher.name
    assert told == [
        f"We have your application: {name}",
        f"We have your answer: {name}",
        f"Your application is withdrawn: {name}",
    ]
    assert (before["application.submit"], before["application.answer"], before["application.withdraw"]) == (
        "draft",
        "more_info",
        "in_review",
    )


def test_saving_keeps_sites_and_contacts_in_step_and_a_kept_site_keeps_its_proof(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    [first] = application.answers["sites"]
    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        answers = read_answers({**mine.answers, "sites": [first, "gazette.example"], "technical_email": "IT@courier.example"})
        apply.save(session, mine, answers, at=house.clock())
    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        old, new = mine.publisher.domains
        assert old.verified_at is not None
        assert (new.domain, new.verified_at) == ("gazette.example", None)
        assert new.proof_token.startswith("syn-site-")
        contacts = session.scalars(select(PublisherContact.email).order_by(PublisherContact.kind)).all()
        assert contacts[-1] == "it@courier.example"
        apply.save(session, mine, read_answers({**mine.answers, "sites": ["gazette.example"]}), at=house.clock())
        assert [domain.domain for domain in mine.publisher.domains] == ["gazette.example"]


@pytest.mark.parametrize("state", ApplicationState)
def test_an_applicant_changes_only_a_draft_or_what_was_asked(
    house: House, applicants: Applicants, state: ApplicationState
) -> None:
    application = applicants.draft()
    with house.sessions.begin() as session:
        session.get_one(Application, application.id).state = state
    with house.sessions.begin() as session:
        if state in {ApplicationState.DRAFT, ApplicationState.MORE_INFO}:
            assert apply.changeable_application(session, application.publisher_id).id == application.id
        else:
            with pytest.raises(Conflict):
                apply.changeable_application(session, application.publisher_id)
    with house.sessions.begin() as session:
        if ApplicationState.WITHDRAWN in NEXT_STATES[state]:
            apply.withdraw(session, house, application.publisher_id, actor="lena", at=house.clock())
        else:
            with pytest.raises(Conflict):
                apply.withdraw(session, house, application.publisher_id, actor="lena", at=house.clock())


def test_a_renewal_begins_with_the_old_answers_and_only_when_it_is_time(
    house: House, applicants: Applicants, clock: HandClock
) -> None:
    publisher = applicants.approved()
    with house.sessions.begin() as session, pytest.raises(Conflict):
        apply.begin_again(session, publisher.id, actor="lena", at=clock.now)
    clock.advance(timedelta(days=306))
    with house.sessions.begin() as session:
        renewal = apply.begin_again(session, publisher.id, actor="lena", at=clock.now)
        assert renewal.renewal
        assert renewal.answers["use"] == ANSWERS["use"]
    with house.sessions.begin() as session:
        assert session.get_one(Publisher, publisher.id).state is PublisherState.APPROVED
        with pytest.raises(Conflict):
            apply.begin_again(session, publisher.id, actor="lena", at=clock.now)


def test_evidence_is_stored_by_hash_for_its_owner_alone(house: House, applicants: Applicants) -> None:
    application = applicants.submitted()
    with house.sessions() as session:
        [figure] = evidence.figures_of(session, application.publisher_id)
        content = read_file(house.config.data_dir, figure)
        assert hashlib.sha256(content).hexdigest() == figure.sha256
        assert (figure.media_type, figure.file_name) == ("application/pdf", "report.pdf")
        file = evidence.file_of(house.config.data_dir, figure.sha256)
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(NotFound):
            evidence.get_figure(session, figure.public_id, publisher_id=application.publisher_id + 1)
    file.write_bytes(b"something else")
    with pytest.raises(NotFound):
        read_file(house.config.data_dir, figure)


def test_a_figure_must_fit_and_each_field_is_blamed(house: House, applicants: Applicants) -> None:
    application = applicants.draft()
    wrong = FigureGiven("other.example", date(2026, 8, 1), date(2026, 7, 1), 0, None, "", "")
    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        with pytest.raises(InvalidForm) as refused:
            evidence.add_figure(session, house.config, mine, wrong, Upload("a.pdf", b"MZ"), actor="lena", at=house.clock())
    assert set(refused.value.faults) == {"site", "last_month", "unique_visitors", "source", "file"}
    assert not (house.config.data_dir / "evidence").exists()


def test_figures_are_bounded(house: House, applicants: Applicants) -> None:
    application = applicants.draft()
    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        for _ in range(evidence.MOST_FIGURES):
            applicants.figure(session, mine, upload=False)
        with pytest.raises(Conflict, match="no room"):
            applicants.figure(session, mine, upload=False)


def test_what_an_earlier_decision_rests_on_stays(house: House, applicants: Applicants, clock: HandClock) -> None:
    publisher = applicants.approved()
    clock.advance(timedelta(days=310))
    with house.sessions.begin() as session:
        renewal = apply.begin_again(session, publisher.id, actor="lena", at=clock.now)
        [old] = session.scalars(select(AudienceEvidence))
        with pytest.raises(Conflict, match="earlier decision"):
            evidence.remove_figure(session, renewal, old.public_id, actor="lena", at=clock.now)
        applicants.figure(session, renewal)
        new = session.scalars(select(AudienceEvidence).order_by(AudienceEvidence.id.desc()).limit(1)).one()
        evidence.remove_figure(session, renewal, new.public_id, actor="lena", at=clock.now)
        assert session.scalars(select(AudienceEvidence)).all() == [old]


def test_a_file_whose_figure_is_taken_out_leaves_the_disk_unless_another_figure_has_it(
    house: House, applicants: Applicants
) -> None:
    application = applicants.draft()

    def take_out(figure: AudienceEvidence) -> None:
        with house.sessions.begin() as session:
            mine = session.get_one(Application, application.id)
            digest = evidence.remove_figure(session, mine, figure.public_id, actor="lena", at=house.clock())
        with house.sessions.begin() as session:
            evidence.forget_file(session, house.config.data_dir, digest, actor="lena", at=house.clock())

    with house.sessions.begin() as session:
        mine = session.get_one(Application, application.id)
        applicants.figure(session, mine)
        applicants.figure(session, mine)
        first, second = evidence.figures_of(session, mine.publisher_id)
    file = evidence.file_of(house.config.data_dir, first.sha256)
    take_out(first)
    assert file.exists()
    take_out(second)
    assert not file.exists()
    with house.sessions() as session:
        assert audit.verify(session) == []


def test_what_was_filled_in_is_forgotten_after_a_month(house: House, clock: HandClock) -> None:
    ask(house)
    clock.advance(timedelta(days=31))
    with house.sessions.begin() as session:
        assert apply.forget_what_was_filled_in(session, at=clock.now) == 1
    assert counted(house, ApplicationRequest) == 0
