"""Copies that count their views, and pages that are looked at: nothing of a reader is kept, and no page is fetched unasked."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from syndicator.domain.publishers import Publisher, PublisherDomain
from syndicator.domain.republications import BeaconDay, Republication
from syndicator.domain.stories import Story
from syndicator.operations.beacons import measured_audiences
from syndicator.operations.eligibility import checklists, policy_of, record_of
from syndicator.operations.republications import BATCH, check_due
from syndicator.outbound import Outbound
from syndicator.render.notice import notice_html
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import DRAFT, Desk
from tests.receiver import Received, Receiver, Reply
from tests.web.callers import key_of

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def embed(desk: Desk, client: FlaskClient, publisher: Publisher, story: Story) -> str:
    """Return the path of the beacon in the publisher's copy."""
    page = client.get(f"/v1/stories/{story.public_id}/embed", headers=key_of(desk.house, publisher)).text
    found = re.search(rf'<img src="{BASE_URL}(/b/[0-9a-z]+\.gif)" alt="" width="1" height="1" referrerpolicy="origin">', page)
    assert found, page
    return found[1]


def days(desk: Desk) -> list[tuple[str, int]]:
    with desk.house.sessions() as session:
        return [(row.host, row.views) for row in session.scalars(select(BeaconDay).order_by(BeaconDay.day, BeaconDay.host))]


def test_views_are_counted_by_day_and_own_host_and_no_more_is_kept(desk: Desk, client: FlaskClient, clock: HandClock) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    own = publisher.domains[0].domain
    path = embed(desk, client, publisher, story)
    assert embed(desk, client, publisher, story) == path  # one token for each copy
    assert embed(desk, client, desk.publisher(), story) != path
    for referrer in (f"https://{own}/secret/path?reader=7", f"https://news.{own}/", "https://elsewhere.example/", "", "::["):
        answer = client.get(path, headers=BROWSER | {"Referer": referrer, "Cookie": "a=b"})
        assert (answer.status_code, answer.mimetype, answer.headers.get("Set-Cookie")) == (200, "image/gif", None)
        assert answer.headers["Cache-Control"] == "no-store"
    assert days(desk) == [(own, 2), ("other", 3)] or days(desk) == [("other", 3), (own, 2)]
    clock.advance(timedelta(days=1))
    client.get(path, headers=BROWSER)
    with desk.house.sessions() as session:
        measured = measured_audiences(session, [publisher.id], at=clock())[publisher.id]
        rows = session.execute(text("SELECT * FROM beacon_days")).all()
        assert (measured.views, measured.stories, measured.hosts) == (6, 1, (("other", 4), (own, 2)))
        checklist = checklists(session, policy_of(desk.house.config), [publisher], at=clock())[publisher.id]
        kept = record_of(session, desk.house.config, publisher, at=clock())["measured"]
    assert checklist.measured == measured
    assert (kept["views"], kept["stories"]) == (6, 1)  # stands with the decision
    assert "secret" not in repr(rows)
    assert "elsewhere" not in repr(rows)


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"},
        {"User-Agent": "curl/8.0"},
        {"User-Agent": "Mozilla/5.0 HeadlessChrome/140"},
        {"User-Agent": ""},
        BROWSER | {"Sec-Purpose": "prefetch;prerender"},
    ],
)
def test_programs_count_no_view(desk: Desk, client: FlaskClient, headers: dict[str, str]) -> None:
    path = embed(desk, client, desk.publisher(), desk.publish().story)
    assert client.get(path, headers=headers).status_code == 200
    client.head(path, headers=BROWSER)
    assert days(desk) == []


def test_an_unknown_token_gets_the_same_picture_and_counts_nothing(desk: Desk, client: FlaskClient) -> None:
    known = client.get(embed(desk, client, desk.publisher(), desk.publish().story), headers=BROWSER)
    for token in ("0" * 16, "x", "é", "0" * 3000, "' OR 1=1"):
        answer = client.get(f"/b/{token}.gif", headers=BROWSER)
        assert (answer.status_code, answer.data) == (200, known.data)
    assert sum(views for _, views in days(desk)) == 1


# -- pages that are looked at ----------------------------------------------------------------------------------------------------


