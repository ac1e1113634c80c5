"""The public pages in a real Chromium: accessible, quiet, whole on a phone, usable without scripts, deaf to attacks."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Browser, Page

from tests.browser.conftest import Served
from tests.browser.looking import bring_axe, faults, look_all_over

HOSTILE = (
    "<script>fired()</script>",
    "<img src=x onerror=fired()>",
    '"><svg/onload=fired()>',
    "</script><script>fired()</script>",
    "</textarea><script>fired()</script>",
    '<a href="javascript:fired()">press</a>',
    "<iframe srcdoc='<script>parent.fired()</script>'></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=fired()>",
    "<details open ontoggle=fired()>",
    "<p style=animation-name:x onanimationstart=fired()>",
)


def paths(served: Served) -> list[str]:
    killed = served.newsroom.publish("Killed Story", published_at=served.newsroom.house.clock() - timedelta(days=1))
    served.newsroom.kill(killed, "It was false.")
    licensed = served.newsroom.publish("Long Read", rights="licensed", summary="A hint.")
    stories = [f"/stories/{each}" for each in (served.lead, killed, licensed)]
    return ["/", "/latest", "/feeds", "/license", "/apply", "/licensing", "/problems/killed", "/nowhere", *stories]


def test_a_page_with_a_fault_is_found_out(chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = bring_axe(context).new_page()
        page.set_content("<img src=x>")
        assert ("image-alt", ['<img src="x">']) in faults(page)


def test_no_page_has_a_fault_that_axe_finds_or_runs_off_the_screen(chromium: Browser, served: Served) -> None:
    with chromium.new_context() as context:
        page = bring_axe(context).new_page()
        for path in paths(served):
            page.goto(served.url + path)
            look_all_over(page, path)


def test_no_page_asks_anybody_else_or_breaks_its_own_policy(chromium: Browser, served: Served) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in paths(served):
            page.goto(served.url + path)
    assert all(url.startswith(served.url) for url in asked)
    assert not [each for each in complaints if "status of 4" not in each]


def test_the_copy_buttons_copy_the_story_with_its_notice(chromium: Browser, served: Served) -> None:
    with chromium.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(f"{served.url}/stories/{served.lead}")
        assert press(page, "Copy HTML").startswith("<article")
        assert press(page, "Copy plain text").startswith("Reservoirs Reach")
        assert "available without charge" in press(page, "Copy plain text")
        press(page, "Copy formatted text")
        assert "text/html" in page.evaluate("navigator.clipboard.read().then(items => items[0].types)")
        page.goto(f"{served.url}/feeds")
        assert press(page, "Copy RSS").startswith("https://wire.example/feeds/")


def press(page: Page, name: str) -> str:
    """Press a copy button, wait until it says so, and return what the clipboard holds."""
    page.get_by_text(name, exact=True).or_(page.get_by_role("button", name=name)).first.click()
    page.get_by_text("Copied").first.wait_for()
    text: str = page.evaluate("navigator.clipboard.readText()")
    page.reload()  # the labels are as before
    return text


def test_without_scripts_the_copies_are_pages_to_select_from(chromium: Browser, served: Served) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{served.url}/stories/{served.lead}")
        assert not page.get_by_text("Copy formatted text").is_visible()
        page.get_by_role("link", name="Copy HTML").click()
        assert page.inner_text("body").startswith("<article")
        page.goto(f"{served.url}/feeds")
        assert page.get_by_role("button").count() == 0


def test_the_keyboard_reaches_the_content_at_once(chromium: Browser, served: Served) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(served.url)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_nothing_that_a_source_writes_runs(chromium: Browser, served: Served) -> None:
    fired: list[str] = []
    with chromium.new_context(bypass_csp=True) as context:  # the markup must be harmless even without the policy
        context.expose_function("fired", lambda: fired.append(page.url))
        page = context.new_page()
        for number, payload in enumerate(HOSTILE):
            words = f"{number} {payload}"
            story = served.newsroom.publish(
                words,
                body_html=f"<p>Body</p>{payload}",
                summary=words,
                section=payload,
                byline=(words,),
                tags=(words,),
                canonical_url="javascript:fired()",
                images=(),
            )
            served.newsroom.correct(story, words)
            for path in (f"/stories/{story}", f"/stories/{story}/copy/html"):
                page.goto(served.url + path)
                page.evaluate("document.querySelectorAll('main a[href^=java]').forEach(link => link.click())")
                page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for path in ("/", "/latest"):
            page.goto(served.url + path)
        assert fired == []
        page.evaluate("fired()")
    assert len(fired) == 1  # the trap was set
