"""Applying and deciding as people do it, page by page, and as those do who should not (reliability S8, S9, S10, S16)."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from syndicator.domain.accounts import MemberRole, StaffRole, User
from syndicator.domain.answers import Answers
from syndicator.domain.applications import Application, ApplicationRequest, ApplicationState, AudienceEvidence
from syndicator.domain.publishers import EligibilityDecision, Publisher, PublisherDomain, PublisherState
from syndicator.domain.terms import TermsAcceptance
from syndicator.house import House
from tests.applicants import ANSWERS, PDF, Applicants
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.letterbox import Letterbox
from tests.web.people import Browser, People, shown

EMAIL = "lena@courier.example"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough for pages; what differs is tested with the operations."""
    return sqlite_url


@dataclass(slots=True)
class Stage:
    house: House
    people: People
    applicants: Applicants
    letterbox: Letterbox
    clock: HandClock

    def fill_in(self, browser: Browser, *, wait: float = 30, **fields: str) -> Any:
        """Open /apply, wait, and send the form."""
        opened = re.search(r'name="opened" type="hidden" value="([^"]+)"', browser.get("/apply").text)
        assert opened
        self.clock.advance(timedelta(seconds=wait))
        form = {**ANSWERS, "email": EMAIL, "homepage": "", "opened": opened[1], **fields}
        return browser.post("/apply", form, page="/apply")

    def reviewer(self) -> Browser:
        return self.people.signed_in(self.people.user("rita@newsroom.example", staff=StaffRole.LICENSING))

    def owner_of(self, application: Application) -> Browser:
        with self.house.sessions() as session:
            user = session.scalars(select(User).where(User.email == application.applicant)).one()
        return self.people.signed_in(user)

    def counted(self, kind: type) -> int:
        with self.house.sessions() as session:
            return session.scalar(select(func.count()).select_from(kind)) or 0


@pytest.fixture
def stage(app: Flask, house: House, clock: HandClock, desk: Desk) -> Stage:
    return Stage(house, People(app, house), Applicants(house), Letterbox(house), clock)


def version_of(page: Any) -> str:
    found = re.search(r'name="version" value="(\d+)"', page.text)
    assert found
    return found[1]


def decided(browser: Browser, application: Application, verb: str, **fields: str) -> Any:
    path = f"/desk/applications/{application.public_id}"
    form = {"version": version_of(browser.get(path)), **{f"{verb}-{name}": value for name, value in fields.items()}}
    return browser.post(f"{path}/{verb}", form, page=path)


