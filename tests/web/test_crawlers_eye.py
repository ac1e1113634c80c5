"""What a crawler concludes that reads everything: robots.txt, headers, RSL, TDMRep, JSON-LD and pages give one answer."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree, html
from protego import Protego

from syndicator.app import create_app
from syndicator.config import Config, Crawlers, Database
from syndicator.domain.stories import Rights
from syndicator.house import open_house
from syndicator.operations.render_feeds import render_stale
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk

SETTINGS = [Crawlers(search=s, ai_train=t, ai_input=i) for s, t, i in product((True, False), repeat=3)]
RSL = {"r": "https://rslstandard.org/rsl"}


@pytest.fixture(params=SETTINGS, ids=lambda use: f"search={use.search},train={use.ai_train},input={use.ai_input}")
def crawlers(request: pytest.FixtureRequest) -> Crawlers:
    found: Crawlers = request.param
    return found


@pytest.fixture
def site(config: Config, clock: HandClock, sqlite_url: str, crawlers: Crawlers) -> tuple[Desk, FlaskClient]:
    settings = config.model_copy(update={"database": Database(url=sqlite_url), "crawlers": crawlers})
    house = open_house(settings, clock)
    return Desk(house), create_app(settings, house).test_client()


class Crawler:
    """Reads signals as their specifications say, each apart; the answers are what may be done with a story's page."""

    def __init__(self, client: FlaskClient, path: str) -> None:
        self.client, self.path = client, path
        self.page = client.get(path, follow_redirects=True)
        self.robots = client.get("/robots.txt").text

    def links(self) -> set[tuple[str, str]]:
        """(address, type) of each license the Link header names (RFC 8288)."""
        found = re.findall(r"<([^>]+)>((?:;[^,]+)*)", self.page.headers["Link"])
        return {(url, "rsl" if "rsl+xml" in rest else "html") for url, rest in found if 'rel="license"' in rest}

    def content_signal(self) -> dict[str, bool]:
        line = re.search(r"^Content-Signal: (.*)$", self.robots, re.M)
        assert line
        return {key: value == "yes" for key, value in (pair.split("=") for pair in line[1].split(", "))}

    def content_usage(self, text: str) -> dict[str, bool]:
        return {key: value == "y" for key, value in (pair.split("=") for pair in text.split(", "))}

    def rsl(self, url: str) -> tuple[set[str], set[str], str]:
        """Permitted and prohibited usage, and the standard license, of the RSL document at `url`."""
        root = etree.fromstring(self.client.get(url.removeprefix(BASE_URL)).data)
        permits, prohibits = (set((root.findtext(f".//r:{name}", "", RSL)).split()) for name in ("permits", "prohibits"))
        return permits, prohibits, root.findtext(".//r:standard", "", RSL)

    def tdm(self) -> tuple[str, str | None]:
        """Reservation and policy by the file, which the headers must not contradict."""
        (rule,) = self.client.get("/.well-known/tdmrep.json").get_json()
        by_file = (str(rule["tdm-reservation"]), rule.get("tdm-policy"))
        assert by_file == (self.page.headers["tdm-reservation"], self.page.headers.get("tdm-policy"))
        return by_file


def test_a_crawler_that_reads_everything_gets_one_answer(site: tuple[Desk, FlaskClient], crawlers: Crawlers) -> None:
    desk, client = site
    story = desk.publish().story
    license_url = desk.house.config.license_url
    eye = Crawler(client, f"/stories/{story.public_id}")
    wanted = {"search": crawlers.search, "ai-input": crawlers.ai_input, "ai-train": crawlers.ai_train}

    assert eye.content_signal() == wanted
    usage = {"train-ai": crawlers.ai_train, "search": crawlers.search}
    line = re.search(r"^Content-Usage: (.*)$", eye.robots, re.M)
    assert line is not None
    assert eye.content_usage(line[1]) == eye.content_usage(eye.page.headers["Content-Usage"]) == usage
    assert Protego.parse(eye.robots).can_fetch(f"{BASE_URL}{eye.path}", "crawler") is crawlers.search

    rsl_url = f"{BASE_URL}/license.xml"
    assert f"License: {rsl_url}\n" in eye.robots
    assert eye.links() == {(license_url, "html"), (rsl_url, "rsl")}
    permits, prohibits, standard = eye.rsl(rsl_url)
    for use, granted in wanted.items():
        assert (use in permits, use in prohibits) == (granted, not granted)
    assert standard == license_url

    reservation, policy = eye.tdm()
    assert (reservation, policy is None) == (("0", True) if crawlers.ai_train else ("1", False))
    if policy is not None:
        assert client.get(policy.removeprefix(BASE_URL)).get_json()["uid"] == policy
    assert f"datatrainingallowed={'yes' if crawlers.ai_train else 'no'}\n" in client.get("/trust.txt").text

    tree: Any = html.fromstring(eye.page.text)
    (script,) = tree.xpath('//script[@type="application/ld+json"]')
    assert json.loads(script.text)["license"] == license_url
    assert set(tree.xpath('//link[@rel="license"]/@href')) == {license_url, "/license.xml"}
    assert tree.xpath('//p[@class="syndication-notice"]//a[@rel="license"]/@href') == [license_url]
    assert client.get("/policies/license.json").get_json()["uid"] == license_url
    for accept, kind in (("text/html", "text/html"), ("application/ld+json", "application/ld+json")):
        there = client.get(license_url.removeprefix(BASE_URL), headers={"Accept": accept})
        assert (there.status_code, there.mimetype, there.headers["Vary"]) == (200, kind, "Accept")
    assert client.get(f"{license_url.removeprefix(BASE_URL)}.jsonld").get_json()["uid"] == license_url


def test_a_licensed_story_names_no_free_license_anywhere(site: tuple[Desk, FlaskClient]) -> None:
    desk, client = site
    eye = Crawler(client, f"/stories/{desk.publish(rights=Rights.LICENSED).story.public_id}")
    assert eye.page.status_code == 200
    assert eye.links() == {(f"{BASE_URL}/licensing", "html"), (f"{BASE_URL}/license.xml", "rsl")}
    tree: Any = html.fromstring(eye.page.text)
    assert desk.house.config.license_url not in tree.xpath("//article//@href | //head//@href")
    assert not tree.xpath('//script[@type="application/ld+json"]')


def test_feeds_name_the_same_license_and_use(site: tuple[Desk, FlaskClient], crawlers: Crawlers, tmp_path: Path) -> None:
    desk, client = site
    desk.publish()
    render_stale(desk.house)
    answer = client.get("/feeds/latest.rss")
    assert f'<{desk.house.config.license_url}>; rel="license"' in answer.headers["Link"]
    item = etree.fromstring(answer.data).find(".//item")
    assert item is not None
    content: Any = item.find("r:content", RSL)
    permits = set(content.findtext(".//r:permits", "", RSL).split())
    assert ("ai-train" in permits, "ai-input" in permits, "search" in permits) == (
        crawlers.ai_train,
        crawlers.ai_input,
        crawlers.search,
    )
    assert content.findtext(".//r:standard", "", RSL) == desk.house.config.license_url
