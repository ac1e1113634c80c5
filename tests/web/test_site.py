"""The public pages, asked for as a visitor would: what they show, what they never show, and what they cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from lxml import html
from sqlalchemy import event
from wtforms import BooleanField, Form, StringField
from wtforms.validators import InputRequired

from syndicator.app import create_app
from syndicator.config import License, Site
from syndicator.house import House
from syndicator.operations.render_feeds import render_stale, sync_catalogue
from syndicator.reasons import Reason
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.web.newsroom import Newsroom

NOTICE = "is available without charge to any eligible news publisher"
PAGES = ("/", "/latest", "/feeds", "/license", "/problems/killed")


def read(visitor: FlaskClient, path: str, status: int = 200) -> Any:
    """Ask for `path`, follow the way to a story's full address, and return the parsed page."""
    answer = visitor.get(path, follow_redirects=True)
    assert answer.status_code == status, answer.text
    return parsed(answer.data)


def parsed(page: bytes | str) -> Any:
    return html.fromstring(page)


def words(page: Any) -> str:
    return " ".join(page.find("body").text_content().split())


@contextmanager
def counted(house: House) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            sent.append(statement)

    event.listen(house.engine, "before_cursor_execute", note)
    yield sent
    event.remove(house.engine, "before_cursor_execute", note)


def test_the_front_leads_with_the_newest_story(visitor: FlaskClient, newsroom: Newsroom) -> None:
    newsroom.fill()
    page = read(visitor, "/")
    assert "Reservoirs Reach" in page.find_class("lead")[0].findtext(".//h2/a")
    assert len(page.find_class("river")[0].findall(".//article")) == 7
    assert [link.get("href") for link in page.find_class("calls")[0]] == ["/apply", "/feeds"]


def test_a_front_without_stories_says_so(visitor: FlaskClient) -> None:
    assert "No story has been published yet" in words(read(visitor, "/"))
    assert "No story has been published yet" in words(read(visitor, "/latest"))


