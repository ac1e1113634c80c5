"""Acknowledged kills at the desk and on the command line: who has not, and whom to call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from typer.testing import CliRunner

from syndicator.cli import app as command
from syndicator.config import load_config
from syndicator.domain.accounts import StaffRole
from syndicator.domain.audit import AuditEntry
from syndicator.domain.publishers import Publisher
from syndicator.house import House, open_house
from syndicator.operations.acknowledge import acknowledge, pending_acknowledgements
from tests.conftest import ROOT
from tests.desk import Desk
from tests.web.people import Browser, People


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def officer(app: Flask, house: House) -> Browser:
    people = People(app, house)
    return people.signed_in(people.user("licensing@desk.example", staff=StaffRole.LICENSING))


def test_the_desk_sees_who_has_not_acknowledged_and_whom_to_call(officer: Browser, desk: Desk, house: House) -> None:
    assert "Everybody has acknowledged" in officer.get("/desk/acknowledgements").text
    publisher = desk.publisher()
    desk.subscription(publisher)
    desk.kill(desk.publish().story)
    page = officer.get("/desk/acknowledgements").text
    assert publisher.name in page
    assert "nobody is on the phone list" in page
    form, here = {"contact": " Night desk,  +1 555 0100 ", "email": "night@courier.example"}, phone_list_of(publisher)
    assert officer.post(here, form, page=here).status_code == 303
    assert "Night desk, +1 555 0100" in officer.get("/desk/acknowledgements").text
    assert "night@courier.example" in officer.get(f"/desk/publishers/{publisher.public_id}").text
    with house.sessions.begin() as session:
        [asked] = pending_acknowledgements(session)
        acknowledge(session, publisher.id, asked.event_seq, by="Ann", actor="test", at=house.clock())
        assert session.scalars(select(AuditEntry.action).where(AuditEntry.action == "publisher.phone-list")).all()
    assert publisher.name not in officer.get("/desk/acknowledgements").text


def test_a_wrong_address_stays_in_its_form_and_changes_nothing(officer: Browser, desk: Desk, house: House) -> None:
    publisher = desk.publisher()
    here = phone_list_of(publisher)
    answer = officer.post(here, {"contact": "Night desk", "email": "no address"}, page=here)
    assert answer.status_code == 422
    assert "is no e-mail address" in answer.text
    assert officer.post(here, {"contact": "x" * 201, "email": ""}, page=here).status_code == 422
    with house.sessions() as session:
        assert session.get_one(Publisher, publisher.id).urgent_contact == ""


def test_an_editor_sees_who_has_not_but_changes_no_phone_list(app: Flask, house: House, desk: Desk) -> None:
    people = People(app, house)
    editor = people.signed_in(people.user("editor@desk.example", staff=StaffRole.EDITOR))
    assert editor.get("/desk/acknowledgements").status_code == 200
    assert editor.get(phone_list_of(desk.publisher())).status_code == 403


def test_the_command_line_lists_who_has_not_and_keeps_the_phone_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNDICATOR_SITE__FEEDS_DIR", str(ROOT / "feeds"))
    (tmp_path / "story.html").write_text("<h1>River gauges go live</h1><p>Two hundred gauges report the river every minute.</p>")
    run("publisher", "add", "Courier", "--domain", "courier.example", "--email", "wire@courier.example")
    run("publisher", "approve", "courier.example", "--reason", "known")
    order = ("--publisher", "courier.example", "--feed", "latest", "--channel", "email", "--to", "in@courier.example")
    run("subscription", "add", *order)
    assert json.loads(run("--json", "delivery", "acknowledgements")) == []
    told = json.loads(run("--json", "publisher", "phone-list", "Courier", "--contact", "Night desk, 0100"))
    assert told["in_an_emergency"] == "Night desk, 0100"
    house_of_folder(tmp_path)
    [asked] = json.loads(run("--json", "delivery", "acknowledgements", "--publisher", "Courier"))
    assert (asked["publisher"], asked["type"], asked["call"]) == ("Courier", "killed", "Night desk, 0100")
    assert "Courier" in run("delivery", "acknowledgements")


def run(*words: str) -> str:
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def house_of_folder(folder: Path) -> None:
    """Publish a story into the house of the commands, and kill it."""
    house = open_house(load_config())
    desk = Desk(house)
    desk.kill(desk.publish().story)
    house.engine.dispose()


def phone_list_of(publisher: Publisher) -> str:
    return f"/desk/publishers/{publisher.public_id}/phone-list"
