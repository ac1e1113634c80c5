"""Takes the pictures in this folder again: `.venv/bin/python docs/screenshots/take.py`. Needs Chromium.

The pages are served on loopback from a throw-away database filled with made-up news, at an instant that never changes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from syndicator.app import create_app  # noqa: E402 -- found only once the folder above is known
from syndicator.config import read_config  # noqa: E402
from syndicator.domain.accounts import StaffRole  # noqa: E402
from syndicator.domain.applications import Application  # noqa: E402
from syndicator.house import House, open_house  # noqa: E402
from syndicator.operations import accounts  # noqa: E402
from syndicator.storage import schema  # noqa: E402
from tests.applicants import Applicants  # noqa: E402
from tests.clocks import HandClock  # noqa: E402
from tests.web.newsroom import Newsroom  # noqa: E402
from tests.web.people import PASSWORD  # noqa: E402

SCREENS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("desktop", {"width": 1280, "height": 900}, "light"),
    ("phone", {"width": 390, "height": 844}, "dark"),
)


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 -- the name is werkzeug's
        """Say nothing for each request."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        values = {"site": {"base_url": "https://wire.example", "data_dir": folder, "feeds_dir": str(ROOT / "feeds")}}
        config = read_config(values, Path(folder), "screenshots")
        house = open_house(config, HandClock(datetime(2026, 7, 21, 21, 12, tzinfo=UTC)))
        schema.upgrade(house.engine)
        lead = Newsroom(house).fill()
        application = waiting_application(house)
        server = make_server("127.0.0.1", 0, create_app(config, house), threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        take(
            f"http://127.0.0.1:{server.port}",
            {"front": "/", "story": f"/stories/{lead}", "feeds": "/feeds", "license": "/license", "apply": "/apply"},
        )
        take(
            f"http://127.0.0.1:{server.port}",
            {
                "desk-applications": "/desk/applications",
                "desk-application": f"/desk/applications/{application.public_id}",
                "desk-what-if": "/desk/what-if?minimum=150000",
            },
            email=person(house, "rita@newsroom.example", StaffRole.LICENSING),
        )
        take(
            f"http://127.0.0.1:{server.port}",
            {"portal-application": "/portal/application", "portal-terms": "/portal/terms"},
            email=person(house, application.applicant),
        )
        server.shutdown()
        house.engine.dispose()


def waiting_application(house: House) -> Application:
    """Fill the queue; returns the application that is shown whole."""
    applicants = Applicants(house)
    applicants.approved(organisation="Harbor Gazette", visitors=140_000)
    house.clock.advance(timedelta(days=2))  # type: ignore[attr-defined]
    shown = applicants.submitted(organisation="Courier Media", visitors=420_000)
    applicants.submitted(organisation="Hаrbor Gazette", visitors=90_000, proven=False)  # a Cyrillic а
    house.clock.advance(timedelta(hours=5))  # type: ignore[attr-defined]
    return shown


def person(house: House, email: str, staff: StaffRole | None = None) -> str:
    """Let somebody sign in with PASSWORD; returns the address."""
    with house.sessions.begin() as session:
        user = accounts.user_called(session, email, at=house.clock())
        user.staff_role = staff
        accounts.set_password(session, user, PASSWORD, actor="screenshots", at=house.clock())
    return email


def take(base: str, pages: dict[str, str], email: str = "") -> None:
    """Write NAME-SCREEN.png for each page: what is seen without scrolling, light on the desktop and dark on the phone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for screen, size, scheme in SCREENS:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            if email:
                page.goto(f"{base}/sign-in")
                page.get_by_label("E-mail address").fill(email)
                page.get_by_label("Password", exact=True).fill(PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url(lambda url: not url.endswith("/sign-in"))
            for name, path in pages.items():
                page.goto(base + path)
                page.screenshot(path=HERE / f"{name}-{screen}.png")
        browser.close()


if __name__ == "__main__":
    main()
