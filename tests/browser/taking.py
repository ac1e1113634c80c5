"""A partner takes stories, from its first key to its suspension: the second half of the way that test_apply.py begins."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime

from playwright.sync_api import Page
from standardwebhooks import Webhook

from syndicator.house import House
from syndicator.operations.render_feeds import render_stale
from syndicator.sending import create_engine
from tests.browser.conftest import Served
from tests.desk import Desk
from tests.receiver import Received, Receiver


def send(house: House) -> None:
    """Render what is stale and send what is due, as the service does by itself."""
    render_stale(house)
    with closing(create_engine(house)) as engine:
        engine.drain_due()


def told(came: Received, signed: Webhook) -> str:
    """Return the type of what came, once its signature holds."""
    at = datetime.fromtimestamp(int(came.headers["webhook-timestamp"]), UTC)
    assert signed.sign(came.headers["webhook-id"], at, came.body.decode()) in came.headers["webhook-signature"].split()
    kind: str = json.loads(came.body)["type"]
    return kind


def take_stories(page: Page, desk: Page, served: Served, receiver: Receiver, publisher: str) -> None:
    """`page` is an owner's, on the portal's first page with the terms just accepted; `desk` is a reviewer's."""
    house, newsroom, ask = served.newsroom.house, served.newsroom, page.context.request

    Desk(house)  # the catalogue is in the store, as after start-up

    # A key for the API, an address of a private feed.
    page.get_by_role("link", name="Make an API key").click()
    page.get_by_label("What will use it").fill("CMS import")
    page.get_by_role("button", name="Make the key").click()
    key = {"Authorization": f"Bearer {page.locator('.secret code').inner_text()}"}
    assert ask.get(f"{served.url}/v1/stories", headers=key).ok
    page.goto(f"{served.url}/portal/feeds")
    page.get_by_role("button", name=re.compile("Make your address")).first.click()
    feed = page.locator(".secret code").first.inner_text().replace("https://wire.example", served.url)
    render_stale(house)
    assert ask.get(feed).ok

    # A webhook, tried out.
    page.goto(f"{served.url}/portal/subscriptions/new/webhook?feed=latest")
    page.get_by_label("Address of your server").fill(receiver.url)
    page.get_by_role("button", name="Subscribe").click()
    signed = Webhook(page.locator(".secret code").inner_text())
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a test").click()
    send(house)
    page.reload()
    assert page.get_by_text("worked").is_visible()
    assert told(receiver.wait_for(1)[-1], signed) == "test"

    # A story arrives, then its correction, which is acknowledged.
    story = newsroom.publish("Bridge tolls to end in March", published_at=house.clock())
    send(house)
    assert told(receiver.wait_for(2)[-1], signed) == "story.published"
    newsroom.correct(story, "They end in April.", headline="Bridge tolls to end in April")
    send(house)
    corrected = receiver.wait_for(3)[-1]
    assert told(corrected, signed) == "story.corrected"
    assert b"Bridge tolls to end in April" in corrected.body
    page.reload()
    assert page.locator("td .badge", has_text="delivered").count() == 2
    page.goto(f"{served.url}/portal/acknowledgements")
    page.get_by_role("button", name="We have acted on this").click()
    page.get_by_text("Nothing to act on").wait_for()
    page.goto(f"{served.url}/portal/stories/{story}")
    assert page.get_by_role("heading", name="Bridge tolls to end in April").is_visible()

    # The desk suspends the publisher; every way in says no, and why.
    desk.goto(f"{served.url}/desk/publishers?q={publisher}")
    desk.get_by_role("link", name=publisher).click()
    desk.get_by_role("link", name="Suspend").click()
    desk.get_by_label("Reason").fill("The notice was removed.")
    desk.get_by_role("button", name=f"Suspend {publisher}").click()
    desk.get_by_text("The letter is on its way.").wait_for()
    newsroom.publish("After the suspension", published_at=house.clock())
    before = len(receiver.received)
    send(house)
    assert len(receiver.received) == before
    for path in ("", f"/{story}", f"/{story}/embed", f"/{story}/versions", "?q=bridge"):
        refused = ask.get(f"{served.url}/v1/stories{path}", headers=key)
        assert (refused.status, refused.json()["reason"]) == (403, "suspended"), path
    refused = ask.post(f"{served.url}/v1/stories/{story}/receipts", headers=key)
    assert (refused.status, refused.json()["reason"]) == (403, "suspended")
    standing = ask.get(f"{served.url}/v1/me", headers=key).json()
    assert (standing["eligible"], standing["reason"]) == (False, "suspended")
    assert (ask.get(feed).status, ask.get(feed).json()["reason"]) == (403, "suspended")
    page.goto(f"{served.url}/portal/")
    assert page.get_by_text("The notice was removed.").is_visible()
    for path in (
        "stories",
        f"stories/{story}",
        "feeds",
        "keys",
        "subscriptions",
        "subscriptions/new/webhook",
        f"why?story={story}",
    ):
        page.goto(f"{served.url}/portal/{path}")
        assert page.get_by_text("suspended").first.is_visible(), path

    # What it had and is killed, it is told of all the same.
    newsroom.kill(story, "It was made up.")
    send(house)
    assert told(receiver.wait_for(before + 1)[-1], signed) == "story.killed"
