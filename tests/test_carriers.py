"""Carriers against a real SMTP server and a real folder: signed, once, and honest about what went wrong."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from syndicator.carriers import open_carrier
from syndicator.config import Config, Mail
from syndicator.errors import ConfigError, MailDeferred, MailRefused, RecipientRefused
from tests.mailbox import Mailbox, read_message
from tests.receiver import tls_for


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def mail(config: Config, **changes: str) -> Config:
    return config.model_copy(update={"mail": Mail(**{"from": "Wire <wire@news.example>", **changes})})


def letter(to: str = "editor@courier.example") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Wire <wire@news.example>"
    message["To"] = to
    message["Subject"] = "Zwölf Brücken"
    message["Message-ID"] = "<let_1@news.example>"
    message["List-Unsubscribe"] = "<https://news.example/u/x>"
    message.set_content("Zwölf Brücken sind gesperrt.\n" + "lang " * 400)
    return message


def carry(config: Config, to: str = "editor@courier.example") -> None:
    open_carrier(config).carry(letter(to), "wire@news.example", to)


def test_a_letter_reaches_the_server_unchanged(config: Config, mailbox: Mailbox) -> None:
    carry(mail(config, url=mailbox.url))
    [message] = mailbox.messages
    assert message["Subject"] == "Zwölf Brücken"
    assert "Zwölf Brücken sind gesperrt." in message.get_content()
    assert mailbox.raw[0].isascii()


def test_a_signature_holds_at_the_far_end_and_breaks_with_the_unsubscribe_header(
    config: Config, mailbox: Mailbox, tmp_path: Path
) -> None:
    key = generate_private_key(65537, 2048)
    config.data_dir.mkdir(parents=True)
    encodings = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (config.data_dir / "dkim.pem").write_bytes(key.private_bytes(*encodings))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    carry(mail(config, url=mailbox.url, dkim_key_file="dkim.pem", dkim_selector="s1"))
    asked: list[bytes] = []

    def answer(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    assert dkim.verify(mailbox.raw[0], dnsfunc=answer)
    assert asked == [b"s1._domainkey.news.example."]
    assert not dkim.verify(mailbox.raw[0].replace(b"/u/x", b"/u/y"), dnsfunc=answer)


def test_a_folder_holds_a_letter_once_however_often_it_is_carried(config: Config) -> None:
    for _ in range(2):
        carry(mail(config, url="file:"))
    [file] = (config.data_dir / "outbox").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("let_1_news.example.eml", 0o600)
    assert read_message(file.read_bytes())["To"] == "editor@courier.example"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 5.1.1 No such user", RecipientRefused),
        ("550 No such user", RecipientRefused),
        ("550 5.2.1 Mailbox disabled", RecipientRefused),
        ("452 4.2.2 Mailbox full", MailDeferred),
        ("552 5.2.2 Mailbox full", MailDeferred),
        ("554 5.7.1 Relay access denied", MailDeferred),  # ours to mend; it must not end every subscription
    ],
)
def test_a_refused_recipient_is_told_from_one_that_waits(
    config: Config, mailbox: Mailbox, answer: str, error: type[Exception]
) -> None:
    mailbox.refuse["editor@courier.example"] = answer
    with pytest.raises(error) as refused:
        carry(mail(config, url=mailbox.url))
    assert type(refused.value) is error


def test_a_server_that_does_not_like_the_sender_is_tried_again(config: Config, mailbox: Mailbox) -> None:
    mailbox.sender_answer = "553 5.7.1 Sender address rejected"
    with pytest.raises(MailDeferred, match="553"):
        carry(mail(config, url=mailbox.url))


def test_a_server_on_this_machine_needs_no_certificate_that_anybody_knows(config: Config, tmp_path: Path) -> None:
    context, _ = tls_for("127.0.0.1", tmp_path)
    with Mailbox(tls=context) as mailbox:
        carry(mail(config, url=mailbox.url))
        with pytest.raises(MailDeferred, match="SSLCertVerificationError"):
            carry(mail(config, url=f"{mailbox.url}?tls=required"))
        assert len(mailbox.raw) == 1


def test_a_refused_letter_does_not_blame_the_recipient(config: Config, mailbox: Mailbox) -> None:
    mailbox.after_data = "554 5.7.1 Looks like spam"
    with pytest.raises(MailRefused) as refused:
        carry(mail(config, url=mailbox.url))
    assert not isinstance(refused.value, RecipientRefused)


def test_a_server_that_is_away_is_tried_again(config: Config) -> None:
    with Mailbox() as mailbox:
        away = mailbox.url
    with pytest.raises(MailDeferred):
        carry(mail(config, url=away))


def test_a_wrong_key_stops_at_the_start(config: Config) -> None:
    with pytest.raises(ConfigError, match="dkim_key_file"):
        open_carrier(mail(config, dkim_key_file="none.pem", dkim_selector="s1"))
