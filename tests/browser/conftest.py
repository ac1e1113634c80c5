"""What browser tests are handed: a real Chromium, and the public pages on a real loopback server with a day of news in them."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from syndicator.app import create_app
from syndicator.house import House
from tests.web.newsroom import Newsroom

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, the newsroom behind it, and the public id of its lead story."""

    url: str
    newsroom: Newsroom
    lead: str


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough here: what a browser sees does not depend on it."""
    return sqlite_url


@pytest.fixture
def served(house: House) -> Iterator[Served]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    newsroom = Newsroom(house)
    lead = newsroom.fill()
    server = make_server("127.0.0.1", 0, create_app(house.config, house), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(f"http://127.0.0.1:{server.port}", newsroom, lead)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a file: while it runs, its event loop stands in the way of tests that have one of their own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "browser tests need Chromium; `make test` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()
