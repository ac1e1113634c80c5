"""The desk's rooms as staff uses them: publishers, inquiries, stories and reach, deliveries, sources, audit, exports, charts."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from time import monotonic, sleep

import pytest
from flask import Flask
from sqlalchemy import select, update

from syndicator.domain.accounts import StaffRole
from syndicator.domain.applications import Application
from syndicator.domain.audit import AuditEntry
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState
from syndicator.domain.inquiries import Inquiry, InquiryState
from syndicator.domain.jobs import JobRun
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.republications import BeaconDay, Republication
from syndicator.domain.stories import PubStatus, Source, Story
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.jobs import JOBS, Timetable
from syndicator.operations import audit
from syndicator.operations.desk_figures import attempts_by_day, tally_attempts, top_stories
from syndicator.operations.inquiries import ask
from syndicator.operations.order_jobs import list_jobs, take_orders
from syndicator.operations.publish import publish_story
from syndicator.outbound import Outbound
from syndicator.storage.queries import find_story, get_story
from syndicator.web.desk.diff import marked_difference
from tests.applicants import Applicants
from tests.clocks import HandClock
from tests.desk import DRAFT, Desk
from tests.web.newsroom import Newsroom
from tests.web.people import Browser, People, shown


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def admin(app: Flask, house: House) -> Browser:
    people = People(app, house)
    return people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))


def delivered(house: House, subscription: Subscription) -> None:
    """Settle all that the subscription is owed."""
    with house.sessions.begin() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.subscription_id == subscription.id)
            .values(state=DeliveryState.DELIVERED, settled_at=house.clock(), next_attempt_at=None)
        )


def test_publishers_are_found_by_name_site_state_and_nearing_end(admin: Browser, desk: Desk, house: House) -> None:
    first, second = desk.publisher(), desk.publisher(approved=False)
    with house.sessions.begin() as session:
        session.get_one(Publisher, first.id).approved_until = house.clock() + timedelta(days=20)

    def found(query: str) -> list[str]:
        return re.findall(r"/desk/publishers/(pub_\w+)", admin.get(f"/desk/publishers?{query}").text)

    assert found("") == [first.public_id, second.public_id]
    assert found(f"q={second.name[4:]}") == [second.public_id]
    assert found(f"q={first.email.split('@')[1]}") == [first.public_id]
    assert found("state=applicant") == [second.public_id]
    assert found("ends=soon") == [first.public_id]
    assert found("q=100%25") == []
    assert "No publisher fits" in admin.get("/desk/publishers?q=nobody").text
    page = admin.get(f"/desk/publishers/{first.public_id}").text
    for words in ("as the test wants", first.email, "Sites", "Decisions"):
        assert words in page


OPENED = re.compile(r'name="opened"[^>]*value="([^"]+)"')


def inquire(browser: Browser, clock: HandClock, *, wait: float = 30, **values: str) -> int:
    page = browser.get("/licensing").text
    found = OPENED.search(page)
    assert found
    clock.advance(timedelta(seconds=wait))
    form = {
        "name": "Ann Lee",
        "email": "ann@film.example",
        "organisation": "Film Co",
        "subject": "A film about the bridge",
        "words": "May we film it?",
        "homepage": "",
        "opened": found[1],
    }
    return browser.post("/licensing", form | values, page="/licensing").status_code


def test_an_inquiry_goes_from_the_form_to_the_inbox_and_back_by_letter(
    app: Flask, admin: Browser, house: House, clock: HandClock
) -> None:
    assert inquire(Browser(app, "198.51.100.4"), clock) == 303
    with house.sessions() as session:
        inquiry = session.scalars(select(Inquiry)).one()
        assert session.scalars(select(Letter.recipient)).all() == [house.config.notice.contact_email]
    path = f"/desk/inquiries/{inquiry.public_id}"
    assert "A film about the bridge" in admin.get("/desk/inquiries?state=open").text
    assert "May we film it?" in admin.get(path).text
    admin.post(f"{path}/take")
    assert admin.post(f"{path}/reply", {"words": ""}).status_code == 422
    assert admin.post(f"{path}/reply", {"words": "Yes, for a fee."}).status_code == 303
    admin.post(f"{path}/note", {"note-said": "noted", "note-words": "Fee agreed by phone."})
    with house.sessions() as session:
        letter = session.scalars(select(Letter).order_by(Letter.id.desc())).first()
        assert letter is not None
        assert (letter.recipient, letter.about) == ("ann@film.example", inquiry.public_id)
        assert "Yes, for a fee." in letter.text
        assert "Fee agreed" not in letter.text
        answered = session.scalars(select(Inquiry)).one()
        assert (answered.state, answered.owner) == (InquiryState.ANSWERED, "admin@desk.example")
    assert "A film about the bridge" not in admin.get("/desk/inquiries?state=open").text
    admin.post(f"{path}/close")
    assert "is closed" in admin.post(f"{path}/reply", {"words": "More"}).text


def test_robots_and_floods_are_held_off_the_licensing_form(app: Flask, house: House, clock: HandClock) -> None:
    browser = Browser(app, "198.51.100.5")
    assert inquire(browser, clock, wait=1) == 422
    assert inquire(browser, clock, homepage="https://spam.example") == 422
    assert inquire(browser, clock, opened="made up") == 422
    assert inquire(browser, clock, email="no address") == 422
    assert inquire(browser, clock, words="x" * 5001) == 422
    assert [inquire(browser, clock, email=f"a{n}@film.example") for n in range(6)] == [303] * 5 + [429]
    with house.sessions() as session:
        assert len(session.scalars(select(Inquiry)).all()) == 5


def test_a_kill_shows_first_who_had_the_story_and_then_who_has_been_told(
    admin: Browser, house: House, desk: Desk, newsroom: Newsroom
) -> None:
    had, not_yet = desk.publisher(), desk.publisher()
    subscription = desk.subscription(had)
    story = newsroom.publish("River gauges go live")
    delivered(house, subscription)
    page = admin.get(f"/desk/stories/{story}/withdraw/kill").text
    assert had.name in page
    assert not_yet.name not in page
    assert "Keep everything as it is" in page
    assert admin.post(f"/desk/stories/{story}/withdraw/kill", {"reason": " "}).status_code == 422
    answer = admin.post(f"/desk/stories/{story}/withdraw/kill", {"reason": "The numbers were invented."})
    assert answer.location.endswith(f"/desk/stories/{story}#reach")
    with house.sessions() as session:
        assert session.scalars(select(Story)).one().pubstatus is PubStatus.CANCELED
    assert "push owed" in admin.get(f"/desk/stories/{story}").text
    delivered(house, subscription)
    page = shown(admin.get(f"/desk/stories/{story}")).text_content()
    assert "1 of 1 have been told by push" in page
    assert admin.post(f"/desk/stories/{story}/withdraw/kill", {"reason": "Again"}).status_code == 422


def test_a_correction_is_published_and_its_words_are_compared(admin: Browser, newsroom: Newsroom) -> None:
    story = newsroom.publish("Board meets", body_html="<p>The board met on Tuesday evening.</p>")
    form = {
        "note": "The board met on Wednesday.",
        "headline": "Board meets",
        "summary": "",
        "body_html": "<p>The board met on Wednesday evening.</p><script>alert(1)</script>",
    }
    assert admin.post(f"/desk/stories/{story}/correct", form | {"note": ""}).status_code == 422
    assert admin.post(f"/desk/stories/{story}/correct", form).status_code == 303
    page = admin.get(f"/desk/stories/{story}").text
    assert "<del>Tuesday</del><ins>Wednesday</ins>" in page
    assert "alert(1)" not in page


def test_differences_are_escaped() -> None:
    assert marked_difference("a <b> c", "a <i> c") == "<p>a <del>&lt;b&gt;</del><ins>&lt;i&gt;</ins> c</p>"
    assert marked_difference("same", "same") == "<p>same</p>"
    assert marked_difference("", "new") == "<p><ins>new</ins></p>"


def test_stories_of_every_state_are_on_their_shelf(admin: Browser, newsroom: Newsroom, house: House) -> None:
    newsroom.publish("Plain")
    newsroom.publish("Later", embargoed_until=house.clock() + timedelta(hours=2))
    killed = newsroom.publish("Wrong")
    newsroom.kill(killed, "It was false.")
    shelves = {"all": {"Plain", "Later", "Wrong"}, "embargoed": {"Later"}, "withdrawn": {"Wrong"}, "licensed": set()}
    for shelf, headlines in shelves.items():
        links = shown(admin.get(f"/desk/stories?shelf={shelf}")).xpath("//tbody//a")
        assert {link.text for link in links} == headlines, shelf
    assert [link.text for link in shown(admin.get("/desk/stories?q=plain")).xpath("//tbody//a")] == ["Plain"]


def test_dead_letters_are_sent_again_together(admin: Browser, house: House, desk: Desk, newsroom: Newsroom) -> None:
    subscription = desk.subscription(desk.publisher())
    for number in range(3):
        newsroom.publish(f"Story {number}")
    with house.sessions.begin() as session:
        session.execute(update(Delivery).values(state=DeliveryState.GIVEN_UP, settled_at=house.clock(), next_attempt_at=None))
    assert "Send again what was given up" in admin.get("/desk/deliveries?state=given_up").text
    page = admin.post("/desk/deliveries/replay", {"hours": "24"}, follow_redirects=True).text
    assert "3 are on their way again" in page
    assert {each.state for each in desk.owed(subscription)} == {DeliveryState.OWED}
    assert admin.post("/desk/deliveries/replay", {"hours": "9999"}).status_code == 422


def test_a_source_is_added_pulled_soon_paused_and_removed(admin: Browser, house: House) -> None:
    form = {"kind": "feed", "url": "http://127.0.0.1:8080/rss", "name": "Wire", "minutes": "10"}
    assert admin.post("/desk/sources", form | {"url": "file:///etc/passwd"}).status_code == 422
    assert admin.post("/desk/sources", form | {"kind": "nothing"}).status_code == 422
    assert admin.post("/desk/sources", form).status_code == 303
    with house.sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        assert source.every_seconds == 600
        source.next_pull_at = house.clock() + timedelta(hours=1)
        source.cursor = {"gone": {"7": {"why": "deleted at its source", "since": house.clock().isoformat()}}}
        publish_story(session, house, source, replace(DRAFT, external_id="7"), at=house.clock())
    page = admin.get("/desk/sources").text
    assert f"{DRAFT.headline}</a> (deleted at its source)" in page
    assert "1 of our stories on offer has vanished there" in page
    admin.post("/desk/sources/Wire/pull")
    with house.sessions() as session:
        assert session.scalars(select(Source)).one().next_pull_at == house.clock()
    admin.post("/desk/sources/Wire/pause")
    assert "is paused" in admin.post("/desk/sources/Wire/pull", follow_redirects=True).text
    admin.post("/desk/sources/Wire/remove")
    assert "No sources yet" in admin.get("/desk/sources").text


def test_the_audit_log_is_filtered_and_shows_when_it_was_tampered_with(admin: Browser, house: House, newsroom: Newsroom) -> None:
    story = newsroom.publish("Wrong")
    newsroom.kill(story, "It was false.")
    rows = shown(admin.get("/desk/audit?action=story")).xpath("//tbody/tr")
    assert rows
    assert all("story." in row.text_content() for row in rows)
    assert "No entry fits" in admin.get("/desk/audit?actor=nobody").text
    assert "No entry fits" in admin.get("/desk/audit?from=2090-01-01").text
    assert "Every entry is there" in admin.get("/desk/audit?check=1").text
    with house.sessions.begin() as session:
        session.execute(update(AuditEntry).where(AuditEntry.action == "story.killed").values(actor="somebody else"))
    assert "has been altered" in admin.get("/desk/audit?check=1").text


def test_exports_hold_every_row_and_nothing_that_a_spreadsheet_runs(
    admin: Browser, house: House, newsroom: Newsroom, desk: Desk
) -> None:
    hostile = "=HYPERLINK(1) Gauges"
    desk.subscription(desk.publisher())
    newsroom.publish(hostile, byline=("@SUM(A1)",))
    with house.sessions.begin() as session:
        audit.record(session, "+1+1", "test", "x", at=house.clock())
    for kind in ("stories", "deliveries", "publishers", "audit"):
        lines = admin.get(f"/desk/exports/{kind}/jsonl").text.splitlines()
        rows = list(csv.reader(io.StringIO(admin.get(f"/desk/exports/{kind}/csv").text)))
        assert len(rows) == len(lines) + 1 > 1, kind
        assert list(json.loads(lines[0])) == rows[0]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row), kind
    assert f"'{hostile}" in admin.get("/desk/exports/stories/csv").text


def test_attempts_are_summed_up_by_day_once(
    house: House, desk: Desk, newsroom: Newsroom, clock: HandClock, admin: Browser
) -> None:
    desk.subscription(desk.publisher())
    newsroom.publish("River gauges go live")
    with house.sessions.begin() as session:
        delivery = session.scalars(select(Delivery)).one()
        for outcome in ("deferred", "deferred", "accepted"):
            session.add(Attempt(delivery_id=delivery.id, at=clock(), outcome=outcome, duration_ms=5))
    today = clock().date()
    for counted in (0, 3, 0):  # none is old enough at first, and none is counted twice
        with house.sessions.begin() as session:
            assert tally_attempts(session, at=clock()) == counted
        clock.advance(timedelta(minutes=1))
    with house.sessions() as session:
        days = attempts_by_day(session, days=14, at=clock())
        assert len(days) == 14
        assert days[today] == {"accepted": 1, "deferred": 2, "refused": 0}
        assert [(used.pushed, used.taken) for used in top_stories(session, days=7, at=clock())] == [(1, 0)]
    page = shown(admin.get("/desk/"))
    newest = page.xpath("//figure")[0].xpath(".//tbody/tr")[-1]
    assert newest.xpath("./td/text()") == ["1", "2", "0"]
    for image in page.xpath("//figure//img"):
        answer = admin.get(image.get("src"))
        assert answer.mimetype == "image/svg+xml"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert image.get("alt")


def test_a_suspended_publishers_state_history_is_told(admin: Browser, desk: Desk) -> None:
    publisher = desk.publisher()
    desk.move(publisher, PublisherState.SUSPENDED)
    page = shown(admin.get(f"/desk/publishers/{publisher.public_id}")).text_content()
    assert "suspended" in page
    assert page.count("as the test wants") >= 2


def test_views_of_copies_stand_as_measured_beside_what_was_declared(
    app: Flask, admin: Browser, house: House, desk: Desk, newsroom: Newsroom
) -> None:
    application = Applicants(house).submitted()
    with house.sessions.begin() as session:
        story = find_story(session, newsroom.publish("River gauges go live"))
        assert story is not None
        for host, views in (("other", 1000), ("courier.example", 240)):
            day = house.clock().date()
            session.add(BeaconDay(publisher_id=application.publisher_id, story_id=story.id, day=day, host=host, views=views))
        publisher = session.get_one(Publisher, application.publisher_id).public_id
        decided = application.state
    words = "1,240 views of 1 story in 30 days, at least (other 1,000, courier.example 240)"
    assert words in admin.get(f"/desk/applications/{application.public_id}").text
    page = admin.get(f"/desk/publishers/{publisher}").text
    assert words in page
    assert "River gauges go live" in page
    with house.sessions() as session:
        assert session.get_one(Application, application.id).state is decided


def test_a_takedown_is_undone_after_a_question_and_a_kill_is_not(admin: Browser, newsroom: Newsroom) -> None:
    story = newsroom.publish("River gauges go live")
    assert "Bring back" not in admin.get(f"/desk/stories/{story}").text
    newsroom.take_down(story, "Too early.")
    assert f"/desk/stories/{story}/restore" in admin.get(f"/desk/stories/{story}").text
    page = admin.get(f"/desk/stories/{story}/restore").text
    assert "Keep everything as it is" in page
    assert admin.post(f"/desk/stories/{story}/restore", {"reason": ""}).status_code == 422
    assert admin.client.get(f"/stories/{story}").status_code == 410
    assert admin.post(f"/desk/stories/{story}/restore", {"reason": "The board has voted."}).status_code == 303
    assert admin.client.get(f"/stories/{story}", follow_redirects=True).status_code == 200
    newsroom.kill(story, "Invented.")
    assert "Bring back" not in admin.get(f"/desk/stories/{story}").text
    answer = admin.post(f"/desk/stories/{story}/restore", {"reason": "Please."})
    assert answer.status_code == 422
    assert "killed" in answer.text
    assert admin.client.get(f"/stories/{story}").status_code == 410


def test_a_job_is_run_on_demand_by_the_timetable_and_not_by_the_page(admin: Browser, house: House) -> None:
    with house.sessions.begin() as session:
        list_jobs(session, [job.name for job in JOBS])
    assert "not yet" in admin.get("/desk/jobs").text
    assert admin.post("/desk/jobs/nothing/run").status_code == 404
    assert admin.post("/desk/jobs/forget-attempts/run").status_code == 303  # its hour is far away
    assert "wanted now" in admin.get("/desk/jobs").text
    with house.sessions() as session:
        assert session.get_one(JobRun, "forget-attempts").started_at is None
    timetable = Timetable(house, Outbound(house.config.outbound, house.config.user_agent))
    timetable.start()
    try:
        deadline = monotonic() + 30
        while not finished(house, "forget-attempts"):
            assert monotonic() < deadline
            sleep(0.05)
    finally:
        timetable.stop()
    page = shown(admin.get("/desk/jobs")).text_content()
    assert "wanted now" not in page
    with house.sessions() as session:
        assert take_orders(session) == []


def finished(house: House, job: str) -> bool:
    with house.sessions() as session:
        return session.get_one(JobRun, job).finished_at is not None


def test_usage_is_taken_out_for_all_or_for_one(admin: Browser, desk: Desk, house: House, newsroom: Newsroom) -> None:
    first, second = desk.publisher(), desk.publisher()
    for publisher in (first, second):
        delivered_to = desk.subscription(publisher)
        newsroom.publish(f"For {publisher.name}")
        delivered(house, delivered_to)
    house.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    for query, names in (("", {first.name, second.name}), (f"?publisher={second.public_id}", {second.name})):
        answer = admin.get(f"/desk/agreements/usage{query}")
        assert answer.mimetype == "text/csv"
        assert {row["publisher"] for row in csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff")))} == names
    assert admin.get("/desk/agreements/usage?publisher=nobody").status_code == 404


def test_reported_pages_and_their_faults_are_seen_by_story_and_all_together(
    admin: Browser, desk: Desk, house: House, newsroom: Newsroom
) -> None:
    publisher, story = desk.publisher(), newsroom.publish("River gauges go live")
    with house.sessions.begin() as session:
        for name, fine in (("good", True), ("bad", False)):
            page = Republication(
                public_id=f"rep_{name}",
                publisher=session.get_one(Publisher, publisher.id),
                story=get_story(session, story),
                url=f"https://{publisher.domains[0].domain}/{name}",
                url_hash=name,
                reported_at=house.clock(),
                checked_at=house.clock(),
                findings={"fine": fine, "words": "The notice is missing." if not fine else "All there."},
            )
            session.add(page)
    for path in ("/desk/pages", f"/desk/stories/{story}", f"/desk/publishers/{publisher.public_id}"):
        assert "The notice is missing." in admin.get(path).text, path
    faults = admin.get("/desk/pages?show=faults").text
    assert "The notice is missing." in faults
    assert "All there." not in faults


def test_the_first_page_counts_what_waits_and_leads_there_each_role_to_its_own(
    app: Flask, house: House, desk: Desk, newsroom: Newsroom
) -> None:
    Applicants(house).submitted()
    with house.sessions.begin() as session:
        asked = {"name": "Ann", "email": "a@film.example", "organisation": "", "subject": "Film", "words": "?", "address": ""}
        ask(session, house, **asked, at=house.clock())
    subscription = desk.subscription(desk.publisher())
    story = newsroom.publish("Wrong")
    newsroom.kill(story, "It was false.")
    with house.sessions.begin() as session:
        lost = session.scalars(select(Delivery).where(Delivery.subscription_id == subscription.id).limit(1)).one()
        lost.state, lost.settled_at, lost.next_attempt_at = DeliveryState.GIVEN_UP, house.clock(), None
    people = People(app, house)

    def tiles(role: StaffRole) -> dict[str, str]:
        page = shown(people.signed_in(people.user(f"{role}@desk.example", staff=role)).get("/desk/"))
        return {" ".join(tile.text_content().split()): tile.get("href") for tile in page.xpath("//ul[@class='counts']//a")}

    everything, editors, licensing = tiles(StaffRole.ADMIN), tiles(StaffRole.EDITOR), tiles(StaffRole.LICENSING)
    assert everything["1 Applications that wait"] == "/desk/applications"
    assert everything["1 Open inquiries"] == "/desk/inquiries?state=open"
    assert everything["1 Kills and corrections not acknowledged"] == "/desk/acknowledgements"
    assert everything["1 Deliveries given up in 3 days"] == "/desk/deliveries?state=given_up"
    assert editors | licensing == everything
    assert not [words for words in editors if re.search("Applications|inquiries|publishers", words)]
    assert not [words for words in licensing if re.search("sources|jobs", words)]