class Site:
    """A publisher's site on loopback, whose one page is what a test says it is."""

    def __init__(self, desk: Desk, publisher: Publisher, story: Story, host: int = 1) -> None:
        self.canonical = DRAFT.canonical_url
        notice = notice_html(desk.house.terms)
        self.page = f"<html><head>{{canonical}}</head><body><p>By Lena Ortiz</p>{DRAFT.body_html}{notice}</body></html>"
        self.status = 200
        self.robots = ""
        self.moved_to = ""
        self.receiver = Receiver(self.answer, hosts=host)
        self.url = f"{self.receiver.urls[-1]}/dam"
        with desk.house.sessions.begin() as session:
            session.add(PublisherDomain(publisher_id=publisher.id, domain=f"127.0.0.{host}", verified_at=desk.house.clock()))

    @property
    def looks(self) -> int:
        return sum(request.target == "/dam" for request in self.receiver.received)

    def answer(self, request: Received) -> Reply:
        if request.target == "/robots.txt":
            return Reply(body=self.robots.encode()) if self.robots else Reply(status=404)
        if self.moved_to:
            return Reply(status=301, headers=(("Location", self.moved_to),))
        canonical = f'<link rel="canonical" href="{self.canonical}">' if self.canonical else ""
        body = self.page.replace("{canonical}", canonical).encode()
        return Reply(status=self.status, headers=(("Content-Type", "text/html; charset=utf-8"),), body=body)


@pytest.fixture
def scene(desk: Desk) -> Any:
    publisher, story = desk.publisher(), desk.publish().story
    site = Site(desk, publisher, story)
    yield desk, publisher, story, site
    site.receiver.close()


def reported(scene: Any, client: FlaskClient, *, check: bool = True) -> None:
    desk, publisher, story, site = scene
    order = {"story": story.public_id, "url": site.url, "check": check}
    answer = client.post("/v1/republications", json=order, headers=key_of(desk.house, publisher))
    assert answer.status_code == 201, answer.text


def looked(scene: Any, client: FlaskClient) -> dict[str, Any]:
    desk, publisher, _, _ = scene
    check_due(desk.house, Outbound(desk.house.config.outbound, "test"))
    (told,) = client.get("/v1/republications", headers=key_of(desk.house, publisher)).get_json()["republications"]
    findings: dict[str, Any] = told["findings"]
    return findings


def test_a_faithful_copy_is_found_fine_and_looked_at_again_in_a_week(scene: Any, client: FlaskClient, clock: HandClock) -> None:
    reported(scene, client)
    findings = looked(scene, client)
    assert (findings["fine"], findings["share"], findings["words"]) == (True, 1.0, "All as agreed.")
    assert scene[3].looks == 1
    clock.advance(timedelta(days=6))
    looked(scene, client)
    assert scene[3].looks == 1
    clock.advance(timedelta(days=1))
    looked(scene, client)
    assert scene[3].looks == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("notice", "The notice is missing"),
        ("byline", "The byline is missing"),
        ("canonical", "Neither a canonical link to the origin nor noindex"),
        ("body", "The story's words are not there"),
        ("status", "The page could not be read."),
    ],
)
def test_what_a_copy_lacks_is_named(scene: Any, client: FlaskClient, fault: str, words: str) -> None:
    desk, _, _, site = scene
    match fault:
        case "notice":
            site.page = site.page.replace(desk.house.config.notice.text[:30], "")
        case "byline":
            site.page = site.page.replace("Lena Ortiz", "our staff")
        case "canonical":
            site.canonical = "https://other.example/dam"
        case "body":
            site.page = site.page.replace(DRAFT.body_html, "<p>Something else that nobody wrote here before.</p>")
        case _:
            site.status = 500
    reported(scene, client)
    findings = looked(scene, client)
    assert (findings["fine"], findings["words"]) == (False, words)


def test_noindex_does_instead_of_a_canonical_link(scene: Any, client: FlaskClient) -> None:
    site = scene[3]
    site.page, site.canonical = site.page.replace("{canonical}", '<META NAME="Robots" content="NOINDEX">'), ""
    reported(scene, client)
    assert looked(scene, client)["fine"] is True