def test_from_the_form_to_the_terms(stage: Stage) -> None:
    browser = stage.people.browser()
    answer = stage.fill_in(browser)
    assert (answer.status_code, "Look into your mailbox" in answer.text) == (200, True)
    link = stage.letterbox.link()
    assert f"confirms that {EMAIL} is your address" in browser.get(link).text
    assert stage.counted(Application) == 0  # looking changes nothing
    answer = browser.post(link, page=link)
    assert (answer.status_code, answer.location) == (303, "/portal/application")

    page = browser.get("/portal/application")
    assert "Nobody has seen this yet" in page.text
    assert "_syndicator-challenge" in page.text
    report = (io.BytesIO(PDF), "../../June report.pdf")
    figure = {"site": "courier.example", "unique_visitors": "120,000", "first_month": "2026-04", "last_month": "2026-06"}
    more = {"source": "Analytics", "page_views": "", "link": "", "file": report}
    answer = browser.post("/portal/application/figures", {**figure, **more}, page="/portal/application")  # type: ignore[dict-item]
    assert answer.status_code == 303
    file = re.search(r'href="(/portal/application/figures/evi_\w+/file)"', browser.get("/portal/application").text)
    assert file
    download = browser.get(file[1])
    assert download.data == PDF
    assert download.headers["Content-Disposition"] == 'attachment; filename="June-report.pdf"'
    assert download.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert download.headers["X-Content-Type-Options"] == "nosniff"

    assert browser.post("/portal/application/sites/courier.example/check", page="/portal/application").status_code == 303
    page = browser.get("/portal/application")
    assert "being checked" in page.text
    assert "data-watch" in page.text
    with stage.house.sessions.begin() as session:
        application = session.scalars(select(Application)).one()
        stage.applicants.prove(session, application.publisher_id)
    assert browser.post("/portal/application", {**ANSWERS, "do": "send"}, page="/portal/application").status_code == 303

    rita = stage.reviewer()
    queue = rita.get("/desk/applications")
    assert "Courier Media" in queue.text
    assert "9 of 9" in queue.text
    path = f"/desk/applications/{application.public_id}"
    assert rita.get(f"{path}/figures/{file[1].split('/')[4]}/file").data == PDF
    decided(rita, application, "ask", reason="Whose figure is this?", letter="Hello.\n\n[reason]")
    assert "Whose figure is this?" in stage.letterbox.letters()[-1].text
    assert "Whose figure is this?" in browser.get("/portal/application").text
    answer = browser.post("/portal/application", {**ANSWERS, "do": "send"}, page="/portal/application")
    assert "Say what you changed or added." in answer.text
    browser.post("/portal/application", {**ANSWERS, "do": "send", "reply": "Ours."}, page="/portal/application")
    assert "Ours." in rita.get(path).text
    decided(rita, application, "approve", days="200", reason="A large audience.", letter="Welcome.\n\n[reason]")
    assert "Welcome.\n\nA large audience." in stage.letterbox.letters()[-1].text

    assert "Approved, terms open" in browser.get("/portal/").text
    page = browser.get("/portal/terms")
    form = {"version": "2026-01", "signer": "Lena Ortiz, editor", "agree": "y"}
    assert browser.post("/portal/terms", {**form, "agree": ""}, page="/portal/terms").status_code in {303, 422}
    assert browser.post("/portal/terms", form, page="/portal/terms").status_code == 303
    with stage.house.sessions() as session:
        kept = session.scalars(select(TermsAcceptance)).all()[-1]
        assert (kept.accepted_by, kept.signer, kept.address) == (EMAIL, "Lena Ortiz, editor", "192.0.2.1")
        publisher = session.scalars(select(Publisher)).one()
        assert publisher.approved_until == kept.accepted_at + timedelta(days=200)
    assert "You may take stories" in browser.get("/portal/").text


def test_the_overview_says_in_time_what_ends_and_what_is_asked_again(stage: Stage) -> None:
    publisher = stage.applicants.approved()
    with stage.house.sessions.begin() as session:
        mine = session.get_one(Publisher, publisher.id)
        mine.terms_version, mine.terms_until = "2026-01", None
    member = stage.people.member(publisher, MemberRole.EDITOR, "ed@courier.example")
    overview = stage.people.signed_in(member).get("/portal/").text
    assert "Your approval ends soon" not in overview
    assert "New terms" not in overview
    stage.clock.advance(timedelta(days=310))
    with stage.house.sessions.begin() as session:
        mine = session.get_one(Publisher, publisher.id)
        mine.terms_version, mine.terms_until = "2025-01", stage.clock.now + timedelta(days=9)
    overview = stage.people.signed_in(member).get("/portal/").text
    assert "Your approval ends soon" in overview
    assert "New terms" in overview


def test_without_the_tick_the_terms_are_not_accepted(stage: Stage) -> None:
    publisher = stage.applicants.approved()
    browser = stage.people.signed_in(stage.people.member(publisher, MemberRole.OWNER, "chief@courier.example"))
    answer = browser.post("/portal/terms", {"version": "2026-01", "signer": "Chief"}, page="/portal/terms")
    assert answer.status_code == 422
    assert "Please tick this" in answer.text
    answer = browser.post("/portal/terms", {"version": "2026-01"}, page="/portal/terms")
    assert "Please tick this" in answer.text
    assert "Say who signs" in answer.text
    assert stage.counted(TermsAcceptance) == 0


def test_the_answer_is_the_same_whether_somebody_has_an_account(stage: Stage) -> None:
    stage.people.user(EMAIL, staff=StaffRole.ADMIN)
    answers = [
        stage.fill_in(stage.people.browser(f"192.0.2.{n}"), email=email) for n, email in ((8, EMAIL), (9, "xx@courier.example"))
    ]
    known, unknown = (
        answer.text.replace(email, "E") for answer, email in zip(answers, (EMAIL, "xx@courier.example"), strict=True)
    )
    assert known == unknown
    assert {answer.status_code for answer in answers} == {200}


