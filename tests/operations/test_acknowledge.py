"""Acknowledged kills: who had the story is asked, reminded, and the desk sees who has not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.app import create_app
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher
from syndicator.house import House
from syndicator.operations.acknowledge import acknowledge, acknowledge_url, pending_acknowledgements, remind_due
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.callers import key_of


@pytest.fixture
def client(house: House) -> Iterator[FlaskClient]:
    with create_app(house.config, house).test_client() as browser:
        yield browser


def waiting(desk: Desk, publisher: Publisher | None = None) -> list[str]:
    with desk.house.sessions() as session:
        found = pending_acknowledgements(session, publisher.id if publisher else None)
        return [f"{each.publisher.name} {each.event.type.value}" for each in found]


def letters(desk: Desk, at: HandClock) -> list[tuple[str, str]]:
    """Write what is due; return every letter so far, its kind and its reader."""
    with desk.house.sessions.begin() as session:
        remind_due(session, desk.house, at=at())
        return [(letter.kind, letter.recipient) for letter in session.scalars(select(Letter).order_by(Letter.id))]


def test_those_who_had_the_story_are_asked_and_nobody_else(desk: Desk) -> None:
    had, had_other = desk.publisher(), desk.publisher()
    desk.subscription(had)
    desk.subscription(had, endpoint="https://courier.example/second")
    story = desk.publish().story
    desk.subscription(had_other)
    desk.publish(external_id="other")
    desk.kill(story)
    assert waiting(desk) == [f"{had.name} killed"]
    assert waiting(desk, had_other) == []


def test_a_first_publication_asks_nobody_and_a_newer_event_asks_instead(desk: Desk) -> None:
    publisher = desk.publisher()
    desk.subscription(publisher)
    story = desk.publish().story
    assert waiting(desk) == []
    desk.publish(headline="Corrected", correction_note="It was 220.")
    desk.kill(story)
    assert waiting(desk) == [f"{publisher.name} killed"]


def test_reminders_escalate_to_the_phone_list_and_stop_when_acknowledged(desk: Desk, clock: HandClock) -> None:
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        found = session.get_one(Publisher, publisher.id)
        found.urgent_email, found.urgent_contact = "night@courier.example", "Night desk, +1 555 0100"
    desk.subscription(publisher)
    desk.kill(desk.publish().story)
    assert letters(desk, clock) == [("acknowledge", publisher.email)]
    clock.advance(timedelta(minutes=59))
    assert len(letters(desk, clock)) == 1
    clock.advance(timedelta(minutes=1))
    contact = desk.house.config.notice.contact_email
    assert letters(desk, clock)[1:] == [
        ("acknowledge", publisher.email),
        ("acknowledge", "night@courier.example"),
        ("not-acknowledged", contact),
    ]
    with desk.house.sessions.begin() as session:
        [asked] = pending_acknowledgements(session)
        acknowledge(session, publisher.id, asked.event_seq, by="Ann", actor="test", at=clock())
    clock.advance(timedelta(days=3))
    assert len(letters(desk, clock)) == 4
    assert waiting(desk) == []


def test_the_address_in_the_letter_acknowledges_only_when_the_button_is_pressed(desk: Desk, client: FlaskClient) -> None:
    publisher = desk.publisher()
    desk.subscription(publisher)
    desk.kill(desk.publish().story)
    with desk.house.sessions() as session:
        [asked] = pending_acknowledgements(session)
        path = acknowledge_url(desk.house, asked).removeprefix(desk.house.config.site.base_url)
    page = client.get(path)
    assert page.status_code == 200
    assert waiting(desk) != []
    token = page.get_data(as_text=True).split('name="form_token" value="')[1].split('"')[0]
    assert client.post(path, data={"form_token": token}).status_code == 200
    assert waiting(desk) == []
    assert client.get(path[:-1] + ("a" if path[-1] != "a" else "b")).status_code == 404
    assert client.get("/acknowledge/x").status_code == 404


def test_the_api_shows_and_takes_a_publishers_own(desk: Desk, client: FlaskClient) -> None:
    publisher, other = desk.publisher(), desk.publisher()
    desk.subscription(publisher)
    desk.kill(desk.publish().story)
    mine, others = key_of(desk.house, publisher), key_of(desk.house, other)
    [asked] = client.get("/v1/acknowledgements", headers=mine).get_json()["acknowledgements"]
    assert client.get("/v1/acknowledgements", headers=others).get_json()["acknowledgements"] == []
    assert client.post(f"/v1/acknowledgements/{asked['seq']}", headers=others).status_code == 404
    first = client.post(f"/v1/acknowledgements/{asked['seq']}", headers=mine).get_json()
    assert first["acknowledged_at"]
    assert client.post(f"/v1/acknowledgements/{asked['seq']}", headers=mine).get_json() == first
