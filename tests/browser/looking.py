"""What axe finds on a page, and whether it fits the screen, on a desktop and on a phone, light and dark.

A page is loaded once and looked at where it stands: our script does not ask for the screen. Axe is in each page before it loads,
and tells of violations alone.
"""

from __future__ import annotations

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import BrowserContext, Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
FAULTS = """
    axe.run({resultTypes: ["violations"]}).then(
        found => found.violations.map(fault => [fault.id, fault.nodes.map(node => node.html)])
    )
"""


def bring_axe(context: BrowserContext) -> BrowserContext:
    """Put axe into every page that `context` will open, whatever the page's policy."""
    context.add_init_script(path=AXE_FILE_PATH)
    return context


def faults(page: Page) -> list[tuple[str, list[str]]]:
    """The rules that the page breaks as it stands on the screen now, each with the elements that do."""
    return [(rule, elements) for rule, elements in page.evaluate(FAULTS)]


def look_all_over(page: Page, where: str) -> None:
    """Hold the page to what every page is held to, on every screen and in both schemes."""
    for screen in (DESKTOP, PHONE):
        page.set_viewport_size(screen)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (where, screen)
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        assert not faults(page), (where, screen, "light")
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        assert not faults(page), (where, screen, "dark")
    page.set_viewport_size(DESKTOP)
