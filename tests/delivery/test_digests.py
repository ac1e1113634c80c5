"""The daily digest: one letter at the reader's hour, whatever fails; corrections and kills at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from syndicator.carriers import open_carrier
from syndicator.channels.email import Email
from syndicator.channels.options import EmailOptions, next_digest_at
from syndicator.config import Mail
from syndicator.delivery.digests import Digests
from syndicator.domain.deliveries import Attempt
from syndicator.domain.publishers import PublisherState
from syndicator.domain.subscriptions import ChannelKind
from syndicator.house import House
from syndicator.operations.subscriptions import pause, resume
from syndicator.operations.tallies import read_tallies
from tests.channels.talk import Partner, partner_of
from tests.clocks import NOON, HandClock
from tests.exits import as_read
from tests.mailbox import Mailbox

SEVEN_IN_PARIS = datetime(2026, 7, 2, 5, 0, tzinfo=UTC)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def reader(house: House, mailbox: Mailbox) -> Iterator[Partner]:
    """Somebody in Paris who reads at seven; it is two in the afternoon there."""
    mail = Mail(**{"from": "Wire <wire@wire.example>", "url": mailbox.url})
    object.__setattr__(house, "config", house.config.model_copy(update={"mail": mail}))
    options = {"frequency": "daily", "hour": "7", "timezone": "Europe/Paris"}
    with partner_of(house, ChannelKind.EMAIL, "news@publisher", **options) as made:
        yield made


def send(reader: Partner) -> int:
    return Digests(reader.house, Email(reader.house.config, open_carrier(reader.house.config))).send_due()


def parts(message: EmailMessage) -> list[str]:
    return [part.get_content() for part in message.iter_parts() if isinstance(part, EmailMessage)]


def test_all_stories_of_a_day_come_in_one_letter_at_the_hour(reader: Partner, mailbox: Mailbox, clock: HandClock) -> None:
    for number in range(3):
        reader.desk.publish(external_id=f"story-{number}", headline=f"Story <{number}>")
        assert reader.drain()[0] == "owed"
        clock.advance(timedelta(hours=number))
    assert (send(reader), mailbox.raw) == (0, [])
    clock.now = SEVEN_IN_PARIS
    assert (reader.engine.drain_due(), send(reader), send(reader)) == (0, 1, 0)
    [message] = mailbox.messages
    assert message["Subject"] == "Daily Caller News Foundation, Latest stories (3)"
    assert message["Date"].datetime == NOON + timedelta(hours=1)  # of the newest story; an old letter is taken for junk
    for part in parts(message):
        assert as_read(part).count(reader.house.config.notice.text) == 1
        assert [f"Story <{number}>" in part or f"Story &lt;{number}&gt;" in part for number in range(3)] == [True] * 3
    assert {delivery.state.value for delivery in reader.owed} == {"delivered"}
    with reader.house.sessions() as session:
        assert len(session.scalars(select(Attempt)).all()) == 3
    reader.desk.publish(external_id="next", headline="Next")
    assert reader.owed[-1].next_attempt_at == SEVEN_IN_PARIS + timedelta(days=1)


def test_corrections_and_kills_do_not_wait(reader: Partner, mailbox: Mailbox, clock: HandClock) -> None:
    story = reader.desk.publish().story
    clock.now = SEVEN_IN_PARIS
    send(reader)
    clock.advance(timedelta(hours=1))
    reader.desk.publish(correction_note="It was 220.", headline="220 gauges")
    assert reader.drain() == ("delivered", "")
    reader.desk.kill(story)
    assert reader.drain() == ("delivered", "")
    assert [message["Subject"] for message in mailbox.messages[1:]] == ["Correction: 220 gauges", "KILLED: 220 gauges"]


def test_a_story_killed_before_the_hour_is_not_in_the_letter(reader: Partner, mailbox: Mailbox, clock: HandClock) -> None:
    story = reader.desk.publish(headline="Wrong").story
    reader.desk.publish(external_id="right", headline="Right")
    reader.desk.kill(story)
    reader.drain()
    clock.now = SEVEN_IN_PARIS
    assert send(reader) == 1
    assert "Wrong" not in mailbox.raw[-1].decode()


def test_a_digest_tried_again_is_the_same_letter(reader: Partner, mailbox: Mailbox, clock: HandClock) -> None:
    for number in range(2):
        reader.desk.publish(external_id=f"story-{number}")
    clock.now = SEVEN_IN_PARIS
    mailbox.after_data = "451 4.3.0 Later"
    send(reader)
    mailbox.after_data = "250 OK"
    clock.now = max(delivery.next_attempt_at or clock.now for delivery in reader.owed)
    send(reader)
    first, second = mailbox.raw
    assert first == second
    assert {delivery.state.value for delivery in reader.owed} == {"delivered"}


def test_what_waited_and_what_was_missed_in_a_pause_come_in_one_letter_at_the_hour(
    reader: Partner, mailbox: Mailbox, clock: HandClock
) -> None:
    reader.desk.publish(external_id="kept", headline="Kept")
    with reader.house.sessions.begin() as session:
        pause(session, session.merge(reader.now()), reason="holiday", actor="test", at=clock())
    reader.desk.publish(external_id="missed", headline="Missed")
    clock.now = SEVEN_IN_PARIS + timedelta(hours=1)
    assert send(reader) == 0
    with reader.house.sessions.begin() as session:
        resume(session, session.merge(reader.now()), actor="test", at=clock())
    assert (reader.engine.drain_due(), send(reader), mailbox.raw) == (0, 0, [])
    clock.now = SEVEN_IN_PARIS + timedelta(days=1)
    assert send(reader) == 1
    [letter] = [message.as_string() for message in mailbox.messages]
    assert "Kept" in letter
    assert "Missed" in letter


def test_a_digest_is_an_attempt_in_the_log_and_in_the_numbers(
    reader: Partner, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        reader.desk.publish(external_id=f"story-{number}")
    clock.now = SEVEN_IN_PARIS
    with caplog.at_level(logging.INFO, "syndicator.delivery.digests"):
        send(reader)
    assert "channel=email outcome=accepted" in caplog.text
    with reader.house.sessions() as session:
        assert read_tallies(session, "attempts") == {("email", "accepted"): 1}


def test_who_was_suspended_meanwhile_gets_no_letter(reader: Partner, mailbox: Mailbox, clock: HandClock) -> None:
    reader.desk.publish()
    reader.desk.move(reader.publisher, PublisherState.SUSPENDED)
    clock.now = SEVEN_IN_PARIS
    assert (send(reader), mailbox.raw) == (0, [])
    assert (reader.owed[0].state.value, reader.owed[0].last_reason) == ("cancelled", "suspended")


@pytest.mark.parametrize(
    ("zone", "hour", "days"),
    [
        ("Europe/Paris", 7, ["28T06:00", "29T05:00", "30T05:00"]),  # the night of 29 March has 23 hours
        ("Europe/Paris", 2, ["28T01:00", "29T01:00", "30T00:00"]),  # and no two o'clock: the letter comes at three
        ("America/New_York", 7, ["28T11:00", "29T11:00", "30T11:00"]),
    ],
)
def test_the_hour_is_the_readers_also_when_clocks_change(zone: str, hour: int, days: list[str]) -> None:
    at, found = datetime(2026, 3, 27, 12, 0, tzinfo=UTC), []
    for _ in days:
        at = next_digest_at(EmailOptions(hour=hour, timezone=zone), at)
        found.append(f"{at:%dT%H:%M}")
    assert found == days


def test_an_hour_that_comes_twice_brings_one_letter() -> None:
    options = EmailOptions(hour=2, timezone="Europe/Paris")
    first = next_digest_at(options, datetime(2026, 10, 24, 12, 0, tzinfo=UTC))
    assert (first, next_digest_at(options, first)) == (
        datetime(2026, 10, 25, 0, tzinfo=UTC),
        datetime(2026, 10, 26, 1, tzinfo=UTC),
    )


@given(
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    minutes=st.integers(0, 2 * 366 * 24 * 60),
)
def test_the_next_hour_comes_within_a_day_and_an_hour(hour: int, zone: str, minutes: int) -> None:
    after = SEVEN_IN_PARIS + timedelta(minutes=minutes)
    due = next_digest_at(EmailOptions(hour=hour, timezone=zone), after)
    assert timedelta() < due - after <= timedelta(hours=25)
    assert (due.astimezone(ZoneInfo(zone)).hour - hour) % 24 in {0, 1}  # later only where the clock skips the hour
