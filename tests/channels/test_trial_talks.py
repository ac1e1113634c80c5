"""Tests that are conversations, held by a job of the timetable: whoever hangs, or cannot be read, keeps nobody waiting."""

from __future__ import annotations

import threading

from sqlalchemy import event, select, update

from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.subscriptions import ChannelKind, Subscription, Trial
from syndicator.house import House
from syndicator.operations.try_out import ask_for_trial
from syndicator.outbound import open_outbound
from tests.channels.talk import partner_of
from tests.channels.wordpress_target import PASSWORD, WordPressTarget

WAIT_SECONDS = 20


def ask_all(house: House) -> None:
    with house.sessions.begin() as session:
        for subscription in session.scalars(select(Subscription).order_by(Subscription.id)):
            ask_for_trial(session, subscription, actor="test", at=house.clock())


def outcomes(house: House) -> list[str]:
    with house.sessions() as session:
        return list(session.scalars(select(Trial.outcome).order_by(Trial.id)))


def test_a_site_that_hangs_keeps_no_other_waiting_not_even_those_asked_for_later(small_house: House) -> None:
    going_on, committed = threading.Event(), threading.Event()
    talks = TrialTalks(small_house, open_outbound(small_house.config))
    with WordPressTarget().running() as slow, WordPressTarget().running() as quick:
        slow.fate = lambda method, route: "" if going_on.wait(WAIT_SECONDS) else "before"
        account = {"user": "desk"}
        with (
            partner_of(small_house, ChannelKind.WORDPRESS, slow.url, PASSWORD, **account),
            partner_of(small_house, ChannelKind.WORDPRESS, quick.url, PASSWORD, **account) as other,
        ):
            ask_all(small_house)
            event.listen(small_house.engine, "commit", lambda connection: committed.set())
            job = threading.Thread(target=talks.hold_due)
            job.start()
            wait_until(committed, small_house, ["", "accepted"])
            with small_house.sessions.begin() as session:
                again = session.get_one(Subscription, other.subscription.id)
                ask_for_trial(session, again, actor="test", at=small_house.clock())
            wait_until(committed, small_house, ["", "accepted", "accepted"])
            going_on.set()
            job.join(WAIT_SECONDS)
    assert outcomes(small_house) == ["accepted"] * 3


def wait_until(committed: threading.Event, house: House, wanted: list[str]) -> None:
    while outcomes(house) != wanted:
        assert committed.wait(WAIT_SECONDS)
        committed.clear()


def test_a_secret_that_cannot_be_read_stops_no_other_test(small_house: House) -> None:
    with WordPressTarget().running() as site, partner_of(small_house, ChannelKind.WORDPRESS, site.url, PASSWORD, user="desk"):
        with small_house.sessions.begin() as session:
            session.execute(update(Subscription).values(secret="not one of our locks"))
        with partner_of(small_house, ChannelKind.EMAIL, "wire@publisher"):
            ask_all(small_house)
            assert TrialTalks(small_house, open_outbound(small_house.config)).hold_due() == 1
    assert outcomes(small_house) == ["deferred", "accepted"]
    with small_house.sessions() as session:
        assert session.scalars(select(Trial.reason).order_by(Trial.id)).all() == ["not-made", ""]
