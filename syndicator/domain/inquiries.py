"""Licensing inquiries: what somebody asked for beyond the free-use terms, and what was written back and forth about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice


class InquiryState(StrEnum):
    OPEN = "open"  # somebody waits for us
    ANSWERED = "answered"  # we wait for them
    CLOSED = "closed"


class Said(StrEnum):
    """Whose words a line of the thread are."""

    ASKED = "asked"
    REPLIED = "replied"  # by letter
    NOTED = "noted"  # for the desk alone


class Inquiry(Base):
    """One question, by anybody; nothing it says of its writer has been checked."""

    __tablename__ = "inquiries"
    __table_args__ = (
        Index("ix_inquiries_state", "state", "changed_at", "id"),
        Index("ix_inquiries_address", "address", "created_at"),
        Index("ix_inquiries_email", "email", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))
    organisation: Mapped[str] = mapped_column(String(200), default="")
    subject: Mapped[str] = mapped_column(String(160))
    state: Mapped[InquiryState] = mapped_column(choice(InquiryState), default=InquiryState.OPEN)
    owner: Mapped[str] = mapped_column(String(254), default="")  # e-mail address of whoever took it at the desk
    address: Mapped[str] = mapped_column(String(64))  # where it was sent from, as the sign-in counts addresses
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    thread: Mapped[list[InquiryLine]] = relationship(order_by="InquiryLine.id")


class InquiryLine(Base):
    __tablename__ = "inquiry_lines"
    __table_args__ = (Index("ix_inquiry_lines_inquiry", "inquiry_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    inquiry_id: Mapped[int] = mapped_column(ForeignKey("inquiries.id"))
    said: Mapped[Said] = mapped_column(choice(Said))
    words: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(254))
    written_at: Mapped[datetime]
