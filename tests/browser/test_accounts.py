"""Pages behind a sign-in in a real Chromium: a whole way in, accessible, whole on a phone."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from syndicator.domain.accounts import MemberRole, StaffRole
from syndicator.operations import accounts, members
from syndicator.operations.publishers import add_publisher
from tests.browser.conftest import Served
from tests.browser.looking import bring_axe, look_all_over
from tests.web.letterbox import Letterbox
from tests.web.people import PASSWORD


@pytest.fixture
def peopled(served: Served) -> Served:
    """One person of staff who is an owner at a publisher too, with a colleague and an invitation on each side."""
    house = served.newsroom.house
    at = house.clock()
    with house.sessions.begin() as session:
        publisher = add_publisher(
            session, name="Courier", email="wire@courier.example", domains=["courier.example"], actor="test", at=at
        )
        person = accounts.user_called(session, "lena@desk.example", at=at, name="Lena Ortiz")
        person.staff_role = StaffRole.ADMIN
        accounts.set_password(session, person, PASSWORD, actor="test", at=at)
        other = accounts.user_called(session, "noa@courier.example", at=at, name="Noa Reed")
        other.staff_role = StaffRole.EDITOR
        members.add_member(session, publisher, person, MemberRole.OWNER, actor="test", at=at)
        members.add_member(session, publisher, other, MemberRole.TECHNICIAN, actor="test", at=at)
        members.invite(
            session,
            house,
            publisher,
            email="new@courier.example",
            role=MemberRole.EDITOR,
            inviter="Lena",
            actor="test",
            at=at,
        )
    return served


def come_in(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("E-mail address").fill("lena@desk.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/desk/")


def test_no_page_behind_the_sign_in_has_a_fault_that_axe_finds_or_runs_off_the_screen(chromium: Browser, peopled: Served) -> None:
    with chromium.new_context() as context:
        page = bring_axe(context).new_page()
        for path in ("/sign-in", "/sign-in/link", "/reset", Letterbox(peopled.newsroom.house).link()):
            _examine(page, peopled.url + path)
        come_in(page, peopled)
        page.goto(f"{peopled.url}/account/second-factor")
        page.get_by_role("button", name="Set it up").click()
        for path in ("/desk/", "/desk/letters", "/desk/users", "/portal/", "/portal/members"):
            _examine(page, peopled.url + path)
            if link := page.locator("main table a").first.get_attribute("href") if page.locator("main table a").count() else "":
                _examine(page, peopled.url + link)
        for path in ("/account/", "/account/password", "/account/second-factor", "/account/prove", "/desk/nowhere"):
            _examine(page, peopled.url + path)


def test_the_keyboard_alone_signs_in_and_out_without_a_complaint_of_the_policy(chromium: Browser, peopled: Served) -> None:
    complaints: list[str] = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{peopled.url}/portal/members")
        assert urlsplit(page.url).path == "/sign-in"
        page.get_by_label("E-mail address").focus()
        page.keyboard.type("lena@desk.example")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{peopled.url}/portal/members")
        assert page.get_by_role("heading", level=1).inner_text() == "Members"
        page.get_by_role("button", name="Sign out").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{peopled.url}/sign-in")
        page.goto(f"{peopled.url}/portal/members")
        assert urlsplit(page.url).path == "/sign-in"
    assert complaints == []


def _examine(page: Page, address: str) -> None:
    page.goto(address)
    look_all_over(page, address)
