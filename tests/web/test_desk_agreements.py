"""Agreements at the desk: recorded, given another end, ended; soon after proving who one is, and only of the publisher named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from syndicator.domain.accounts import StaffRole
from syndicator.domain.agreements import Agreement, QuotaPeriod
from syndicator.domain.audit import AuditEntry
from syndicator.house import House
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.people import Browser, People

FORM = {
    "title": "Contract 7",
    "valid_from": "2026-07-01",
    "valid_until": "2027-06-30",
    "feeds": "latest",
    "sections": "Science, Economy",
    "quota": "20",
    "quota_period": "month",
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def rita(app: Flask, house: House) -> Browser:
    people = People(app, house)
    return people.signed_in(people.user("rita@desk.example", staff=StaffRole.LICENSING))


def the_agreement(house: House) -> Agreement:
    with house.sessions() as session:
        return session.scalars(select(Agreement)).one()


def test_an_agreement_is_recorded_given_another_end_and_ended(rita: Browser, house: House, desk: Desk) -> None:
    ours = f"/desk/publishers/{desk.publisher().public_id}"
    assert rita.get(f"{ours}/agreements/new").status_code == 200
    assert rita.post(f"{ours}/agreements/new", FORM).status_code == 303
    made = the_agreement(house)
    assert (made.feeds, made.sections, made.quota, made.quota_period) == (
        ["latest"],
        ["Economy", "Science"],
        20,
        QuotaPeriod.MONTH,
    )
    assert (made.valid_from, made.valid_until) == (datetime(2026, 7, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC))
    path = f"{ours}/agreements/{made.public_id}"
    assert 'value="2027-06-30"' in rita.get(f"{path}/term").text
    assert rita.post(f"{path}/term", {"valid_until": "2028-06-30", "reason": ""}).status_code == 422
    assert rita.post(f"{path}/term", {"valid_until": "2001-01-01", "reason": "Oops"}).status_code == 422
    assert rita.post(f"{path}/term", {"valid_until": "2028-06-30", "reason": "Renewed"}).status_code == 303
    assert the_agreement(house).valid_until == datetime(2028, 7, 1, tzinfo=UTC)
    assert "cannot be undone" in rita.get(f"{path}/end").text
    assert rita.post(f"{path}/end", {"reason": " "}).status_code == 422
    assert rita.post(f"{path}/end", {"reason": "Not paid"}).status_code == 303
    assert the_agreement(house).ended_at == house.clock()
    page = rita.get(ours).text
    assert "Not paid" in page
    assert "Change the end" not in page
    assert (
        "has ended already" in rita.post(f"{path}/term", {"valid_until": "2029-06-30", "reason": "x"}, follow_redirects=True).text
    )
    with house.sessions() as session:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject == made.public_id).order_by(AuditEntry.seq)
        ).all()
    assert actions == ["agreement.add", "agreement.move-end", "agreement.end"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"title": ""}, "a title of 1 to 200"),
        ({"valid_until": "2026-06-01"}, "must lie after the beginning"),
        ({"valid_from": "soon"}, "is needed, as a day"),
        ({"valid_until": "9999-12-31"}, "is needed, as a day"),
        ({"feeds": "none"}, "none"),
        ({"stories": "unknown"}, "unknown"),
        ({"quota": "0"}, "at least 1"),
        ({"quota": "many"}, "a whole number"),
        ({"quota_period": "decade"}, "choose a period"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_recorded(
    rita: Browser, house: House, desk: Desk, wrong: dict[str, str], words: str
) -> None:
    answer = rita.post(f"/desk/publishers/{desk.publisher().public_id}/agreements/new", FORM | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    with house.sessions() as session:
        assert session.scalars(select(Agreement)).all() == []


def test_agreements_are_changed_only_after_proving_who_one_is_and_below_their_own_publisher(
    rita: Browser, house: House, desk: Desk, clock: HandClock
) -> None:
    ours, theirs = desk.publisher(), desk.publisher()
    rita.post(f"/desk/publishers/{ours.public_id}/agreements/new", FORM)
    made = the_agreement(house)
    for verb in ("term", "end"):
        path = f"/desk/publishers/{theirs.public_id}/agreements/{made.public_id}/{verb}"
        assert rita.get(path).status_code == 404
        assert rita.post(path, {"reason": "x", "valid_until": "2029-01-01"}).status_code == 404
    clock.advance(timedelta(minutes=11))
    path = f"/desk/publishers/{ours.public_id}/agreements"
    for verb in ("new", f"{made.public_id}/term", f"{made.public_id}/end"):
        assert rita.post(f"{path}/{verb}", FORM | {"reason": "x"}).location.startswith("/account/prove")
    assert the_agreement(house).ended_at is None
