"""Letters: what is written to people, whether it left, and what stood in its way."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base, choice
from syndicator.domain.publishers import Publisher

# Stands in a stored letter for the one-time link, which only its reader may see; put in when it is sent, then forgotten.
SECRET_MARK = "[[one-time-link]]"  # noqa: S105 -- the place of a secret, not one
# Waits between tries; after the last the letter has failed, and the desk shows it.
RETRIES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720, 1440))


class LetterState(StrEnum):
    OWED = "owed"
    SENT = "sent"
    FAILED = "failed"


class Letter(Base):
    """One letter to one person. It is written in the transaction of what it tells about, and sent afterwards."""

    __tablename__ = "letters"
    __table_args__ = (
        Index("ix_letters_due", "state", "next_attempt_at"),
        Index("ix_letters_publisher", "publisher_id", "id"),
        Index("ix_letters_about", "about"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    message_id: Mapped[str] = mapped_column(String(120), unique=True)  # the same on every try, so a second copy is known as one
    kind: Mapped[str] = mapped_column(String(40))  # the template's name
    recipient: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str] = mapped_column(String(254), default="")
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)  # what takes the place of SECRET_MARK, locked; None once sent
    publisher_id: Mapped[int | None] = mapped_column(ForeignKey(Publisher.id))
    about: Mapped[str] = mapped_column(String(32), default="")  # the public id of an application or inquiry
    created_at: Mapped[datetime]
    state: Mapped[LetterState] = mapped_column(choice(LetterState), default=LetterState.OWED)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]  # None once settled
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")


def next_try(attempts: int, at: datetime) -> datetime | None:
    """Return when to try again after `attempts` (1-based) tries, None when enough have failed."""
    return at + RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
