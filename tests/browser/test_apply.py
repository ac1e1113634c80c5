"""From the form to the first story in a real Chromium: apply, open the letter, prove the site, be asked, answer, be approved,
accept the terms; then take stories (taking.py) until a suspension. The pages of the form are asked for what axe finds, and for
what runs off the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from syndicator.carriers import open_carrier
from syndicator.delivery.post_office import PostOffice
from syndicator.domain.accounts import MemberRole, StaffRole, User
from syndicator.domain.publishers import PublisherDomain
from syndicator.house import House
from syndicator.operations import accounts, members
from syndicator.operations.prove_domains import check_due
from syndicator.outbound import Outbound, open_outbound
from syndicator.proof import FILE, Prover
from tests.applicants import PDF, Applicants
from tests.browser.conftest import Served
from tests.browser.looking import DESKTOP, PHONE, bring_axe, faults
from tests.browser.taking import take_stories
from tests.name_server import NameServer
from tests.receiver import Receiver, Reply
from tests.web.people import PASSWORD


def looked_at(page: Page, name: str) -> None:
    """Hold the page to what every page is held to."""
    assert not faults(page), name
    before = page.viewport_size
    for screen in (DESKTOP, PHONE):
        page.set_viewport_size(screen)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    if before:
        page.set_viewport_size(before)


def newest_letter(house: House) -> str:
    """The text of the newest letter in the outbox folder, those still owed put there first."""
    PostOffice(house, open_carrier(house.config)).send_owed()
    newest = max((house.config.data_dir / "outbox").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    part = message_from_bytes(newest.read_bytes(), policy=policy.default).get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return text


@pytest.fixture
def rita(served: Served) -> User:
    """A reviewer at the newsroom."""
    house = served.newsroom.house
    with house.sessions.begin() as session:
        user = accounts.user_called(session, "rita@newsroom.example", at=house.clock(), name="Rita")
        user.staff_role = StaffRole.LICENSING
        accounts.set_password(session, user, PASSWORD, actor="test", at=house.clock())
        return user


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


def come_in(page: Page, served: Served, email: str) -> None:
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: not url.endswith("/sign-in"))


def prove(house: House, names: NameServer) -> None:
    """Let the job look for the proof: at a site on loopback that holds the file, as its owner has put it there."""
    with house.sessions() as session:
        token = session.scalars(select(PublisherDomain.proof_token).where(PublisherDomain.domain == "courier.example")).one()
    with Receiver(lambda request: Reply(200, (), token.encode()) if request.target == FILE else Reply(404)) as site:
        port = urlsplit(site.url).port
        outbound = Outbound(house.config.outbound, "test", resolve=lambda _host, _port: ["127.0.0.1"])
        assert check_due(house, Prover(outbound, names.resolver(), lambda domain: f"http://{domain}:{port}")) == 1
    assert open_outbound(house.config).rules == outbound.rules  # the same guarded door as in service


def test_a_publisher_comes_from_the_form_to_its_first_story_and_in_the_end_to_a_suspension(
    chromium: Browser, served: Served, rita: User, names: NameServer, tmp_path: Path
) -> None:
    house = served.newsroom.house
    report = tmp_path / "June report.pdf"
    report.write_bytes(PDF)
    lena, desk = (bring_axe(chromium.new_context(viewport=DESKTOP)).new_page() for _ in range(2))

    # The form: first with faults, then without.
    lena.goto(f"{served.url}/apply")
    looked_at(lena, "apply")
    house.clock.advance(timedelta(minutes=3))  # type: ignore[attr-defined]
    lena.get_by_label("Sites on which").fill("not a site")
    lena.get_by_role("button", name="Save, and send").click()
    looked_at(lena, "apply-faults")
    lena.get_by_role("alert").get_by_role("link", name="Your e-mail address").click()
    lena.keyboard.type("lena@courier.example")
    lena.get_by_label("Organisation").fill("Courier Media")
    lena.get_by_label("Sites on which").fill("https://www.courier.example/")
    lena.get_by_label("“About” page").fill("courier.example/about")
    lena.get_by_role("button", name="Save, and send").click()
    lena.get_by_text("Look into your mailbox").wait_for()
    looked_at(lena, "asked")

    # The letter, from the outbox folder.
    link = re.search(r"https://wire\.example(/apply/confirm/\S+)", newest_letter(house))
    assert link
    lena.goto(served.url + link[1])
    looked_at(lena, "confirm")
    lena.get_by_role("button", name="Confirm, and go on").click()
    lena.wait_for_url("**/portal/application")
    looked_at(lena, "portal-draft")

    # The proof: asked for on the page, looked for by the job, shown when the page has refreshed by itself.
    lena.get_by_role("button", name="Check courier.example now").click()
    lena.get_by_text("We are looking for your proof").wait_for()
    looked_at(lena, "portal-checking")
    prove(house, names)
    lena.get_by_text("Please leave the proof in its place").wait_for()

    # Figures with a file, and the rest of the form.
    for label, words in {"Unique visitors a month": "120,000", "From": "2026-04", "To": "2026-06", "Source": "Analytics"}.items():
        lena.get_by_label(label, exact=True).fill(words)
    lena.get_by_label("Report or screenshot").set_input_files(report)
    lena.get_by_role("button", name="Add the figures").click()
    lena.get_by_text("The figures are added.").wait_for()
    lena.get_by_label("Corrections page").fill("https://courier.example/corrections")
    lena.get_by_label("Editorial contact", exact=True).fill("Lena Ortiz")
    lena.get_by_label("E-mail address of the editorial contact").fill("desk@courier.example")
    lena.get_by_label("Where and how will the stories appear?").fill("On the national page.")
    lena.get_by_label("No, only we publish them").check()
    lena.get_by_role("button", name="Send the application").click()
    looked_at(lena, "portal-faults")
    lena.get_by_label("No", exact=True).check()
    lena.get_by_role("button", name="Send the application").click()
    lena.get_by_text("Your application is sent.").wait_for()
    looked_at(lena, "portal-sent")

    # The reviewer asks for more, and the applicant answers in place.
    come_in(desk, served, rita.email)
    desk.get_by_role("link", name="Publishers", exact=True).click()
    looked_at(desk, "desk-queue")
    desk.get_by_role("link", name="Courier Media").click()
    looked_at(desk, "desk-application")
    desk.locator("summary", has_text="Ask for more").click()
    desk.locator(".verb.ask").get_by_label("Question").fill("Whose figure is this?")
    desk.get_by_role("button", name="Send the question").click()
    desk.get_by_text("Asked.", exact=False).first.wait_for()
    assert "Whose figure is this?" in newest_letter(house)
    lena.reload()
    looked_at(lena, "portal-asked")
    lena.get_by_label("Your answer").fill("Ours, by Analytics.")
    lena.get_by_role("button", name="Send the answer").click()
    lena.get_by_text("Your application is sent.").wait_for()

    # The decision: everything stands on the page, the letter is written, a reason is all that is missing.
    desk.reload()
    desk.get_by_text("Ours, by Analytics.").first.wait_for()
    desk.locator(".verb.approve").get_by_label("Reason").fill("A large audience, well shown.")
    desk.get_by_role("button", name="Approve Courier Media").click()
    desk.get_by_text("Approved. The letter is on its way.").wait_for()
    looked_at(desk, "desk-approved")
    letter = newest_letter(house)
    assert "A large audience, well shown." in letter
    assert "/portal/terms" in letter

    # The terms.
    lena.goto(f"{served.url}/portal/")
    lena.get_by_role("link", name="Read and accept the terms").click()
    looked_at(lena, "portal-terms")
    lena.get_by_label("Your name and position").fill("Lena Ortiz, editor")
    lena.get_by_label("I may do this for the publisher").check()
    lena.get_by_role("button", name="Accept for Courier Media").click()
    lena.get_by_text("The terms are accepted").wait_for()

    with Receiver() as receiver:
        take_stories(lena, desk, served, receiver, "Courier Media")
    for page in (lena, desk):
        page.context.close()


def test_the_other_pages_of_the_desk_and_portal(chromium: Browser, served: Served, rita: User) -> None:
    house = served.newsroom.house
    applicants = Applicants(house)
    small = applicants.approved(organisation="Small Gazette", visitors=110_000)
    applicants.submitted(organisation="Smаll Gazette", visitors=90_000, proven=False)  # a Cyrillic а
    with house.sessions.begin() as session:
        member = accounts.user_called(session, "chief@else.example", at=house.clock())
        accounts.set_password(session, member, PASSWORD, actor="test", at=house.clock())
        members.add_member(session, small, member, MemberRole.OWNER, actor="test", at=house.clock())
    house.clock.advance(timedelta(days=320))  # type: ignore[attr-defined]
    with chromium.new_context(viewport=PHONE, color_scheme="dark") as context:
        page = bring_axe(context).new_page()
        come_in(page, served, rita.email)
        page.goto(f"{served.url}/desk/applications")
        page.get_by_role("link", name="Smаll Gazette").click()
        looked_at(page, "desk-warnings-dark")
        for path in (
            "/desk/applications?state=approved",
            "/desk/applications?owner=nobody@x.example",
            "/desk/what-if",
            "/desk/what-if?minimum=500000",
            *(f"/desk/publishers/{small.public_id}/{move}" for move in ("suspend", "reinstate", "revoke")),
        ):
            page.goto(served.url + path)
            looked_at(page, f"{path.strip('/').replace('/', '-').partition('?')[0]}-dark")
    with chromium.new_context(viewport=DESKTOP) as context:
        page = bring_axe(context).new_page()
        come_in(page, served, "chief@else.example")
        page.goto(f"{served.url}/portal/application")
        looked_at(page, "portal-renewal-offer")
        page.get_by_role("button", name="Renew the approval").click()
        page.get_by_text("what you told us last time", exact=False).first.wait_for()
        looked_at(page, "portal-renewal")
        page.get_by_role("button", name="Nothing else has changed: send the renewal").click()
        page.get_by_text("Your application is sent.").wait_for()
