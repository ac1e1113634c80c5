"""Letters on their way: handed to a real SMTP server on loopback, tried again, given up, and never two of one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Barrier, Thread

import pytest

from syndicator.carriers import open_carrier
from syndicator.config import Config, Database, Mail
from syndicator.delivery.post_office import PostOffice
from syndicator.domain.letters import RETRIES, SECRET_MARK, Letter, LetterState
from syndicator.errors import Conflict, InvalidRequest, MailDeferred
from syndicator.house import House, open_house
from syndicator.operations.letters import TEMPLATES, try_again, write_letter
from tests.clocks import HandClock
from tests.mailbox import Mailbox


@pytest.fixture
def sqlite_house(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[House]:
    """For what no database decides."""
    opened = open_house(config.model_copy(update={"database": Database(url=sqlite_url)}), clock)
    yield opened
    opened.engine.dispose()


LINK = "https://wire.example/sign-in/link/syn_link_0123"


def write(house: House, **changes: str) -> Letter:
    values = {"to": "lena@courier.example", "heading": "Good news", "words": "You are approved.\n\nWelcome."} | changes
    with house.sessions.begin() as session:
        to = values.pop("to")
        return write_letter(session, house, "note", to=to, at=house.clock(), **values)  # type: ignore[arg-type]


def stored(house: House, letter: Letter) -> Letter:
    with house.sessions() as session:
        return session.get_one(Letter, letter.id)


def office(house: House, url: str) -> PostOffice:
    return PostOffice(house, open_carrier(house.config.model_copy(update={"mail": Mail(url=url)})))


def test_a_letter_leaves_with_its_transaction_or_not_at_all(house: House) -> None:
    with house.sessions() as session:
        write_letter(session, house, "note", to="a@b.example", at=house.clock(), heading="Hello", words="Hello.")
        session.rollback()
    with Mailbox() as mailbox:
        assert office(house, mailbox.url).send_owed() == 0


def test_a_letter_arrives_as_text_and_html_with_the_link_that_nobody_else_sees(house: House) -> None:
    with house.sessions.begin() as session:
        at = house.clock()
        letter = write_letter(session, house, "sign-in", to="lena@courier.example", at=at, secret=LINK, lasts="20 minutes")
    assert LINK not in letter.text + letter.html + (letter.secret or "")
    with Mailbox() as mailbox:
        assert office(house, mailbox.url).send_owed() == 1
        [message] = mailbox.messages
    assert mailbox.recipients == ["lena@courier.example"]
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert LINK in text.get_content()
    assert f'href="{LINK}"' in page.get_content()
    assert message["Message-ID"] == letter.message_id
    after = stored(house, letter)
    assert (after.state, after.secret, after.next_attempt_at) == (LetterState.SENT, None, None)
    assert SECRET_MARK in after.text


def test_the_outbox_holds_each_letter_once(house: House) -> None:
    write(house)
    carrier = open_carrier(house.config)
    assert PostOffice(house, carrier).send_owed() == 1
    [file] = (house.config.data_dir / "outbox").glob("*.eml")
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["Subject"] == "Good news"
    assert file.stat().st_mode & 0o077 == 0


def test_a_server_that_is_busy_is_asked_again_and_then_no_more(house: House, clock: HandClock) -> None:
    letter = write(house)
    with Mailbox() as mailbox:
        mailbox.refuse["lena@courier.example"] = "450 later"
        for wait in (timedelta(0), *RETRIES):
            clock.advance(wait)
            assert office(house, mailbox.url).send_owed() == 0
        assert stored(house, letter).state is LetterState.FAILED
        assert "450" in stored(house, letter).last_error
        mailbox.refuse.clear()
        assert office(house, mailbox.url).send_owed() == 0
        with house.sessions.begin() as session:
            try_again(session, letter.public_id, actor="test", at=clock())
        assert office(house, mailbox.url).send_owed() == 1
    with house.sessions.begin() as session, pytest.raises(Conflict):
        try_again(session, letter.public_id, actor="test", at=clock())


def test_a_refused_address_is_not_tried_again_and_holds_up_no_other(house: House) -> None:
    first, second = write(house, to="gone@courier.example"), write(house)
    with Mailbox() as mailbox:
        mailbox.refuse["gone@courier.example"] = "550 no such person"
        assert office(house, mailbox.url).send_owed() == 1
    assert (stored(house, first).state, stored(house, first).attempts) == (LetterState.FAILED, 1)
    assert stored(house, second).state is LetterState.SENT


def test_no_server_is_no_loss(house: House, clock: HandClock) -> None:
    letter = write(house)
    assert office(house, "smtp://127.0.0.1:1").send_owed() == 0
    assert stored(house, letter).last_error == "no connection (ConnectionRefusedError)"
    clock.advance(RETRIES[0])
    with Mailbox() as mailbox:
        assert office(house, mailbox.url).send_owed() == 1


def test_a_post_office_that_dies_with_a_letter_in_hand_delays_it_and_keeps_its_id(house: House, clock: HandClock) -> None:
    letter = write(house)
    seen: list[str] = []

    class Dying:
        def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
            seen.append(message["Message-ID"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PostOffice(house, Dying()).send_owed()
    assert PostOffice(house, Dying()).send_owed() == 0  # claimed
    clock.advance(timedelta(minutes=5))
    with Mailbox() as mailbox:
        assert office(house, mailbox.url).send_owed() == 1
        assert [each["Message-ID"] for each in mailbox.messages] == seen == [letter.message_id]


def test_two_post_offices_at_once_send_each_letter_once(house: House) -> None:
    letters = [write(house) for _ in range(6)]
    carried: list[str] = []
    together = Barrier(2, timeout=20)

    class Slow:
        def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
            carried.append(message["Message-ID"])

    def work() -> None:
        together.wait()
        PostOffice(house, Slow()).send_owed()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(carried) == sorted(letter.message_id for letter in letters)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "<a@b.example>",
        "a@b.example\x00",
        "a b@c.example",
        "@b.example",
        "a@",
        "a",
        "",
        "a@b@c.example",
        "\u202ea@b.example",
    ],
)
def test_an_address_that_is_more_or_less_than_one_is_refused(sqlite_house: House, address: str) -> None:
    with pytest.raises(InvalidRequest):
        write(sqlite_house, to=address)


def test_what_people_write_becomes_no_header_no_markup_and_no_template(sqlite_house: House) -> None:
    hostile = "Hello\r\nBcc: c@d.example\r\n\r\n<script>fired()</script> {{ secret }} {% raw %} {{ site.base_url }}"
    letter = write(sqlite_house, heading=hostile, words=hostile)
    assert "\n" not in letter.subject
    with Mailbox() as mailbox:
        assert office(sqlite_house, mailbox.url).send_owed() == 1
        [message] = mailbox.messages
    assert message["Bcc"] is None
    assert mailbox.recipients == ["lena@courier.example"]
    page = message.get_body(("html",))
    assert page is not None
    assert "<script>" not in page.get_content()
    assert "{{ site.base_url }}" in page.get_content()


def test_a_deferral_tells_no_password(sqlite_house: House) -> None:
    carrier = open_carrier(
        sqlite_house.config.model_copy(update={"mail": Mail(url="smtp://user:hunter2@203.0.113.1.invalid:25")})
    )
    with pytest.raises(MailDeferred) as refused:
        carrier.carry(EmailMessage(), "a@b.example", "c@d.example")
    assert "hunter2" not in str(refused.value)


def test_every_letter_has_both_of_its_templates() -> None:
    texts = {file.stem for file in TEMPLATES.glob("*.txt")} - {"foot"}
    pages = {file.stem for file in TEMPLATES.glob("*.html")} - {"base", "parts"}
    assert texts == pages
