"""Terms by version: words never change, former notices are removed from what comes in, a new version is asked for by a date."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syndicator.access import decide_viewer, viewer_of
from syndicator.app import create_app
from syndicator.config import Config, License, Notice
from syndicator.domain.accounts import StaffRole
from syndicator.domain.audit import AuditEntry
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story
from syndicator.errors import ConfigError, Conflict, InvalidRequest
from syndicator.house import House
from syndicator.operations import terms
from syndicator.operations.accounts import user_called
from syndicator.operations.reminders import remind
from syndicator.reasons import Reason
from syndicator.render.license_text import license_digest
from tests.clocks import HandClock
from tests.desk import Desk

SECOND = "Stories of our newsroom are free for every publisher that can show a large audience, as long as this line stays."


AGREED = ("rita@newsroom.example", "omar@newsroom.example")


def synced(house: House, **sections: Any) -> House:
    """The house under changed settings, its terms in the store; Rita and Omar have agreed to them."""
    with house.sessions.begin() as session:
        for email in AGREED:
            user_called(session, email, at=house.clock()).staff_role = StaffRole.LICENSING
    if "license" in sections and not sections["license"].agreed_by:
        sections["license"] = sections["license"].model_copy(update={"agreed_by": AGREED})
    changed = replace(house, config=house.config.model_copy(update=sections))
    with changed.sessions.begin() as session:
        terms.sync_terms(session, changed, at=changed.clock())
    return changed


def reason(house: House, publisher: Publisher) -> Reason:
    with house.sessions() as session:
        found = session.get_one(Publisher, publisher.id)
        return decide_viewer(viewer_of(found, house.config.license.version), house.clock()).reason


def accepted(house: House, publisher: Publisher, version: str, signer: str = "Lena Ortiz, editor") -> None:
    with house.sessions.begin() as session:
        terms.accept(
            session,
            house.config,
            session.get_one(Publisher, publisher.id),
            license_version=version,
            accepted_by="lena@courier.example",
            signer=signer,
            at=house.clock(),
            address="192.0.2.7",
            agent="Browser",
        )


def test_a_version_is_stored_once_and_never_changes_its_words(house: House) -> None:
    synced(house)
    with house.sessions.begin() as session:
        assert terms.sync_terms(session, house, at=house.clock()) == []
    for section in ({"license": License(duties=("Other words.",))}, {"notice": Notice(text=SECOND)}):
        with pytest.raises(ConfigError, match="stored with other words"):
            synced(house, **section)
    with pytest.raises(ConfigError, match="with a new notice goes a new version of the license"):
        synced(house, notice=Notice(version="2027-01", text=SECOND))


def test_new_terms_need_two_people_of_the_licensing_team_who_are_told(house: House) -> None:
    """Reliability S10."""
    synced(house)
    with house.sessions.begin() as session:
        user_called(session, "ed@newsroom.example", at=house.clock()).staff_role = StaffRole.EDITOR
    for people in (AGREED[:1], (AGREED[0], AGREED[0].upper()), (AGREED[0], "ed@newsroom.example"), ("x@y.example", AGREED[1])):
        with pytest.raises(ConfigError, match="name two of the licensing team"):
            synced(house, license=License(version="2027-01", agreed_by=people))
    with house.sessions() as session:
        assert session.scalars(select(Letter)).all() == []
    synced(house, license=License(version="2027-01"))
    with house.sessions() as session:
        letters = session.scalars(select(Letter).order_by(Letter.recipient)).all()
        assert [letter.recipient for letter in letters] == sorted(AGREED)
        assert "new version in your name: 2027-01" in letters[0].subject
        [first, entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "terms.version").order_by(AuditEntry.seq))
        assert (first.details["before"], entry.details["before"], entry.subject) == (None, "2026-01", "2027-01")
        assert entry.details["agreed_by"] == list(AGREED)


def test_an_old_version_stays_readable_at_its_address(house: House) -> None:
    synced(house)
    new = synced(house, license=License(version="2027-01", duties=("Link back.",)), notice=Notice(version="2027-01", text=SECOND))
    pages = create_app(new.config, new).test_client()
    old, current = (pages.get(f"/licenses/free-use/{version}").get_data(as_text=True) for version in ("2026-01", "2027-01"))
    assert "Keep the byline" in old
    assert "no longer in force" in old
    assert "available without charge to any eligible news publisher" in old
    assert "Keep the byline" not in current
    assert SECOND in current
    assert pages.get("/licenses/free-use/1999-01").status_code == 404


def test_a_former_license_reads_byte_for_byte_as_text_so_that_old_receipts_can_be_checked(house: House) -> None:
    synced(house)
    before = create_app(house.config, house).test_client().get("/licenses/free-use/2026-01.txt").data
    assert hashlib.sha256(before).hexdigest() == license_digest(house.terms, house.config.license.duties)
    new = synced(house, license=License(version="2027-01", duties=("Link back.",)), notice=Notice(version="2027-01", text=SECOND))
    pages = create_app(new.config, new).test_client()
    assert pages.get("/licenses/free-use/2026-01.txt").data == before
    assert SECOND in pages.get("/licenses/free-use/2027-01.txt").text
    assert pages.get("/licenses/free-use/1999-01.txt").status_code == 404


def test_a_former_license_is_offered_to_machines_as_it_read(house: House) -> None:
    synced(house)
    new = synced(house, license=License(version="2027-01", duties=("Link back.",)), notice=Notice(version="2027-01", text=SECOND))
    pages = create_app(new.config, new).test_client()
    old, current = (pages.get(f"/licenses/free-use/{version}.jsonld").get_json() for version in ("2026-01", "2027-01"))
    assert [offer["uid"].rpartition("/")[2] for offer in (old, current)] == ["2026-01", "2027-01"]
    assert old["dct:description"].splitlines() == list(house.config.license.duties)
    assert current["dct:description"] == "Link back."
    assert "refinement" not in json.dumps(old)  # how large an audience must be is the policy of the day
    assert pages.get("/licenses/free-use/1999-01.jsonld").status_code == 404


def test_former_wordings_of_the_notice_are_removed_from_what_comes_in(house: House, desk: Desk) -> None:
    first = Config().notice.text
    synced(house)
    new = synced(house, license=License(version="2027-01"), notice=Notice(version="2027-01", text=SECOND))
    story = Desk(new).publish(body_html=f"<p>The gauges report.</p><p>{first}</p><p>{SECOND}</p>").story
    with house.sessions() as session:
        assert session.get_one(Story, story.id).current.body_html == "<p>The gauges report.</p>"


def test_a_new_version_asks_again_by_a_date_and_the_old_one_counts_until_then(house: House, desk: Desk, clock: HandClock) -> None:
    synced(house)
    publisher, late = desk.publisher(), desk.publisher()
    new = synced(house, license=License(version="2027-01", grace_days=30))
    assert reason(new, publisher) is Reason.OK
    clock.advance(timedelta(days=29))
    accepted(new, publisher, "2027-01")
    clock.advance(timedelta(days=1))
    assert reason(new, publisher) is Reason.OK
    assert reason(new, late) is Reason.TERMS_NOT_ACCEPTED
    accepted(new, late, "2027-01")
    assert reason(new, late) is Reason.OK


def test_who_has_not_accepted_is_asked_at_once_and_again_as_the_date_comes_near(
    house: House, desk: Desk, clock: HandClock
) -> None:
    synced(house)
    desk.publisher()
    new = synced(house, license=License(version="2027-01", grace_days=30))
    sent = []
    for days in (0, 5, 12, 10, 2, 1):
        clock.advance(timedelta(days=days))
        with house.sessions.begin() as session:
            remind(session, new, at=clock.now)
            assert remind(session, new, at=clock.now) == 0
        with house.sessions() as session:
            sent = list(session.scalars(select(Letter.subject).where(Letter.subject.like("%new terms%")).order_by(Letter.id)))
    assert sent == [
        "Please accept our new terms",
        "Our new terms still wait for you, 13 days left",
        "Our new terms still wait for you, 1 day left",
    ]


def test_a_third_version_makes_no_grace_longer(house: House, desk: Desk, clock: HandClock) -> None:
    synced(house)
    publisher = desk.publisher()
    synced(house, license=License(version="2027-01", grace_days=30))
    clock.advance(timedelta(days=20))
    third = synced(house, license=License(version="2027-02", grace_days=30))
    clock.advance(timedelta(days=10))
    assert reason(third, publisher) is Reason.TERMS_NOT_ACCEPTED


def test_who_accepted_what_when_and_from_where_is_kept(house: House, desk: Desk) -> None:
    publisher = desk.publisher()
    accepted(house, publisher, "2026-01")
    with house.sessions() as session:
        newest, vouched = terms.acceptances_of(session, publisher.id)
        assert (newest.accepted_by, newest.signer) == ("lena@courier.example", "Lena Ortiz, editor")
        assert (newest.license_version, newest.notice_version, newest.accepted_at) == ("2026-01", "2026-01", house.clock())
        assert (newest.address, newest.agent) == ("192.0.2.7", "Browser")
        assert vouched.signer == "vouched for by test"


def test_terms_that_changed_since_the_page_was_shown_are_not_accepted(house: House, desk: Desk) -> None:
    publisher = desk.publisher()
    with pytest.raises(Conflict, match="have changed"):
        accepted(house, publisher, "2025-01")
    with pytest.raises(InvalidRequest):
        accepted(house, publisher, "2026-01", signer="  ")


def test_a_first_acceptance_has_no_grace(house: House, desk: Desk) -> None:
    synced(house)
    publisher = desk.publisher()
    with house.sessions.begin() as session:
        session.get_one(Publisher, publisher.id).terms_version = ""
    new = synced(house, license=License(version="2027-01"))
    assert reason(new, publisher) is Reason.TERMS_NOT_ACCEPTED