def test_a_story_without_a_summary_is_introduced_by_its_beginning(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Board Votes")
    assert read(visitor, "/").find_class("summary")[0].text.startswith("The county board met on Tuesday evening.")
    page = read(visitor, f"/stories/{story}")
    for name in ("meta[@name='description']", "meta[@property='og:description']"):
        assert page.xpath(f"//{name}/@content")[0].startswith("The county board met on Tuesday evening.")


def test_a_story_reads_in_the_direction_of_its_script(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("وزیر خارجه سخن گفت", body_html="<p>سلام دنیا</p>", language="fa")
    page = read(visitor, f"/stories/{story}")
    assert {page.find(".//h1").get("dir"), page.find_class("body")[0].get("dir")} == {"auto"}
    assert page.find_class("story")[0].get("lang") == "fa"


def test_a_story_page_shows_all_that_a_story_has(visitor: FlaskClient, newsroom: Newsroom) -> None:
    lead = newsroom.fill()
    page = read(visitor, f"/stories/{lead}")
    story = page.find_class("story")[0]
    told = " ".join(story.text_content().split())
    for part in (
        "Environment",
        "Reservoirs Reach",
        "By Marta Quill and Owen Hart",
        "There are eleven",
        "lift most limits",
        "Farming",
    ):
        assert part in told
    assert page.xpath("//link[@rel='canonical']/@href")[0].startswith("https://www.newsroom.example/2026/07/")
    assert len(page.xpath("//link[@rel='alternate']")) == 9  # three public feeds in three formats; the private one is not told
    assert len(page.find_class("side")[0].find_class("teaser")) == 5
    assert {link.text for link in page.find_class("share")[0].iter("a")} >= {"E-mail", "Facebook", "X"}
    described = json.loads(page.xpath("//script[@type='application/ld+json']")[0].text)
    assert described["@type"] == "NewsArticle"


def test_the_notice_stands_once_on_the_page_and_in_each_copy(visitor: FlaskClient, newsroom: Newsroom) -> None:
    lead = newsroom.fill()
    for path in (f"/stories/{lead}", f"/stories/{lead}/copy/html", f"/stories/{lead}/copy/text"):
        answer = visitor.get(path, follow_redirects=True)
        assert answer.text.count(NOTICE) == 1, path


def test_copies_are_shown_as_plain_text(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Board Votes")
    for kind in ("html", "text"):
        answer = visitor.get(f"/stories/{story}/copy/{kind}")
        assert answer.content_type == "text/plain; charset=utf-8"
        assert "Board Votes" in answer.text
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert visitor.get(f"/stories/{story}/copy/pdf").status_code == 404


def test_every_other_ending_leads_to_the_address_with_the_headline(
    visitor: FlaskClient, newsroom: Newsroom, clock: HandClock
) -> None:
    story = newsroom.publish("Board Votes")
    right = f"/stories/{story}/board-votes"
    for path in (f"/stories/{story}", f"/stories/{story}/something-else"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (301, right)
    clock.advance(timedelta(hours=1))
    newsroom.correct(story, "It did not vote.", headline="Board Does Not Vote")
    assert visitor.get(right).headers["Location"] == f"/stories/{story}/board-does-not-vote"
    assert "It did not vote." in words(read(visitor, right))


def test_an_embargoed_story_cannot_be_told_from_an_unknown_one_until_its_minute(
    visitor: FlaskClient, newsroom: Newsroom, clock: HandClock
) -> None:
    newsroom.publish("Out Already")
    story = newsroom.publish("Held Back", embargoed_until=clock() + timedelta(hours=2))
    unknown = visitor.get("/stories/0000000000")
    for path in (f"/stories/{story}", f"/stories/{story}/held-back", f"/stories/{story}/copy/text"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (404, unknown.data, "no-store")
    assert visitor.get(f"/latest?before={story}").data == visitor.get("/latest?before=0000000000").data
    for path in ("/", "/latest"):
        assert "Held Back" not in visitor.get(path).text
    clock.advance(timedelta(hours=2))
    assert "Held Back" in words(read(visitor, f"/stories/{story}"))


def test_a_killed_story_is_gone_and_its_words_with_it(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Mayor Stole Bridge", body_html="<p>The mayor stole a bridge.</p>")
    newsroom.kill(story, "The bridge is still there.")
    page = read(visitor, f"/stories/{story}/mayor-stole-bridge", status=410)
    assert "The bridge is still there." in words(page)
    assert "Remove it at once" in words(page)
    assert "stole" not in words(page).lower()
    assert visitor.get(f"/stories/{story}", headers={"If-None-Match": "*"}).status_code == 410
    assert visitor.get(f"/stories/{story}/copy/html").status_code == 410
    assert "Mayor" not in visitor.get("/").text


def test_a_story_taken_down_and_one_that_expired_are_gone(visitor: FlaskClient, newsroom: Newsroom, clock: HandClock) -> None:
    recalled = newsroom.publish("Recalled")
    newsroom.take_down(recalled, "A source asked for it.")
    assert "A source asked for it." in words(read(visitor, f"/stories/{recalled}", status=410))
    brief = newsroom.publish("Brief", expires_at=clock() + timedelta(hours=1))
    clock.advance(timedelta(hours=1))
    assert "expired" in words(read(visitor, f"/stories/{brief}", status=410))
    assert "Brief" not in visitor.get("/").text


def test_a_licensed_story_is_named_and_not_shown(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Long Read", rights="licensed", body_html="<p>Secret words.</p>", summary="A short hint.")
    page = read(visitor, f"/stories/{story}")
    assert "A short hint." in words(page)
    assert "needs a license agreement" in words(page)
    assert "Secret" not in html.tostring(page, encoding="unicode")
    assert visitor.get(f"/stories/{story}/copy/text").status_code == 403
    assert "Long Read" not in visitor.get("/").text


def test_a_story_that_is_not_for_syndication_is_not_there(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Ours Alone", rights="none")
    assert visitor.get(f"/stories/{story}").status_code == 404


@pytest.mark.parametrize("wanted", ["%00", "a" * 5000, "%F0%9F%93%B0", "..%2F..%2Fetc", "x%27%20OR%201=1--", "ABC", "%ED%A0%80"])
def test_what_cannot_be_a_story_is_a_plain_404(visitor: FlaskClient, wanted: str) -> None:
    for path in (f"/stories/{wanted}", f"/problems/{wanted}"):
        assert visitor.get(path).status_code == 404, path
    for path in (f"/latest?before={wanted}", f"/latest?section={wanted}"):  # a NUL is refused before anything is looked for
        assert visitor.get(path).status_code == (400 if wanted == "%00" else 404), path


def test_paging_shows_every_story_once(visitor: FlaskClient, newsroom: Newsroom, clock: HandClock) -> None:
    made = {f"Story {number}" for number in range(65)}
    for headline in made:
        newsroom.publish(headline)  # all of one second: order must not depend on the time alone
    seen: list[str] = []
    path: str | None = "/latest"
    while path:
        page = read(visitor, path)
        seen += page.xpath("//article/h2/a/text()")
        path = next(iter(page.xpath("//a[@rel='next']/@href")), None)
    assert len(seen) == 65
    assert set(seen) == made


def test_a_section_has_its_own_page(visitor: FlaskClient, newsroom: Newsroom) -> None:
    newsroom.fill()
    (link,) = {
        each for each in read(visitor, "/").xpath("//aside//a[. = 'Military and Defense']/@href") if each.startswith("/latest")
    }
    page = read(visitor, link)
    assert page.xpath("//article/h2/a/text()") == ["Army Engineers Finish Bridge Two Months Early"]


def test_a_page_costs_at_most_three_queries(visitor: FlaskClient, newsroom: Newsroom) -> None:
    lead = newsroom.fill()
    story = visitor.get(f"/stories/{lead}").headers["Location"]
    for path, limit in ((story, 3), ("/", 1), ("/latest", 1), ("/feeds", 0), ("/license", 0)):
        with counted(newsroom.house) as sent:
            assert visitor.get(path).status_code == 200
        assert len(sent) <= limit, sent


def test_an_unchanged_page_is_not_sent_again(visitor: FlaskClient, newsroom: Newsroom) -> None:
    story = newsroom.publish("Board Votes")
    for path in (*PAGES, f"/stories/{story}/board-votes", f"/stories/{story}/copy/text"):
        first = visitor.get(path)
        assert first.headers["Cache-Control"] == "public, max-age=60", path
        assert "Set-Cookie" not in first.headers
        again = visitor.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
    newsroom.correct(story, "The vote was on Monday.")
    assert visitor.get(f"/stories/{story}/board-votes").headers["ETag"] != first.headers["ETag"]


def test_pages_allow_no_scripts_or_styles_but_our_own(visitor: FlaskClient, newsroom: Newsroom) -> None:
    newsroom.fill()
    for path in (*PAGES, "/nowhere"):
        answer = visitor.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        page = parsed(answer.data)
        assert not page.xpath("//style | //@style | //@onclick")
        assert not page.xpath("//script[not(@src)][not(@type = 'application/ld+json')]")
        for asked in page.xpath("//@src | //link[@rel = 'stylesheet' or @rel = 'icon']/@href"):
            assert asked.startswith("/assets/")


def test_a_site_without_tls_does_not_promise_it(house: House) -> None:
    plain = house.config.model_copy(update={"site": Site(base_url="http://127.0.0.1:8080")})
    app = create_app(plain, replace(house, config=plain))
    assert "Strict-Transport-Security" not in app.test_client().get("/").headers


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "gopher"},
        {"Forwarded": "host=evil.example"},
    ],
)
def test_links_come_from_the_settings_alone(visitor: FlaskClient, newsroom: Newsroom, header: dict[str, str]) -> None:
    story = newsroom.publish("Board Votes")
    for path in ("/", "/feeds", "/license", f"/stories/{story}", f"/stories/{story}/board-votes"):
        answer = visitor.get(path, headers=header)
        assert answer.data == visitor.get(path).data
        assert "evil" not in answer.headers.get("Location", "")


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "{{ 7 * 191 }}{% raw %}",
    "javascript:alert(1)//",
)


@pytest.mark.parametrize("payload", HOSTILE)
def test_nothing_that_a_source_writes_becomes_markup(visitor: FlaskClient, newsroom: Newsroom, payload: str) -> None:
    story = newsroom.publish(
        f"Headline {payload}",
        section=payload,
        byline=(payload,),
        tags=(payload,),
        summary=payload,
        canonical_url="javascript:alert(1)",
    )
    newsroom.correct(story, payload)
    for path in (f"/stories/{story}", "/", "/latest"):
        page = read(visitor, path)
        assert not page.xpath("//*[@onerror or @onload]")
        assert not page.xpath("//svg | //img")
        assert not page.xpath("//a[starts-with(normalize-space(@href), 'javascript')]")
        assert {script.get("type") or script.get("src")[:8] for script in page.xpath("//script")} <= {
            "application/ld+json",
            "/assets/",
        }
        assert "1337" not in words(page)


def test_the_feed_page_names_every_feed_and_links_only_public_ones(visitor: FlaskClient) -> None:
    page = read(visitor, "/feeds")
    assert [section.get("id") for section in page.find_class("feed")] == [
        *("headlines", "latest", "military-and-defense", "partners", "hub")
    ]
    links = {link.get("href") for each in page.find_class("address") for link in each.iter("a")}
    assert "https://wire.example/feeds/latest.json" in links
    assert "https://wire.example/feeds.opml" in links
    assert not [link for link in links if "partners" in link]


def test_the_license_page_shows_the_terms_of_its_version_and_of_no_other(visitor: FlaskClient) -> None:
    page = read(visitor, "/licenses/free-use/2026-01")
    assert NOTICE in words(page)
    assert all(duty in words(page) for duty in License().duties)
    assert page.xpath("//link[@rel='canonical']/@href")[0] == "https://wire.example/licenses/free-use/2026-01"
    for path in ("/licenses/free-use/2025-01", "/licenses/other/2026-01"):
        assert visitor.get(path).status_code == 404


def test_every_reason_has_a_page(visitor: FlaskClient) -> None:
    for reason in Reason:
        assert reason.words in words(read(visitor, f"/problems/{reason.value.replace('_', '-')}"))


def test_static_files_are_small_hashed_and_kept_for_ever(visitor: FlaskClient) -> None:
    page = read(visitor, "/")
    for path in page.xpath("//link[@rel='stylesheet']/@href | //script/@src"):
        assert re.fullmatch(r"/assets/site\.[0-9a-f]{12}\.(css|js)", path)
        plain = visitor.get(path)
        packed = visitor.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert packed.headers["Content-Encoding"] == "br"
        assert len(packed.data) < len(plain.data) / 2
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert "immutable" in plain.headers["Cache-Control"]
        assert plain.headers["Vary"] == "Accept-Encoding"
    assert visitor.get("/assets/site.css").status_code == 404
    assert visitor.get("/assets/..%2Fpages.py").status_code == 404


def test_no_page_leads_nowhere(visitor: FlaskClient, newsroom: Newsroom) -> None:
    lead = newsroom.fill()
    house = newsroom.house
    with house.sessions.begin() as session:
        sync_catalogue(session, house.catalogue, at=house.clock())
    render_stale(house)
    open_paths, seen = {*PAGES, f"/stories/{lead}"}, set[str]()
    while open_paths:
        path = open_paths.pop()
        seen.add(path)
        answer = visitor.get(path, follow_redirects=True)
        assert answer.status_code == 200 or path == "/hub", path
        if answer.mimetype == "text/html":
            links = parsed(answer.data).xpath("//a/@href | //link/@href | //@data-copy-from | //@src")
            ours = {link.removeprefix(BASE_URL).partition("#")[0] for link in links}
            open_paths |= {link for link in ours if link.startswith("/")} - seen
    assert len(seen) > 40


def test_pages_only_answer_questions(visitor: FlaskClient) -> None:
    for path in PAGES:
        assert visitor.post(path).status_code == 405


class SampleForm(Form):
    name = StringField("Name", [InputRequired("Say who you are.")], description="As your readers know you.")
    agree = BooleanField("I agree")

    def hidden_tag(self) -> str:
        return ""


def test_a_wrong_field_is_tied_to_its_hint_and_error(app: Flask) -> None:
    form = SampleForm()
    form.validate()
    with app.test_request_context("/"):
        shown = parsed(render_template_string('{% import "ui.html" as ui with context %}{{ ui.form(form, "Send") }}', form=form))
    field = shown.get_element_by_id("name")
    assert field.get("aria-invalid") == "true"
    assert [shown.get_element_by_id(part).text for part in field.get("aria-describedby").split()] == [
        *("As your readers know you.", "Say who you are.")
    ]
    assert shown.xpath("//label[@for='agree']")
    assert shown.findtext(".//button") == "Send"
