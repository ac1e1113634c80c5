"""Portal and desk in a real Chromium: every page accessible and whole on a phone."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import String, Text, update

from syndicator.app import create_app
from syndicator.domain.tables import TABLES
from syndicator.house import House
from tests.browser.conftest import Served
from tests.browser.looking import DESKTOP, PHONE, bring_axe, faults
from tests.web.people import Browser as Visitor
from tests.web.scene import Scene, furnish

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
        page = enter(bring_axe(context), served, visitor)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in pages.values():
            page.set_viewport_size(DESKTOP)
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            answer = page.goto(served.url + path)
            assert answer is not None
            assert answer.status == 200, path
            wrong += wrong_on(page, path)
            page.set_viewport_size(PHONE)
            page.emulate_media(color_scheme="dark", reduced_motion="reduce")
            wrong += wrong_on(page, f"{path} on a phone")
    assert not complaints
    assert not wrong


def wrong_on(page: Page, where: str) -> list[object]:
    """What is wrong with the page as it stands on the screen now."""
    fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found: list[object] = [] if fits else [(where, "runs off the screen")]
    return found + [(where, rule, elements[0]) for rule, elements in faults(page)]


NOT_PAGES = re.compile(r"\.svg$|/(file|statement|usage)$|/(copy|download|exports)/")  # pictures and downloads


def test_every_page_behind_the_sign_in_is_among_those_looked_at(served: Served, scene: Scene) -> None:
    house = served.newsroom.house
    app = create_app(house.config, house)
    routes = app.url_map.bind("wire.example")
    seen = {routes.match(urlsplit(path).path)[0] for path in (*scene.portal.values(), *scene.desk.values())}
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(("portal.", "desk.", "account.")) and "GET" in (rule.methods or ())
        if not NOT_PAGES.search(rule.rule)
    }
    assert pages - seen == set()


# What is read by programs or chosen from a list; all other text was written by somebody, or might have been.
NOT_WRITTEN = re.compile(
    r"(^|_)(id|uid|hash|token|state|status|kind|feed|channel|lane|day|label|labels|name_key|version|revision|sha256|language|role"
    r"|purpose|scopes|rights|format|seal|jti|uri|url|domain|domain_key|host|endpoint|email|key|prefix|public_id|secret\w*|outcome"
    r"|holder|job|access|password_hash|totp_secret|period|next_path|body_html)$"
)
HOSTILE = '"><img src=x onerror=fired()><script>fired()</script><svg/onload=fired()>{{7*7}}javascript:fired()'


def poison(house: House) -> int:
    """Write something hostile wherever words of people are kept; returns in how many columns."""
    poisoned = 0
    with house.sessions.begin() as session:
        for table in TABLES.sorted_tables:
            for column in table.columns:
                written = type(column.type) in {String, Text} and not NOT_WRITTEN.search(column.name)
                if (
                    written
                    and not column.unique
                    and not column.primary_key
                    and not column.foreign_keys
                    and table.name not in KEPT
                ):
                    session.execute(update(table).where(column.is_not(None)).values({column.name: HOSTILE[: column.type.length]}))  # type: ignore[attr-defined]
                    poisoned += 1
    return poisoned


KEPT = {"counters", "leader_leases", "feed_states", "tallies", "daily_tallies"}


def test_whatever_people_write_is_words_on_every_page(chromium: Browser, served: Served, scene: Scene) -> None:
    """Reliability S3: one hostile text in every column for words, every page loaded, and its links that run scripts pressed."""
    assert poison(served.newsroom.house) > 60
    fired: list[str] = []
    with chromium.new_context() as context:
        context.expose_function("fired", lambda: fired.append("fired"))
        for visitor, pages in ((scene.owner, scene.portal), (scene.admin, scene.desk)):
            page = enter(context, served, visitor)
            shown = 0
            for path in pages.values():
                answer = page.goto(served.url + path)
                assert answer is not None
                assert answer.status == 200, path
                shown += "onerror=fired()" in page.inner_text("body")
                page.evaluate("document.querySelectorAll('main a[href^=java]').forEach(link => link.click())")
            assert shown > 10
        assert not fired
        page.evaluate("fired()")
    assert len(fired) == 1  # the trap was set
