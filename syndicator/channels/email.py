"""E-mail channel: each story, correction and kill as one letter, text and HTML, or many stories as one daily digest.

The Message-ID is the delivery's, so that a letter sent twice after a lost answer is known as one. Unsubscribing takes one click
(RFC 8058) and needs no account. Headers are made by EmailMessage, which lets no line break in (CWE-93). `digest_letter` is sent
by delivery/digests.py, all else by the engine. Raises nothing for what a mail server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import Policy, default
from email.utils import format_datetime
from html import escape

from syndicator.carriers import Carrier
from syndicator.channels import Accepted, Deferred, Outcome, Parcel, Refused
from syndicator.config import Config
from syndicator.domain.stories import EventType
from syndicator.errors import MailDeferred, MailRefused, MailServerAway, RecipientRefused
from syndicator.render.html import render_html
from syndicator.render.notice import notice_html, notice_text, title_of
from syndicator.render.plain import cleaned, one_line, summary_of
from syndicator.render.text import byline, render_text

LONGEST_SUBJECT = 180
SERVER_CONVERSATIONS = 4  # the operator's mail server is asked by so many at once


class BracketedHeader(UnstructuredHeader, BaseHeader):
    """What stands in angle brackets is written whole, each on a line of its own: EmailMessage would make encoded words of what is
    longer than a line, and nobody reads those there (RFC 2369, 2; RFC 2047, 5)."""

    def fold(self, *, policy: Policy[Message]) -> str:
        return f"{self.name}: {self.replace('>, <', f'>,{policy.linesep} <')}{policy.linesep}"


HEADERS = HeaderRegistry()
HEADERS.map_to_type("list-unsubscribe", BracketedHeader)
HEADERS.map_to_type("references", BracketedHeader)
POLICY = default.clone(header_factory=HEADERS)


@dataclass(frozen=True, slots=True)
class Email:
    """A ConversationChannel. A parcel's only secret is the address under which one click ends the subscription."""

    config: Config
    carrier: Carrier

    def party(self, parcel: Parcel) -> str:
        return f"mail-{parcel.delivery_id % SERVER_CONVERSATIONS}"

    def deliver(self, parcel: Parcel, at: datetime) -> Outcome:
        return self.carry(story_letter(self.config, parcel), parcel.endpoint)

    def carry(self, message: EmailMessage, recipient: str) -> Outcome:
        """Hand `message` over. An address that the server takes nothing for ends the subscription (RFC 5321, 4.2.1)."""
        try:
            self.carrier.carry(message, self.config.mail.address, recipient)
        except RecipientRefused as error:
            return Refused(str(error), ends_subscription=True)
        except MailRefused as error:
            return Refused(str(error))
        except MailDeferred as error:
            return Deferred(str(error), ours=isinstance(error, MailServerAway))
        return Accepted(f"a letter to {recipient} was handed over to be delivered")


def story_letter(config: Config, parcel: Parcel) -> EmailMessage:
    """Return the letter that brings one story, with the notice in both of its parts."""
    entry, terms = parcel.entry, parcel.terms
    mark = "Correction: " if parcel.event is EventType.CORRECTED else ""
    message = _envelope(config, parcel, f"{mark}{title_of(cleaned(entry))}", parcel.uid)
    message["References"] = _message_id(config, entry.public_id)  # a story's letters stand together
    return _fill(message, parcel.secrets[0], render_text(entry, terms), render_html(entry, terms), parcel.uid)


def digest_letter(config: Config, parcels: Sequence[Parcel], title: str, uid: str) -> EmailMessage:
    """Return one letter that tells of all `parcels`, oldest first, each by headline, summary and link; the notice once."""
    first, last = parcels[0], parcels[-1]
    terms = cleaned(first.terms)
    message = _envelope(config, last, f"{title} ({len(parcels)})", uid)  # dated as its newest story, not a day back
    entries = [cleaned(parcel.entry) for parcel in parcels]
    texts = [f"{title_of(entry)}\n{byline(entry, terms)}\n\n{summary_of(entry)}\n{entry.url}" for entry in entries]
    items = [
        f'<h2><a href="{escape(entry.url)}">{escape(title_of(entry))}</a></h2>'
        f"<p>{escape(byline(entry, terms))}</p><p>{escape(summary_of(entry))}</p>"
        for entry in entries
    ]
    text = "\n\n\n".join([*texts, notice_text(terms)]) + "\n"
    return _fill(message, first.secrets[0], text, "\n".join([*items, notice_html(terms)]), uid)


def _envelope(config: Config, parcel: Parcel, subject: str, uid: str) -> EmailMessage:
    mail, authority, leave = config.mail, config.site.authority, parcel.secrets[0]
    message = EmailMessage(policy=POLICY)
    message["From"] = mail.sender
    message["To"] = Address(addr_spec=parcel.endpoint)
    message["Subject"] = _subject(subject)
    message["Date"] = format_datetime(parcel.at)
    message["Message-ID"] = _message_id(config, uid)
    message["List-Id"] = f"{parcel.subscribed} <{parcel.subscribed}.{authority}>"  # RFC 2919
    token = leave.rpartition("/")[2]
    message["List-Unsubscribe"] = f"<{leave}>, <mailto:{mail.unsubscribe_to or mail.address}?subject=unsubscribe-{token}>"
    if leave.startswith("https:"):
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058, 3.1
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks robots not to answer
    return message


def _fill(message: EmailMessage, leave: str, text: str, html: str, uid: str) -> EmailMessage:
    """Put the two parts in; equal letters give equal bytes, so the boundary is no chance one."""
    message.set_content(f"{text}\n-- \nYou get this since you subscribed to it. To end that: {leave}\n", cte="quoted-printable")
    foot = f'<hr><p><small>You get this since you subscribed to it. <a href="{escape(leave)}">Unsubscribe</a></small></p>'
    page = f'<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n{html}\n{foot}\n</body></html>\n'
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_{uid}")
    return message


def _subject(text: str) -> str:
    line = "".join(mark for mark in one_line(text) if mark.isprintable())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1] + "…"


def _message_id(config: Config, uid: str) -> str:
    return f"<{uid}@{config.site.authority}>"
