"""Licensing inquiries: taken from anybody, within bounds, and answered by letter from the desk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from syndicator.domain.base import new_id
from syndicator.domain.inquiries import Inquiry, InquiryLine, InquiryState, Said
from syndicator.errors import Conflict, InvalidRequest, NotFound, TooManyTries
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.letters import one_line, read_email, write_letter

LONGEST_WORDS = 5000
MOST_FROM_ADDRESS = 5  # in an hour
MOST_FROM_EMAIL = 5
COUNTED_OVER = timedelta(hours=1)
TOO_MANY = "That is a lot of inquiries within an hour. Please wait a while, or write us an e-mail."


def ask(
    session: Session,
    house: House,
    *,
    name: str,
    email: str,
    organisation: str,
    subject: str,
    words: str,
    address: str,
    at: datetime,
) -> Inquiry:
    """Take an inquiry and write to the licensing team. Nobody else is written to: the sender's address has not been proven.

    Raises InvalidRequest naming the field, TooManyTries for the sixth within an hour from one place or in one name.
    """
    folded = read_email(email).casefold()
    _require(name, "name", 120, "Tell us your name.")
    _require(subject, "subject", 160, "Say in a few words what you would like to license.")
    _require(words, "words", LONGEST_WORDS, "Tell us which stories, where, for whom and for how long.")
    if len(organisation) > 200:
        raise InvalidRequest("At most 200 characters.", "organisation")
    for column, value, most in ((Inquiry.address, address, MOST_FROM_ADDRESS), (Inquiry.email, folded, MOST_FROM_EMAIL)):
        counted = select(func.count()).select_from(Inquiry).where(column == value, Inquiry.created_at > at - COUNTED_OVER)
        if (session.scalar(counted) or 0) >= most:
            raise TooManyTries(TOO_MANY, int(COUNTED_OVER.total_seconds()))
    inquiry = Inquiry(
        public_id=new_id("inq_"),
        name=one_line(name, 120),
        email=folded,
        organisation=one_line(organisation, 200),
        subject=one_line(subject, 160),
        address=address,
        created_at=at,
        changed_at=at,
    )
    inquiry.thread.append(InquiryLine(said=Said.ASKED, words=words.strip(), author=folded, written_at=at))
    session.add(inquiry)
    session.flush()
    asked = f"{inquiry.name} ({folded}) asks about: {inquiry.subject}\n\n{words.strip()}"
    link = f"{house.config.site.base_url}/desk/inquiries/{inquiry.public_id}"
    write_letter(
        session,
        house,
        "note",
        to=house.config.notice.contact_email,
        at=at,
        about=inquiry.public_id,
        heading=f"Inquiry: {inquiry.subject}",
        words=f"{asked}\n\n{link}",
    )
    return inquiry


def inquiries(
    session: Session, *, state: InquiryState | None, owner: str | None, before: int | None, limit: int
) -> Sequence[Inquiry]:
    """Return inquiries, newest first; `before` is the row id of the last one seen."""
    wanted = select(Inquiry).order_by(Inquiry.id.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(Inquiry.state == state)
    if owner is not None:
        wanted = wanted.where(Inquiry.owner == owner)
    if before is not None:
        wanted = wanted.where(Inquiry.id < before)
    return session.scalars(wanted).all()


def get_inquiry(session: Session, public_id: str, *, lock: bool = False) -> Inquiry:
    wanted = select(Inquiry).where(Inquiry.public_id == public_id).options(selectinload(Inquiry.thread))
    inquiry = session.scalars(wanted.with_for_update(of=Inquiry) if lock else wanted).one_or_none()
    if inquiry is None:
        raise NotFound(f"there is no inquiry {public_id!r}")
    return inquiry


def reply(session: Session, house: House, public_id: str, *, words: str, actor: str, at: datetime) -> Inquiry:
    """Answer by letter; whoever answers first has taken it. Raises InvalidRequest for no words, Conflict for a closed one."""
    _require(words, "words", LONGEST_WORDS, "Write an answer.")
    inquiry = get_inquiry(session, public_id, lock=True)
    if inquiry.state is InquiryState.CLOSED:
        raise Conflict("This inquiry is closed; open it again first.")
    write_letter(
        session,
        house,
        "note",
        to=inquiry.email,
        at=at,
        about=inquiry.public_id,
        reply_to=house.config.notice.contact_email,
        heading=f"Your inquiry: {inquiry.subject}",
        words=words.strip(),
    )
    inquiry.owner = inquiry.owner or actor
    _add(inquiry, Said.REPLIED, words, actor, at, InquiryState.ANSWERED)
    audit.record(session, actor, "inquiry.reply", inquiry.public_id, at=at)
    return inquiry


def note(session: Session, public_id: str, *, said: Said, words: str, actor: str, at: datetime) -> Inquiry:
    """Add a remark, or what the asker answered by mail, which opens the inquiry again."""
    _require(words, "words", LONGEST_WORDS, "Write something.")
    inquiry = get_inquiry(session, public_id, lock=True)
    state = InquiryState.OPEN if said is Said.ASKED else inquiry.state
    _add(inquiry, said, words, inquiry.email if said is Said.ASKED else actor, at, state)
    audit.record(session, actor, "inquiry.note", inquiry.public_id, at=at, said=said.value)
    return inquiry


def take(session: Session, public_id: str, *, actor: str, at: datetime) -> Inquiry:
    """Make it `actor`'s own, whoever had it before."""
    inquiry = get_inquiry(session, public_id, lock=True)
    before, inquiry.owner, inquiry.changed_at = inquiry.owner, actor, at
    audit.record(session, actor, "inquiry.take", inquiry.public_id, at=at, before=before)
    return inquiry


def change_state(session: Session, public_id: str, state: InquiryState, *, actor: str, at: datetime) -> Inquiry:
    inquiry = get_inquiry(session, public_id, lock=True)
    before, inquiry.state, inquiry.changed_at = inquiry.state, state, at
    audit.record(session, actor, f"inquiry.{state.value}", inquiry.public_id, at=at, before=before.value)
    return inquiry


def _add(inquiry: Inquiry, said: Said, words: str, author: str, at: datetime, state: InquiryState) -> None:
    inquiry.thread.append(InquiryLine(said=said, words=words.strip(), author=author, written_at=at))
    inquiry.state, inquiry.changed_at = state, at


def _require(text: str, field: str, most: int, words: str) -> None:
    if not text.strip():
        raise InvalidRequest(words, field)
    if len(text) > most:
        raise InvalidRequest(f"At most {most:,} characters.", field)
