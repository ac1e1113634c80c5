"""Stories by e-mail: both parts with the notice, one Message-ID for all tries, unsubscribed by one click, ended by a bounce."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest

from syndicator.config import Mail
from syndicator.domain.subscriptions import ChannelKind, SubscriptionState, Told
from syndicator.errors import InvalidRequest
from syndicator.house import House
from syndicator.operations.unsubscribe import unsubscribe_url
from tests.channels.talk import Partner, partner_of
from tests.clocks import HandClock
from tests.exits import as_read
from tests.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def by_mail(house: House, mailbox: Mailbox) -> House:
    mail = Mail(**{"from": "Wire <wire@wire.example>", "url": mailbox.url})
    object.__setattr__(house, "config", house.config.model_copy(update={"mail": mail}))
    return house


@pytest.fixture
def partner(small_house: House, mailbox: Mailbox) -> Iterator[Partner]:
    with partner_of(by_mail(small_house, mailbox), ChannelKind.EMAIL, "news@publisher") as made:
        yield made


def parts(message: EmailMessage) -> list[str]:
    return [part.get_content() for part in message.iter_parts() if isinstance(part, EmailMessage)]


def test_a_story_comes_as_text_and_html_with_the_notice_once_in_each(partner: Partner, mailbox: Mailbox) -> None:
    partner.desk.publish(headline="Zwölf\r\nBcc: all@evil.example")
    assert partner.drain() == ("delivered", "")
    [message] = mailbox.messages
    text, html = parts(message)
    notice = partner.house.config.notice.text
    assert (as_read(text).count(notice), as_read(html).count(notice)) == (1, 1)
    assert "Two hundred gauges report" in text
    assert "Two hundred gauges report" in html
    assert message["Subject"] == "Zwölf Bcc: all@evil.example"
    assert message["Bcc"] is None
    assert message["List-Id"] == "latest <latest.wire.example>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mailbox.recipients == [partner.subscription.endpoint]


def test_the_way_out_stands_in_the_letter_as_mail_systems_read_it(partner: Partner, mailbox: Mailbox) -> None:
    """RFC 2369: addresses are written plainly however long they are, so that Gmail's button finds them (RFC 8058)."""
    partner.desk.publish()
    partner.drain()
    header = mailbox.raw[0].partition(b"\r\n\r\n")[0].decode()
    path = unsubscribe_url(partner.house, partner.subscription.public_id).removeprefix("https://wire.example/u/")
    assert (
        f"\r\nList-Unsubscribe: <https://wire.example/u/{path}>,\r\n <mailto:wire@wire.example?subject=unsubscribe-{path}>\r\n"
        in header
    )
    assert "\r\nReferences: <" in header


def test_a_letter_tried_again_has_the_same_id_and_the_same_bytes(partner: Partner, mailbox: Mailbox) -> None:
    mailbox.after_data = "451 4.3.0 Later"
    partner.desk.publish()
    assert partner.drain() == ("owed", "the server answers 451")
    mailbox.after_data = "250 OK"
    assert partner.again() == ("delivered", "")
    first, second = mailbox.raw
    assert first == second


def test_days_without_our_own_mail_server_use_up_no_try_and_count_against_no_subscriber(
    partner: Partner, mailbox: Mailbox, clock: HandClock
) -> None:
    mailbox.sender_answer = "421 4.3.2 Not now"
    partner.desk.publish()
    for _ in range(8):
        assert partner.drain() == ("owed", "the server answers 421")
        clock.now += timedelta(days=1)
    mailbox.sender_answer = "250 OK"
    assert partner.drain() == ("delivered", "")
    there = partner.now()
    assert (there.state, there.failing_since, there.told) == (SubscriptionState.ACTIVE, None, Told.NOTHING)


def test_a_correction_and_a_kill_say_so_in_the_subject_and_stand_with_their_story(partner: Partner, mailbox: Mailbox) -> None:
    story = partner.desk.publish().story
    partner.drain()
    partner.desk.publish(correction_note="It was 220.", headline="220 gauges")
    partner.drain()
    partner.desk.kill(story)
    partner.drain()
    subjects = [message["Subject"] for message in mailbox.messages]
    assert subjects == ["River gauges go live", "Correction: 220 gauges", "KILLED: 220 gauges"]
    assert len({message["References"] for message in mailbox.messages}) == 1
    assert "Two hundred" not in "".join(parts(mailbox.messages[-1]))


def test_an_address_that_is_refused_for_good_ends_the_subscription(partner: Partner, mailbox: Mailbox) -> None:
    mailbox.refuse[partner.subscription.endpoint] = "550 5.1.1 No such user"
    partner.desk.publish()
    assert partner.drain() == ("given_up", "the server refuses the recipient (550)")
    ended = partner.now()
    assert (ended.state, ended.state_reason) == (
        SubscriptionState.ENDED,
        "the endpoint answered: the server refuses the recipient (550)",
    )


def test_only_mailboxes_of_the_publisher_are_written_to(small_house: House, mailbox: Mailbox) -> None:
    for address in ("somebody@else.example", "a@b@publisher", "no address", "x y@publisher", "ä@publisher"):
        with pytest.raises(InvalidRequest), partner_of(small_house, ChannelKind.EMAIL, address):
            pass
