"""The post office: takes letters that are owed to the carrier, a few at a time, and records what became of each.

A claim is the next try written down beforehand: a crash in between delays a letter and loses none. The message's id is the
letter's, so the copy that a lost answer may cause is known as one. No transaction is open while mail moves.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from sqlalchemy import select

from syndicator.carriers import Carrier
from syndicator.domain.letters import SECRET_MARK, Letter, LetterState, next_try
from syndicator.errors import MailDeferred, MailRefused
from syndicator.house import House
from syndicator.operations.links import answer_requests
from syndicator.storage.engine import reading

log = logging.getLogger(__name__)
BATCH = 50
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class PostOffice:
    house: House
    carrier: Carrier

    def send_owed(self) -> int:
        """Send the letters that are due, some at most; returns how many left."""
        self._answer_requests()
        sent = 0
        for _ in range(BATCH):
            letter = self._claim()
            if letter is None:
                break
            sent += self._send(letter)
        return sent

    def _answer_requests(self) -> None:
        house = self.house
        with house.sessions.begin() as session:
            answer_requests(session, house, at=house.clock())

    def _claim(self) -> Letter | None:
        """Take the letter that is due longest; one at a time, so that none waits in our hands while a slow server keeps us."""
        at = self.house.clock()
        due = (
            select(Letter)
            .where(Letter.state == LetterState.OWED, Letter.next_attempt_at <= at)
            .order_by(Letter.next_attempt_at, Letter.id)
            .limit(1)
        )
        with reading(self.house.sessions) as session:
            if session.scalar(due.with_only_columns(Letter.id)) is None:
                return None
        with self.house.sessions.begin() as session:
            letter = session.scalars(due.with_for_update(skip_locked=True)).one_or_none()
            if letter is not None:
                letter.attempts += 1
                letter.next_attempt_at = at + LEASE
            return letter

    def _send(self, letter: Letter) -> bool:
        """Send one claimed letter and record how it went; says whether it left."""
        error, lasting = "", False
        try:
            self.carrier.carry(message_of(self.house, letter), self.house.config.mail.address, letter.recipient)
        except ValueError as broken:  # such as a header that is none: it will not be a better one next time
            error, lasting = f"the letter cannot be put together ({type(broken).__name__})", True
        except MailRefused as refused:
            error, lasting = str(refused), True
        except MailDeferred as deferred:
            error = str(deferred)
        with self.house.sessions.begin() as session:
            self._record(session.get_one(Letter, letter.id), error, lasting=lasting)
        log.log(
            logging.WARNING if error else logging.INFO,
            "letter %s letter=%s kind=%s attempt=%s reason=%s",
            "not sent" if error else "sent",
            letter.public_id,
            letter.kind,
            letter.attempts,
            error or "-",
        )
        return not error

    def _record(self, letter: Letter, error: str, *, lasting: bool) -> None:
        at = self.house.clock()
        letter.last_error = error
        if not error:
            letter.state, letter.sent_at, letter.next_attempt_at, letter.secret = LetterState.SENT, at, None, None
            return
        letter.next_attempt_at = None if lasting else next_try(letter.attempts, at)
        if letter.next_attempt_at is None:
            letter.state = LetterState.FAILED


def message_of(house: House, letter: Letter) -> EmailMessage:
    """Build the message, text and HTML. EmailMessage refuses a header with a line break, so none can be smuggled in (CWE-93)."""
    secret = house.vault.unlock(letter.secret) if letter.secret else ""
    message = EmailMessage()
    message["From"] = house.config.mail.sender
    message["To"] = letter.recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.created_at)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks robots not to answer
    if letter.reply_to:
        message["Reply-To"] = letter.reply_to
    message.set_content(letter.text.replace(SECRET_MARK, secret))
    message.add_alternative(letter.html.replace(SECRET_MARK, secret), subtype="html")
    return message
