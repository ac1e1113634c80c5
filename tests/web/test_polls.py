"""Polls over time: what each web process counted is added up, by feed and day, and of private feeds by publisher."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.test import Client

from syndicator.app import create_app
from syndicator.documents import public_folder
from syndicator.domain.accounts import StaffRole
from syndicator.house import House
from syndicator.operations.desk_figures import polls_by_day, publisher_polls
from syndicator.operations.keys import create_token
from syndicator.operations.render_feeds import render_stale
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.desk.charts import ticks
from syndicator.web.polls import PollBook
from tests.clocks import HandClock
from tests.desk import Desk
from tests.polled import polled
from tests.web.people import People, shown
from tests.web.test_metrics import numbers


def web_process(house: House) -> tuple[Client, PollBook]:
    """A web process of its own, as rsgi.py builds it: a client for it, and its book."""
    app = create_app(house.config, house)
    book: PollBook = app.extensions["polls"]
    return Client(polled(ByteLayer(public_folder(house.config.data_dir), counts=book.public), app.wsgi_app)), book


def test_the_polls_of_all_processes_are_summed_up_by_feed_and_day(house: House, desk: Desk, clock: HandClock, app: Flask) -> None:
    desk.publish()
    render_stale(house)
    (one, book), (other, other_book) = web_process(house), web_process(house)
    for _ in range(3):
        assert one.get("/feeds/latest.rss").status_code == 200
    assert other.get("/feeds/latest.json").status_code == 200
    for each in (book, other_book, book):  # the last time there is nothing new
        each.write_down()
    yesterday = clock().date()
    clock.advance(timedelta(days=1))
    one.get("/feeds/latest.rss", headers={"If-None-Match": "*"})
    book.write_down()
    with house.sessions() as session:
        days = polls_by_day(session, days=14, at=clock())
    assert (len(days), days[yesterday], days[clock().date()]) == (14, {"latest": 4}, {"latest": 1})
    seen = numbers(app.test_client())
    assert seen["syndicator_polls_total/latest/rss/200"] == 3
    assert seen["syndicator_polls_total/latest/rss/304"] == 1
    assert seen["syndicator_polls_total/latest/json/200"] == 1


def test_the_polls_of_private_feeds_are_known_by_publisher(house: House, desk: Desk, app: Flask) -> None:
    ours, theirs = desk.publisher(), desk.publisher()
    private = next(feed for feed in house.catalogue if not feed.public and not feed.licensed)
    with house.sessions.begin() as session:
        _, secret = create_token(session, house.catalogue, ours, private.name, actor="test", at=house.clock())
    desk.publish()
    render_stale(house)
    client, book = web_process(house)
    for _ in range(2):
        assert client.get(f"/f/{secret}/{private.name}.rss").status_code == 200
    assert client.get(f"/f/wrong/{private.name}.rss").status_code == 401
    book.write_down()
    today = house.clock().date()
    with house.sessions() as session:
        assert publisher_polls(session, ours.id, days=30, at=house.clock())[today] == 2
        assert publisher_polls(session, theirs.id, days=30, at=house.clock())[today] == 0
        assert polls_by_day(session, days=1, at=house.clock()) == {today: {private.name: 2}}
    people = People(app, house)
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    page = shown(admin.get(f"/desk/publishers/{ours.public_id}")).text_content()
    assert "2." in page.partition("Polls of its private feeds")[2].partition("Taken in")[0]
    rows = shown(admin.get("/desk/")).xpath("//figure")[1].xpath(".//tbody/tr")
    assert rows[-1].xpath("./td/text()") == ["2"]


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (6, [0, 2, 4, 6]),
        (599, [0, 200, 400, 600]),
        (5_000, [0, 1000, 2000, 3000, 4000, 5000]),
    ],
)
def test_the_marks_of_an_axis_are_whole_and_few(most: int, marks: list[int]) -> None:
    assert ticks(most) == marks
