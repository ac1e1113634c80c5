"""What machines read besides feeds, read as machines do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from lxml import etree
from protego import Protego

from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.web.newsroom import Newsroom

ADDRESSES = (
    *("/feeds.opml", "/news-sitemap.xml", "/robots.txt", "/trust.txt", "/license.xml", "/.well-known/tdmrep.json"),
    *("/policies/tdm.json", "/policies/license.json"),
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_is_there_and_is_not_sent_twice(visitor: FlaskClient, address: str) -> None:
    first = visitor.get(address)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert visitor.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_the_feed_list_names_public_feeds_only(visitor: FlaskClient) -> None:
    outlines = etree.fromstring(visitor.get("/feeds.opml").data).findall(".//outline")
    assert {outline.get("xmlUrl") for outline in outlines} == {
        f"{BASE_URL}/feeds/{name}.rss" for name in ("headlines", "latest", "military-and-defense")
    }


def test_the_sitemap_holds_what_is_out_and_two_days_young(visitor: FlaskClient, newsroom: Newsroom, clock: HandClock) -> None:
    now = clock()
    fresh = newsroom.publish("Fresh")
    newsroom.publish("Old", published_at=now - timedelta(days=3))
    newsroom.publish("Held Back", embargoed_until=now + timedelta(hours=1))
    newsroom.kill(newsroom.publish("False"), "It was not so.")
    newsroom.publish("Sold", rights="licensed")
    locations = etree.fromstring(visitor.get("/news-sitemap.xml").data).findall("{*}url/{*}loc")
    assert [location.text for location in locations] == [f"{BASE_URL}/stories/{fresh}"]


def test_crawlers_may_read_stories_and_no_private_place(visitor: FlaskClient) -> None:
    robots = Protego.parse(visitor.get("/robots.txt").text)
    assert robots.can_fetch(f"{BASE_URL}/stories/0123456789", "AnyBot")
    assert not robots.can_fetch(f"{BASE_URL}/f/token/partners.rss", "AnyBot")
    assert list(robots.sitemaps) == [f"{BASE_URL}/news-sitemap.xml"]
