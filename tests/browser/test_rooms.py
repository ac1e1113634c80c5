"""Portal and desk in a real Chromium: every page accessible and whole on a phone; a partner's whole way, to the last refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from syndicator.app import create_app
from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.house import House
from syndicator.operations import accounts, members
from syndicator.operations.decide import move_publisher
from syndicator.operations.render_feeds import render_stale
from syndicator.sending import create_engine
from tests.browser.conftest import Served
from tests.desk import Desk
from tests.receiver import Receiver
from tests.web.people import PASSWORD
from tests.web.people import Browser as Visitor
from tests.web.scene import Scene, furnish

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
COOKIE = "__Host-sign-in"


@pytest.fixture
def scene(served: Served) -> Scene:
    house = served.newsroom.house
    return furnish(create_app(house.config, house), house, served.lead)


def enter(context: BrowserContext, served: Served, visitor: Visitor) -> Page:
    """A page in which `visitor` is signed in."""
    context.add_cookies(
        [{"name": COOKIE, "value": visitor.cookie or "", "url": served.url.replace("http:", "https:"), "secure": True}]
    )
    return context.new_page()


@pytest.mark.parametrize("room", ["portal", "desk"])
def test_no_page_behind_the_sign_in_has_a_fault_that_axe_finds_or_runs_off_the_screen(
    chromium: Browser, served: Served, scene: Scene, room: str
) -> None:
    """Each page is loaded once, looked at on a light desktop, and made as small and dark as a phone where it stands."""
    visitor, pages = (scene.owner, scene.portal) if room == "portal" else (scene.admin, scene.desk)
    complaints: list[str] = []
    wrong: list[object] = []
    with chromium.new_context() as context:
        page = enter(context, served, visitor)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in pages.values():
            page.set_viewport_size(DESKTOP)
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            answer = page.goto(served.url + path)
            assert answer is not None
            assert answer.status == 200, path
            wrong += faults(page, path)
            page.set_viewport_size(PHONE)
            page.emulate_media(color_scheme="dark", reduced_motion="reduce")
            wrong += faults(page, f"{path} on a phone")
    assert not complaints
    assert not wrong


def faults(page: Page, where: str) -> list[object]:
    """What is wrong with the page as it stands on the screen now."""
    fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found: list[object] = [] if fits else [(where, "runs off the screen")]
    return found + [(where, each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"]]


@pytest.fixture
def partner(served: Served) -> Publisher:
    """An approved publisher that has yet to accept the terms, with one owner."""
    house = served.newsroom.house
    publisher = Desk(house).publisher()
    with house.sessions.begin() as session:
        ours = session.get_one(Publisher, publisher.id)
        ours.terms_version = ""
        person = accounts.user_called(session, "mara@courier.example", at=house.clock(), name="Mara")
        accounts.set_password(session, person, PASSWORD, actor="test", at=house.clock())
        members.add_member(session, ours, person, MemberRole.OWNER, actor="test", at=house.clock())
    return publisher


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


def send(house: House) -> None:
    """Render what is stale and send what is due, as the service does by itself."""
    render_stale(house)
    with closing(create_engine(house)) as engine:
        engine.drain_due()


def test_a_partner_goes_from_the_terms_to_its_first_story_a_correction_and_a_suspension(
    chromium: Browser, served: Served, partner: Publisher, receiver: Receiver
) -> None:
    house, newsroom = served.newsroom.house, served.newsroom
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{served.url}/sign-in")
        page.get_by_label("E-mail address").fill("mara@courier.example")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/portal/")

        page.get_by_role("link", name="Read and accept the terms").first.click()
        page.get_by_label("Your name and position").fill("Mara Holt, publisher")
        page.get_by_label("I may do this for the publisher").check()
        page.get_by_role("button", name="Accept for").click()
        page.get_by_text("The terms are accepted").wait_for()

        page.get_by_role("link", name="Make an API key").click()
        page.get_by_label("What will use it").fill("CMS import")
        page.get_by_role("button", name="Make the key").click()
        key = page.locator(".secret code").inner_text()
        asked = context.request.get(f"{served.url}/v1/stories", headers={"Authorization": f"Bearer {key}"})
        assert asked.ok

        page.goto(f"{served.url}/portal/feeds")
        page.get_by_role("button", name=re.compile("Make your address")).first.click()
        feed = page.locator(".secret code").first.inner_text().replace("https://wire.example", served.url)
        render_stale(house)
        assert context.request.get(feed).ok

        page.goto(f"{served.url}/portal/subscriptions/new/webhook?feed=latest")
        page.get_by_label("Address of your server").fill(receiver.url)
        page.get_by_role("button", name="Subscribe").click()
        assert page.locator(".secret code").inner_text().startswith("whsec_")
        page.get_by_role("link", name="I have copied it").click()
        page.get_by_role("button", name="Send a test").click()
        send(house)
        page.reload()
        assert page.get_by_text("accepted").is_visible()

        story = newsroom.publish("Bridge tolls to end in March", published_at=house.clock())
        newsroom.correct(story, "They end in April.", headline="Bridge tolls to end in April")
        send(house)
        page.reload()
        assert page.get_by_text("delivered").first.is_visible()
        assert b"Bridge tolls to end in April" in receiver.wait_for(2)[-1].body

        page.goto(f"{served.url}/portal/stories/{story}")
        assert page.get_by_role("heading", name="Bridge tolls to end in April").is_visible()

        with house.sessions.begin() as session:
            move_publisher(
                session,
                house,
                partner.public_id,
                PublisherState.SUSPENDED,
                reason="The notice was removed.",
                letter="Your access is suspended.",
                reviewer="rita@newsroom.example",
                at=house.clock(),
            )
        newsroom.publish("After the suspension", published_at=house.clock())
        before = len(receiver.received)
        send(house)
        assert len(receiver.received) == before
        page.goto(f"{served.url}/portal/")
        assert page.get_by_text("The notice was removed.").is_visible()
        page.goto(f"{served.url}/portal/stories/{story}")
        assert page.get_by_text("suspended").first.is_visible()
        refused = context.request.get(f"{served.url}/v1/stories", headers={"Authorization": f"Bearer {key}"})
        assert (refused.status, refused.json()["reason"]) == (403, "suspended")
        assert context.request.get(feed).status == 403