def test_a_killed_story_must_be_gone_and_is_looked_for_a_day_later(scene: Any, client: FlaskClient, clock: HandClock) -> None:
    desk, _, story, site = scene
    reported(scene, client)
    looked(scene, client)
    desk.kill(story)
    clock.advance(timedelta(days=1))
    findings = looked(scene, client)
    assert (findings["fine"], findings["words"]) == (False, "The withdrawn story is still there.")
    site.status = 410
    clock.advance(timedelta(days=1))
    assert looked(scene, client)["fine"] is True


def test_only_pages_on_proven_sites_whose_owners_want_it_are_looked_at(scene: Any, client: FlaskClient) -> None:
    desk, publisher, _, site = scene
    reported(scene, client, check=False)
    assert looked(scene, client) == {}
    with desk.house.sessions.begin() as session:
        for domain in session.scalars(select(PublisherDomain).where(PublisherDomain.publisher_id == publisher.id)):
            domain.verified_at = None
    reported(scene, client)
    assert looked(scene, client) == {}
    assert site.receiver.received == []
    with desk.house.sessions() as session:
        assert len(session.scalars(select(Republication)).all()) == 1


def test_a_site_whose_robots_txt_keeps_us_out_is_left_in_peace(scene: Any, client: FlaskClient, clock: HandClock) -> None:
    site = scene[3]
    site.robots = "User-agent: test\nDisallow: /"
    reported(scene, client)
    findings = looked(scene, client)
    assert (findings["fine"], findings["words"]) == (False, "The site's robots.txt keeps us from the page.")
    assert site.looks == 0
    site.robots = "User-agent: *\nDisallow: /\n\nUser-agent: test\nAllow: /"
    clock.advance(timedelta(days=1))
    assert looked(scene, client)["fine"] is True


def test_a_page_that_leads_off_its_publishers_sites_is_not_followed(scene: Any, client: FlaskClient, clock: HandClock) -> None:
    site = scene[3]
    with Receiver(hosts=2) as elsewhere:
        site.moved_to = elsewhere.urls[1]
        reported(scene, client)
        assert looked(scene, client)["words"] == "could not fetch: redirect"
        assert elsewhere.received == []


def test_a_publisher_with_many_pages_keeps_no_other_waiting(scene: Any, client: FlaskClient) -> None:
    desk, publisher, story, site = scene
    key = key_of(desk.house, publisher)
    for number in range(BATCH + 1):
        order = {"story": story.public_id, "url": f"{site.url}?{number}", "check": True}
        assert client.post("/v1/republications", json=order, headers=key).status_code == 201
    other = desk.publisher()
    mirror = Site(desk, other, story, host=2)
    try:
        reported((desk, other, story, mirror), client)
        looked((desk, other, story, mirror), client)
        assert [request.target for request in site.receiver.received] == ["/robots.txt", "/dam?0"]
        assert mirror.looks == 1
    finally:
        mirror.receiver.close()


def test_a_page_reported_twice_at_once_is_reported_once(scene: Any, client: FlaskClient) -> None:
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(reported, scene, client.application.test_client()) for _ in range(4)]:
            each.result()
    with scene[0].house.sessions() as session:
        assert len(session.scalars(select(Republication)).all()) == 1


def test_views_at_the_same_moment_are_all_counted(desk: Desk, client: FlaskClient) -> None:
    path = embed(desk, client, desk.publisher(), desk.publish().story)
    app = client.application

    def view(_: int) -> None:
        assert app.test_client().get(path, headers=BROWSER).status_code == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(view, range(80)))
    assert days(desk) == [("other", 80)]


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/x", "ftp://127.0.0.1/x", "http://169.254.169.254/x", "https://a:b@127.0.0.1/", "x"]
)
def test_pages_elsewhere_are_not_taken(scene: Any, client: FlaskClient, url: str) -> None:
    desk, publisher, story, _ = scene
    order = {"story": story.public_id, "url": url}
    answer = client.post("/v1/republications", json=order, headers=key_of(desk.house, publisher))
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request")


def test_what_another_publisher_reported_is_not_shown(scene: Any, client: FlaskClient) -> None:
    reported(scene, client)
    desk = scene[0]
    other = client.get("/v1/republications", headers=key_of(desk.house, desk.publisher()))
    assert other.get_json() == {"republications": []}
