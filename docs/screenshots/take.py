"""Takes the pictures in this folder again: `.venv/bin/python docs/screenshots/take.py`. Needs Chromium.

The pages are served on loopback from a throw-away database filled with made-up news, at an instant that never changes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from syndicator.app import create_app  # noqa: E402 -- found only once the folder above is known
from syndicator.config import read_config  # noqa: E402
from syndicator.house import open_house  # noqa: E402
from syndicator.operations.render_feeds import sync_catalogue  # noqa: E402
from syndicator.operations.terms import sync_terms  # noqa: E402
from syndicator.storage import schema  # noqa: E402
from tests.clocks import HandClock  # noqa: E402
from tests.web.newsroom import Newsroom  # noqa: E402
from tests.web.scene import furnish  # noqa: E402

SCREENS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("desktop", {"width": 1200, "height": 800}, "light"),
    ("phone", {"width": 390, "height": 844}, "dark"),
)


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 -- the name is werkzeug's
        """Say nothing for each request."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        values = {
            "site": {"base_url": "https://wire.example", "data_dir": folder, "feeds_dir": str(ROOT / "feeds")},
            "limits": {"enabled": False},  # the clock stands still, so nobody's allowance would ever come back
        }
        config = read_config(values, Path(folder), "screenshots")
        house = open_house(config, HandClock(datetime(2026, 7, 21, 21, 12, tzinfo=UTC)))
        schema.upgrade(house.engine)
        with house.sessions.begin() as session:
            sync_catalogue(session, house.catalogue, at=house.clock())
            sync_terms(session, house, at=house.clock())
        lead = Newsroom(house).fill()
        app = create_app(config, house)
        scene = furnish(app, house, lead)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.port}"
        public = {"front": "/", "story": f"/stories/{lead}", "feeds": "/feeds", "license": "/license"}
        public |= {"licensing": "/licensing", "apply": "/apply", "sign-in": "/sign-in"}
        take(base, public)
        take(base, {f"portal-{name}": path for name, path in scene.portal.items()}, scene.owner.cookie)
        take(base, {f"desk-{name}": path for name, path in scene.desk.items()}, scene.admin.cookie)
        server.shutdown()
        house.engine.dispose()


def take(base: str, pages: dict[str, str], sign_in: str | None = None) -> None:
    """Write NAME-SCREEN.png for each page: what is seen without scrolling, light on the desktop and dark on the phone.

    `sign_in` is the cookie of whoever looks.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for screen, size, scheme in SCREENS:
            context = browser.new_context(viewport=size, color_scheme=scheme)
            if sign_in:
                secure = base.replace("http:", "https:")
                context.add_cookies([{"name": "__Host-sign-in", "value": sign_in, "url": secure, "secure": True}])
            page = context.new_page()
            for name, path in pages.items():
                page.goto(base + path)
                page.screenshot(path=HERE / f"{name}-{screen}.png")
        browser.close()


if __name__ == "__main__":
    main()