def test_the_link_of_a_person_with_a_second_factor_still_asks_for_the_code(stage: Stage) -> None:
    user = stage.people.user(EMAIL, staff=StaffRole.ADMIN)
    with stage.house.sessions.begin() as session:
        session.get_one(User, user.id).totp_since = stage.clock.now
    browser = stage.people.browser()
    stage.fill_in(browser)
    link = stage.letterbox.link()
    assert browser.post(link, page=link).location == "/sign-in/code?next=/portal/application"
    assert browser.get("/desk/").location.startswith("/sign-in")


@pytest.mark.parametrize(
    ("fields", "wait", "words"),
    [
        ({"homepage": "https://spam.example"}, 30, "This field must stay empty"),
        ({}, 1, "quicker than we expect"),
        ({}, 3 * 86_400, "open for too long"),
        ({"opened": "forged"}, 30, "open for too long"),
        ({"email": "nobody", "organisation": " "}, 30, "That is no e-mail address."),
        ({"sites": "not a site"}, 30, "is no site"),
        ({"newsletter_reach": "many"}, 30, "Give a whole number"),
        ({"about_url": "javascript:fired()"}, 30, "Give a whole address"),
        ({"passes_on": "perhaps"}, 30, "passes_on"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_kept(
    stage: Stage, fields: dict[str, str], wait: float, words: str
) -> None:
    answer = stage.fill_in(stage.people.browser(), wait=wait, **fields)
    assert answer.status_code == 422
    assert words in answer.text or words in fields
    page = shown(answer)
    assert page.xpath('//*[@role="alert"]//a[starts-with(@href, "#")]')
    for link in page.xpath('//*[@role="alert"]//a/@href'):
        assert page.xpath(f'//*[@id="{link[1:]}"]'), link
    assert stage.counted(ApplicationRequest) == 0
    assert page.xpath('//textarea[@id="use"]')[0].text.strip() == ANSWERS["use"]  # what was typed is still there


def test_a_flood_from_one_place_is_held_off(stage: Stage) -> None:
    browser = stage.people.browser()
    codes = [stage.fill_in(browser, email=f"{n}@courier.example", wait=5).status_code for n in range(12)]
    assert codes == [200] * 10 + [429] * 2


def test_no_field_that_was_not_asked_for_is_taken(stage: Stage) -> None:
    application = stage.applicants.draft()
    browser = stage.owner_of(application)
    tables = (Application, Publisher, PublisherDomain, EligibilityDecision, AudienceEvidence, TermsAcceptance)
    columns = {column.key for each in tables for column in each.__table__.columns} - set(Answers.model_fields)
    foreign = dict.fromkeys(columns, "approved") | {"approved_until": "2099-01-01", "publisher_id": "1", "version": "9"}
    browser.post("/portal/application", {**foreign, **ANSWERS, "do": "save"}, page="/portal/application")
    figure = {"unique_visitors": "5", "first_month": "2026-04", "last_month": "2026-06", "source": "Analytics", "link": ""}
    figure |= {"site": "courier.example", "page_views": ""}
    answer = browser.post("/portal/application/figures", {**foreign, **figure}, page="/portal/application")
    assert answer.status_code == 303
    for path in ("sites/courier.example/check", "begin", "withdraw"):
        browser.post(f"/portal/application/{path}", foreign, page="/account/")
    stored = stage.applicants.stored(application)
    assert (stored.state, stored.owner, stored.renewal) == (ApplicationState.WITHDRAWN, "", False)
    assert set(stored.answers) == set(Answers.model_fields)
    with stage.house.sessions() as session:
        publisher = session.get_one(Publisher, stored.publisher_id)
        assert (publisher.state, publisher.approved_until, publisher.terms_version) == (PublisherState.APPLICANT, None, "")
        assert publisher.domains[0].verified_at is None
        [kept] = session.scalars(select(AudienceEvidence))
        assert (kept.sha256, kept.file_name, kept.given_by, kept.given_at) == ("", "", application.applicant, stage.clock.now)
    assert stage.counted(EligibilityDecision) == stage.counted(TermsAcceptance) == 0


def test_what_an_applicant_writes_stays_words(stage: Stage) -> None:
    evil = "<script>fired()</script>\"'><img src=x onerror=fired()>"
    application = stage.applicants.submitted(use=evil, organisation=evil, remarks=evil, referrer=evil, editorial_name=evil)
    for page in (
        stage.reviewer().get(f"/desk/applications/{application.public_id}"),
        stage.reviewer().get("/desk/applications"),
        stage.owner_of(application).get("/portal/application"),
    ):
        assert page.status_code == 200
        assert "<script>fired" not in page.text
        assert "<img src=x" not in page.text


def test_a_figure_that_does_not_fit_is_said_at_its_field(stage: Stage) -> None:
    application = stage.applicants.draft()
    form = {
        "site": "other.example",
        "unique_visitors": "lots",
        "first_month": "x",
        "last_month": "2027-01",
        "source": "",
        "link": "ftp://x",
    }
    answer = stage.owner_of(application).post("/portal/application/figures", form, page="/portal/application")
    assert answer.status_code == 422
    assert "Give a whole number" in answer.text
    form |= {"unique_visitors": "5", "link": "", "file": (io.BytesIO(b"<html>"), "x.pdf")}  # type: ignore[dict-item]
    answer = stage.owner_of(application).post("/portal/application/figures", form, page="/portal/application")
    assert [
        words for words in ("Choose one of your sites", "Give a month", "This is not", "Say where") if words not in answer.text
    ] == []


def test_a_decision_on_an_old_page_is_refused_and_what_was_written_is_not_lost(stage: Stage) -> None:
    application = stage.applicants.submitted()
    rita = stage.reviewer()
    path = f"/desk/applications/{application.public_id}"
    old = version_of(rita.get(path))
    rita.post(f"{path}/take", {"version": old}, page=path)
    words = {"approve-reason": "A careful reason.", "approve-letter": "A long letter.", "approve-days": "30", "version": old}
    answer = rita.post(f"{path}/approve", words, page=path)
    assert answer.status_code == 422
    assert "Something has changed since this page was made" in answer.text
    assert "A careful reason." in answer.text
    assert "A long letter." in answer.text
    assert stage.applicants.stored(application).state is ApplicationState.IN_REVIEW


@pytest.mark.parametrize("days", ["0", "-1", "4000", "many"])
def test_an_impossible_term_is_refused(stage: Stage, days: str) -> None:
    application = stage.applicants.submitted()
    answer = decided(stage.reviewer(), application, "approve", days=days, reason="x", letter="y")
    assert (answer.status_code, "1 to 3660" in answer.text) == (422, True)


def test_a_question_is_offered_with_what_is_still_open_and_a_no_is_read_by_the_applicant(stage: Stage) -> None:
    application = stage.applicants.submitted(proven=False, corrections_url="")
    rita, owner = stage.reviewer(), stage.owner_of(application)
    page = shown(rita.get(f"/desk/applications/{application.public_id}"))
    question = page.xpath('//textarea[@name="ask-reason"]')[0].text
    assert "Prove that the sites are yours" in question
    assert "Give the page that says how you correct mistakes." in question
    waiting = stage.applicants.submitted(organisation="Evening News")
    decided(rita, application, "decline", reason="Nothing is proven.", letter="Sorry.\n\n[reason]")
    assert f"/desk/applications/{waiting.public_id}" in rita.get(f"/desk/applications/{application.public_id}").text
    assert "Nothing is proven." in owner.get("/portal/application").text
    owner.post("/portal/application/begin", page="/portal/application")
    assert "Nobody has seen this yet" in owner.get("/portal/application").text


def test_nobody_vouches_for_a_site_without_saying_how_they_know(stage: Stage) -> None:
    application = stage.applicants.submitted(proven=False)
    rita, path = stage.reviewer(), f"/desk/applications/{application.public_id}"
    [site] = application.answers["sites"]
    rita.post(f"{path}/sites/{site}/vouch", {"reason": "  "}, page=path)
    assert "Say how you know" in rita.get(path).text
    rita.post(f"{path}/sites/{site}/vouch", {"reason": "Called their switchboard."}, page=path)
    assert "counts as proven, by your word" in rita.get(path).text


def test_the_page_says_who_cannot_approve_and_why(stage: Stage) -> None:
    application = stage.applicants.submitted(sites="newsroom.example")
    page = stage.reviewer().get(f"/desk/applications/{application.public_id}")
    assert "Somebody else has to approve it" in page.text
    assert "approve-reason" not in page.text
    assert "decline-reason" in page.text


def test_a_change_that_comes_after_the_decision_is_told_and_not_an_error(stage: Stage) -> None:
    application = stage.applicants.draft()
    browser = stage.owner_of(application)
    page = "/portal/application"
    with stage.house.sessions.begin() as session:
        stored = session.get_one(Application, application.id)
        stored.state, stored.decided_at = ApplicationState.DECLINED, stage.clock.now
    figure = {"site": application.answers["sites"][0], "unique_visitors": "5", "first_month": "2026-04"}
    figure |= {"last_month": "2026-06", "source": "Analytics"}
    for path, form in (("/portal/application", {**ANSWERS, "do": "save"}), ("/portal/application/figures", figure)):
        assert browser.post(path, form, page="/account/").status_code == 303
        assert "cannot be changed now" in browser.get(page).text


def test_a_reviewer_who_is_the_applicant_is_refused_on_the_page_too(stage: Stage) -> None:
    application = stage.applicants.submitted()
    stage.people.user(application.applicant, staff=StaffRole.LICENSING)
    answer = decided(stage.owner_of(application), application, "approve", days="9", reason="x", letter="y")
    assert "Somebody else has to decide" in answer.text
    path = f"/desk/applications/{application.public_id}"
    browser = stage.owner_of(application)
    browser.post(f"{path}/sites/{application.answers['sites'][0]}/vouch", {"reason": "mine"}, page=path)
    assert "Somebody else has to decide" in browser.get(path).text
    assert stage.applicants.stored(application).state is ApplicationState.SUBMITTED


def test_suspending_asks_for_a_reason_and_takes_effect_at_once(stage: Stage) -> None:
    publisher = stage.applicants.approved()
    rita = stage.reviewer()
    path = f"/desk/publishers/{publisher.public_id}/suspend"
    assert "Suspend Courier" in rita.get(path).text
    assert rita.post(path, {"reason": " ", "letter": "x"}, page=path).status_code == 422
    assert rita.post(path, {"reason": "notices were cut", "letter": "Dear all,\n[reason]"}, page=path).status_code == 303
    with stage.house.sessions() as session:
        assert session.get_one(Publisher, publisher.id).state is PublisherState.SUSPENDED
    assert "notices were cut" in stage.letterbox.letters()[-1].text
    assert "Not now" in rita.get(path).text


def test_what_if_shows_who_would_fall_out(stage: Stage) -> None:
    stage.applicants.approved(visitors=150_000)
    rita = stage.reviewer()
    assert "Nobody would fall out" in rita.get("/desk/what-if?minimum=150,000").text
    assert "1 of 1 approved would no longer pass at 200,000" in rita.get("/desk/what-if?minimum=200 000").text
    assert rita.get("/desk/what-if?minimum=-5").status_code == 422


def test_the_queue_filters_by_state_and_owner(stage: Stage) -> None:
    first, second = stage.applicants.submitted(organisation="First"), stage.applicants.submitted(organisation="Second")
    stage.applicants.draft(organisation="Third")
    rita = stage.reviewer()
    path = f"/desk/applications/{first.public_id}"
    rita.post(f"{path}/take", {"version": version_of(rita.get(path))}, page=path)

    def named(query: str) -> list[str]:
        return [link.text for link in shown(rita.get(f"/desk/applications{query}")).xpath("//tbody//a")]

    assert named("") == ["First", "Second"]
    assert named("?state=submitted") == ["Second"]
    assert named("?owner=rita@newsroom.example") == ["First"]
    assert named("?owner=nobody") == ["Second"]
    assert named("?state=approved") == []
    assert named(f"?after={first.id}") == ["Second"]
    assert second.id
