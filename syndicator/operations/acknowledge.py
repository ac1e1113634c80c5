"""Acknowledged kills: who had a story is asked to say that it acted on a correction, kill or takedown, and reminded till then.

Asked in the transaction of the event; letters go by a job. After the second letter the phone list is written to as well, and the
desk is told whom to call. A newer event of the story asks instead of an older one. The address in a letter needs no sign-in: its
seal stands for the publisher, and a person has to press the button, since mail scanners open every address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import false, insert, literal, select, update
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.agreements import Take
from syndicator.domain.deliveries import Acknowledgement, Delivery
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event, EventType, Story
from syndicator.domain.subscriptions import Subscription
from syndicator.errors import NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.letters import write_letter

PATH = "/acknowledge/"
ASKED_FOR = frozenset({EventType.CORRECTED, EventType.KILLED, EventType.TAKEN_DOWN})
REMINDERS = (timedelta(hours=1), timedelta(hours=3), timedelta(hours=20))  # after the first letter, one after the other
ESCALATES_WITH = 2  # the letter that also goes to the phone list
BATCH = 100
WHOLE = (
    joinedload(Acknowledgement.publisher),
    joinedload(Acknowledgement.event).joinedload(Event.story).joinedload(Story.current),
)


def ask(session: Session, event: Event, *, at: datetime) -> None:
    """Ask every publisher that was sent an earlier version of the story, or took one, to acknowledge `event`.

    A story that is published again need not be removed any more: nothing is asked, and nobody is reminded of the takedown.
    """
    if event.type not in ASKED_FOR | {EventType.PUBLISHED}:
        return
    older = select(Event.seq).where(Event.story_id == event.story_id, Event.seq < event.seq)
    moot = update(Acknowledgement).where(Acknowledgement.event_seq.in_(older), Acknowledgement.acknowledged_at.is_(None))
    session.execute(moot.values(overtaken=True, remind_at=None), execution_options={"synchronize_session": False})
    if event.type not in ASKED_FOR:
        return
    sent = (
        select(Subscription.publisher_id)
        .join(Delivery, Delivery.subscription_id == Subscription.id)
        .where(Delivery.story_id == event.story_id, Delivery.event_seq < event.seq, Subscription.publisher_id.is_not(None))
    )
    took = select(Take.publisher_id).where(Take.story_id == event.story_id)
    instant = Acknowledgement.asked_at.type
    asked = select(
        Publisher.id, literal(event.seq), literal(at, type_=instant), literal(at, type_=instant), literal(0), literal(""), false()
    ).where(Publisher.id.in_(sent.union(took)))
    columns = ["publisher_id", "event_seq", "asked_at", "remind_at", "reminders", "acknowledged_by", "overtaken"]
    session.execute(insert(Acknowledgement).from_select(columns, asked))


def acknowledge(session: Session, publisher_id: int, event_seq: int, *, by: str, actor: str, at: datetime) -> Acknowledgement:
    """Record the publisher's word, given `by` whom; the first one counts. Raises NotFound where none was asked for."""
    wanted = select(Acknowledgement).where(Acknowledgement.publisher_id == publisher_id, Acknowledgement.event_seq == event_seq)
    found = session.scalars(wanted.options(*WHOLE).with_for_update(of=Acknowledgement)).one_or_none()
    if found is None:
        raise NotFound("nothing is to be acknowledged here")
    if found.acknowledged_at is None:
        found.acknowledged_at, found.acknowledged_by, found.remind_at = at, by[:254], None
        session.flush()
        audit.record(session, actor, "event.acknowledge", found.publisher.public_id, at=at, seq=event_seq, by=by[:254])
    return found


def acknowledge_url(house: House, asked: Acknowledgement) -> str:
    """Return the address by which anybody who has the letter acknowledges for the publisher."""
    words = f"{asked.event_seq}.{asked.publisher.public_id}"
    return f"{house.config.site.base_url}{PATH}{words}.{house.vault.seal(_sealed(words))}"


def find_by_token(session: Session, house: House, token: str) -> Acknowledgement:
    """Return what an address stands for. Raises NotFound."""
    words, _, seal = token.rpartition(".")
    seq, _, public_id = words.partition(".")
    found = None
    if house.vault.sealed(_sealed(words), seal) and seq.isascii() and seq.isdigit():
        wanted = select(Acknowledgement).join(Acknowledgement.publisher)
        wanted = wanted.where(Acknowledgement.event_seq == int(seq), Publisher.public_id == public_id)
        found = session.scalars(wanted.options(*WHOLE)).one_or_none()
    if found is None:
        raise NotFound("nothing is to be acknowledged here")
    return found


def pending_acknowledgements(session: Session, publisher_id: int | None = None, *, limit: int = 200) -> Sequence[Acknowledgement]:
    """Return what has not been acknowledged, of one publisher or of all, the longest waiting first."""
    wanted = select(Acknowledgement).where(Acknowledgement.acknowledged_at.is_(None), Acknowledgement.overtaken.is_(False))
    if publisher_id is not None:
        wanted = wanted.where(Acknowledgement.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(Acknowledgement.id).limit(limit).options(*WHOLE)).all()


def remind_due(session: Session, house: House, *, at: datetime) -> int:
    """Write the letters that are due; returns how many."""
    due = (
        select(Acknowledgement)
        .where(Acknowledgement.remind_at <= at)
        .order_by(Acknowledgement.remind_at)
        .limit(BATCH)
        .options(*WHOLE)
        .with_for_update(of=Acknowledgement, skip_locked=True)
    )
    written = 0
    for asked in session.scalars(due).all():
        asked.reminders += 1
        later = REMINDERS[asked.reminders - 1] if asked.reminders <= len(REMINDERS) else None
        asked.remind_at = at + later if later is not None else None
        written += _write(session, house, asked, at)
    return written


def _write(session: Session, house: House, asked: Acknowledgement, at: datetime) -> int:
    publisher = asked.publisher
    escalated = asked.reminders >= ESCALATES_WITH
    readers = [publisher.email]
    if escalated and publisher.urgent_email:
        readers.append(publisher.urgent_email)
    for reader in readers:
        write_letter(
            session,
            house,
            "acknowledge",
            to=reader,
            at=at,
            secret=acknowledge_url(house, asked),
            publisher=publisher,
            asked=asked,
            event=asked.event,
            story=f"{house.config.site.base_url}/stories/{asked.event.story.public_id}",
        )
    if escalated:
        write_letter(
            session,
            house,
            "not-acknowledged",
            to=house.config.notice.contact_email,
            at=at,
            about=publisher.public_id,
            asked=asked,
            event=asked.event,
            story=f"{house.config.site.base_url}/stories/{asked.event.story.public_id}",
        )
    return len(readers) + escalated


def _sealed(words: str) -> str:
    return f"acknowledge {words}"
