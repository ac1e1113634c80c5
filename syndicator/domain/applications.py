"""Applications: what a publisher tells about itself, its audience figures, contacts, and what the desk notes beside them.

Rows are for what rules and look-ups use; all other answers lie in one document, so that a new question changes no table.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice
from syndicator.domain.publishers import Publisher


class ApplicationState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    MORE_INFO = "more_info"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


_S = ApplicationState
# Which states may follow which. What has been decided or withdrawn stays so; a new try is a new application.
NEXT_STATES: dict[ApplicationState, frozenset[ApplicationState]] = {
    _S.DRAFT: frozenset({_S.SUBMITTED, _S.WITHDRAWN}),
    _S.SUBMITTED: frozenset({_S.IN_REVIEW, _S.MORE_INFO, _S.APPROVED, _S.DECLINED, _S.WITHDRAWN}),
    _S.IN_REVIEW: frozenset({_S.SUBMITTED, _S.MORE_INFO, _S.APPROVED, _S.DECLINED, _S.WITHDRAWN}),
    _S.MORE_INFO: frozenset({_S.IN_REVIEW, _S.APPROVED, _S.DECLINED, _S.WITHDRAWN}),
    _S.APPROVED: frozenset(),
    _S.DECLINED: frozenset(),
    _S.WITHDRAWN: frozenset(),
}
OPEN_STATES = frozenset(state for state, following in NEXT_STATES.items() if following)
WAITING_STATES = frozenset({_S.SUBMITTED, _S.IN_REVIEW})  # for the desk
APPLICANTS_STATES = frozenset({_S.DRAFT, _S.MORE_INFO})  # in which the applicant may change what it says


class ContactKind(StrEnum):
    EDITORIAL = "editorial"  # corrections and kills, at once
    TECHNICAL = "technical"
    LICENSING = "licensing"


class Application(Base):
    """One request of a publisher to be approved, or to be approved anew. `version` grows with every change (optimistic lock)."""

    __tablename__ = "applications"
    __table_args__ = (
        Index("ix_applications_state", "state", "submitted_at", "id"),
        Index("ix_applications_publisher", "publisher_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    renewal: Mapped[bool] = mapped_column(default=False)
    state: Mapped[ApplicationState] = mapped_column(choice(ApplicationState), default=ApplicationState.DRAFT)
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    question: Mapped[str] = mapped_column(Text, default="")  # what the desk asked for last
    reply: Mapped[str] = mapped_column(Text, default="")  # what the applicant answered to it
    owner: Mapped[str] = mapped_column(String(254), default="")  # e-mail address of the reviewer who took it
    applicant: Mapped[str] = mapped_column(String(254))  # e-mail address of the member who sent it
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column()

    publisher: Mapped[Publisher] = relationship(lazy="joined", innerjoin=True)
    notes: Mapped[list[ApplicationNote]] = relationship(order_by="ApplicationNote.id")

    __mapper_args__ = {"version_id_col": version}

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def changeable(self) -> bool:
        """Whether the applicant may change what it says."""
        return self.state in APPLICANTS_STATES


class ApplicationNote(Base):
    """A remark for the desk alone."""

    __tablename__ = "application_notes"
    __table_args__ = (Index("ix_application_notes_application", "application_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("applications.id"))
    words: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(254))
    written_at: Mapped[datetime]


class AudienceEvidence(Base):
    """A monthly audience figure of one site over some months, where it comes from, and the file or link that shows it, if any."""

    __tablename__ = "audience_evidence"
    __table_args__ = (Index("ix_audience_evidence_publisher", "publisher_id", "id"), Index("ix_audience_evidence_hash", "sha256"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    site: Mapped[str] = mapped_column(String(253))
    first_month: Mapped[date]  # the first day of the first month counted
    last_month: Mapped[date]  # the first day of the last month counted
    unique_visitors: Mapped[int]  # a month, on average
    page_views: Mapped[int | None]  # a month, on average
    source: Mapped[str] = mapped_column(String(200))
    link: Mapped[str] = mapped_column(String(2048), default="")
    file_name: Mapped[str] = mapped_column(String(120), default="")
    media_type: Mapped[str] = mapped_column(String(80), default="")
    size_bytes: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")  # names the stored file; empty: none was given
    given_by: Mapped[str] = mapped_column(String(254))
    given_at: Mapped[datetime]


class PublisherContact(Base):
    """Whom to reach at a publisher, and what for."""

    __tablename__ = "publisher_contacts"
    __table_args__ = (UniqueConstraint("publisher_id", "kind"), Index("ix_publisher_contacts_email", "email"))

    id: Mapped[int] = mapped_column(primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    kind: Mapped[ContactKind] = mapped_column(choice(ContactKind))
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))


class ApplicationRequest(Base):
    """What somebody filled in at /apply. It becomes an application when the letter's link shows that the address is theirs."""

    __tablename__ = "application_requests"
    __table_args__ = (
        Index("ix_application_requests_address", "address", "asked_at"),
        Index("ix_application_requests_email", "email", "asked_at"),
        Index("ix_application_requests_asked", "asked_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class Reminder(Base):
    """A letter of reminder that was written, so that it is written once."""

    __tablename__ = "reminders"
    __table_args__ = (UniqueConstraint("publisher_id", "about"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    about: Mapped[str] = mapped_column(String(80))
    written_at: Mapped[datetime]


def state_may_follow(old: ApplicationState, new: ApplicationState) -> bool:
    return new in NEXT_STATES[old]
