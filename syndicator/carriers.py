"""Carriers take one finished message to where the operator wants mail to go: a folder, or an SMTP server.

Everything that is mailed goes this way, letters and stories alike: `open_carrier(config).carry(message, sender, recipient)` with
an EmailMessage that has its Message-ID, which is the same for every try. Each is signed here when a DKIM key is set. The server
is the operator's, so it is not asked of outbound.py. A carrier raises MailRefused for what trying again will not change
(RecipientRefused when the address is at fault), and MailDeferred for everything else; neither tells a password.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from syndicator.config import Config
from syndicator.errors import ConfigError, MailDeferred, MailRefused, MailServerAway, RecipientRefused

TIMEOUT_SECONDS = 20.0
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# RFC 8058 (section 4) wants the unsubscribe headers signed; the rest is what a reader sees.
SIGNED = (
    *(b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type"),
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"),
)

# RFC 3463: of the lasting refusals only those without a reason, those of the address (5.1) and of a mailbox that is closed
# (5.2.1) say that nothing will ever arrive. A full mailbox, or a relay that does not know us, may be mended.
_ABOUT_THE_ADDRESS = re.compile(rb"5\.1\.|5\.2\.1\b|5\.0\.|(?![0-9]\.[0-9]+\.)")

Seal = Callable[[bytes], bytes]  # a whole message to the same message with a signature


class Carrier(Protocol):
    def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand `message` over, or raise MailRefused or MailDeferred."""


def unsealed(message: bytes) -> bytes:
    return message


@dataclass(frozen=True, slots=True)
class FolderCarrier:
    """Puts each message into `folder` as NAME.eml, for a machine without a mail server; nothing is sent.

    The name is the Message-ID's, so that a message carried twice is there once.
    """

    folder: Path
    seal: Seal = unsealed

    def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
        name = "".join(mark if mark.isalnum() or mark in "._-" else "_" for mark in str(message["Message-ID"]).strip("<>"))[:120]
        fresh = self.folder / f".{name}.{token_hex(4)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.touch(mode=0o600)  # a letter may hold a link that signs in
            fresh.write_bytes(self.seal(written(message)))
            fresh.rename(self.folder / f"{name}.eml")
        except OSError as error:
            raise MailServerAway(f"the outbox cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class SmtpCarrier:
    """Speaks to the SMTP server of `url`: smtps:// is TLS from the start; smtp:// turns TLS on where it is offered and the
    server is another machine.

    `smtp://…?tls=required` goes no further without TLS, nor does a password ever, except to this machine itself.
    """

    url: str
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    seal: Seal = unsealed

    def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
        whole = self.seal(written(message))
        if not recipient.isascii():
            raise RecipientRefused("the address is not written in ASCII")
        with self.conversation() as server:
            server.sendmail(sender, [recipient], whole)

    @contextmanager
    def conversation(self) -> Iterator[smtplib.SMTP]:
        """Open a connection that is ready to send; whatever goes wrong in it leaves as MailRefused or MailDeferred."""
        parts = urlsplit(self.url)
        try:
            with self._connect(parts) as server:
                self._sign_in(server, parts)
                yield server
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()), (450, b""))
            no_address = code >= 500 and _ABOUT_THE_ADDRESS.match(words)
            raise (RecipientRefused if no_address else MailDeferred)(f"the server refuses the recipient ({code})") from error
        except smtplib.SMTPDataError as error:
            raise (MailRefused if error.smtp_code >= 550 else MailDeferred)(f"the server answers {error.smtp_code}") from error
        except smtplib.SMTPResponseException as error:
            # Before the letter itself it is our address, password or network that is not liked: the operator will put that
            # right, and the letter should then go.
            raise MailServerAway(f"the server answers {error.smtp_code}") from error
        except smtplib.SMTPException as error:
            raise MailServerAway(f"the server breaks off ({type(error).__name__})") from error
        except OSError as error:
            raise MailServerAway(f"no connection ({type(error).__name__})") from error

    def _connect(self, parts: SplitResult) -> smtplib.SMTP:
        host = parts.hostname or ""
        if parts.scheme == "smtps":
            return smtplib.SMTP_SSL(host, parts.port or smtplib.SMTP_SSL_PORT, timeout=TIMEOUT_SECONDS, context=self.context)
        return smtplib.SMTP(host, parts.port or smtplib.SMTP_PORT, timeout=TIMEOUT_SECONDS)

    def _sign_in(self, server: smtplib.SMTP, parts: SplitResult) -> None:
        server.ehlo()
        protected = parts.scheme == "smtps"
        wants_tls = parse_qs(parts.query).get("tls") == ["required"]
        here = parts.hostname in LOOPBACK  # where a mail server often shows a certificate made by itself
        if not protected and server.has_extn("starttls") and (wants_tls or not here):
            server.starttls(context=self.context)
            server.ehlo()
            protected = True
        if not protected and (wants_tls or (parts.username and not here)):
            raise MailServerAway("the server offers no TLS")
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))


def written(message: EmailMessage) -> bytes:
    """Return `message` as it travels: CRLF, seven bits, so that no server on the way rewrites what was signed."""
    return message.as_bytes(policy=SMTP.clone(cte_type="7bit"))


def signed(message: bytes, *, selector: str, domain: str, key: bytes) -> bytes:
    """Return `message` with a DKIM signature before it (RFC 6376, rsa-sha256, relaxed/relaxed)."""
    import dkim  # it brings a resolver, and few who load this file sign

    headers = {line.partition(b":")[0].lower() for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    named = [name for name in SIGNED if name in headers]
    canonical = (b"relaxed", b"relaxed")
    signature: bytes = dkim.sign(message, selector.encode(), domain.encode(), key, canonicalize=canonical, include_headers=named)
    return signature + message


def open_carrier(config: Config) -> Carrier:
    """Return the carrier that `[mail] url` names. Raises ConfigError, also for a DKIM key that is none."""
    url, seal = config.mail.url, _seal(config)
    if url.startswith("file:"):
        return FolderCarrier(Path(url.removeprefix("file:") or config.data_dir / "outbox"), seal)
    if not urlsplit(url).hostname:
        raise ConfigError("mail.url: names no host")
    return SmtpCarrier(url, seal=seal)


def _seal(config: Config) -> Seal:
    mail = config.mail
    if not mail.dkim_key_file:
        return unsealed
    import dkim

    domain = mail.dkim_domain or mail.address.rpartition("@")[2]
    try:
        seal = partial(
            signed, selector=mail.dkim_selector, domain=domain, key=(config.data_dir / mail.dkim_key_file).read_bytes()
        )
        seal(b"From: x@y.example\r\n\r\n\r\n")
    except (OSError, dkim.DKIMException, ValueError) as error:
        raise ConfigError(f"mail.dkim_key_file: no RSA key in PEM can be read ({type(error).__name__})") from error
    return seal
