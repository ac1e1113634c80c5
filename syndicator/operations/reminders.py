"""Letters that time brings, each once: an approval ends, new terms wait for acceptance, the proof of a site went missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from syndicator.domain.applications import WAITING_STATES, Application, Reminder
from syndicator.domain.publishers import Publisher, PublisherDomain, PublisherState
from syndicator.house import House
from syndicator.operations.letters import write_note

BATCH = 200
LOST_SINCE = timedelta(days=1)  # a site that was away for an hour is no news


def remind(session: Session, house: House, *, at: datetime) -> int:
    """Write the letters that are due; returns how many."""
    written = 0
    for publisher, about, heading, words in (
        *_ending(session, house, at),
        *_new_terms(session, house, at),
        *_lost_proofs(session, house, at),
    ):
        known = select(Reminder.id).where(Reminder.publisher_id == publisher.id, Reminder.about == about)
        if session.scalar(known) is not None:
            continue
        session.add(Reminder(publisher_id=publisher.id, about=about, written_at=at))
        write_note(session, house, publisher, heading, words, at=at)
        written += 1
    return written


Due = Iterator[tuple[Publisher, str, str, str]]


def _ending(session: Session, house: House, at: datetime) -> Due:
    """Approvals that end within the days of the policy; of several marks that have passed only the last is written.

    Whoever has sent a renewal waits for us, and is not asked for one.
    """
    marks = sorted(house.config.eligibility.reminder_days)
    horizon = at + timedelta(days=marks[-1]) if marks else at
    wanted = select(Publisher).where(
        Publisher.state == PublisherState.APPROVED,
        Publisher.approved_until > at,
        Publisher.approved_until <= horizon,
        ~exists().where(Application.publisher_id == Publisher.id, Application.state.in_(WAITING_STATES)),
    )
    for publisher in session.scalars(wanted.order_by(Publisher.approved_until)).all():
        assert publisher.approved_until is not None  # noqa: S101 -- asked for above
        left = publisher.approved_until - at
        mark = next(days for days in marks if left <= timedelta(days=days))
        words = (
            f"The approval of {publisher.name} ends on {publisher.approved_until:%Y-%m-%d}. To keep your feeds and deliveries "
            f"running, please renew it; we ask only for what has aged, such as your audience figures:\n\n"
            f"{house.config.site.base_url}/portal/application"
        )
        about = f"ending:{publisher.approved_until:%Y-%m-%d}:{mark}"
        yield publisher, about, f"Your approval ends in {_days(left)}", words


def _new_terms(session: Session, house: House, at: datetime) -> Due:
    """Once when a new version of the license comes, and again as the days of grace run out."""
    version = house.config.license.version
    waiting = select(Publisher).where(
        Publisher.state == PublisherState.APPROVED, Publisher.terms_until > at, Publisher.terms_version != version
    )
    untold = ~exists().where(Reminder.publisher_id == Publisher.id, Reminder.about == f"terms:{version}")
    for publisher in session.scalars(waiting.where(untold).order_by(Publisher.terms_until).limit(BATCH)).all():
        yield publisher, f"terms:{version}", "Please accept our new terms", _about_terms(house, publisher)
    marks = [days for days in sorted(house.config.eligibility.reminder_days) if days < house.config.license.grace_days]
    if not marks:
        return
    nearly = waiting.where(Publisher.terms_until <= at + timedelta(days=marks[-1]))
    for publisher in session.scalars(nearly.order_by(Publisher.terms_until)).all():
        assert publisher.terms_until is not None  # noqa: S101 -- asked for above
        left = publisher.terms_until - at
        mark = next(days for days in marks if left <= timedelta(days=days))
        heading = f"Our new terms still wait for you, {_days(left)} left"
        yield publisher, f"terms:{version}:{mark}", heading, _about_terms(house, publisher)


def _about_terms(house: House, publisher: Publisher) -> str:
    return (
        f"The license under which {publisher.name} takes our stories has a new version, {house.config.license.version}. Please "
        f"accept it by {publisher.terms_until:%Y-%m-%d}; until then the version you accepted still counts, afterwards your "
        f"feeds and deliveries refuse:\n\n{house.config.site.base_url}/portal/terms"
    )


def _days(left: timedelta) -> str:
    count = max(1, -(-left // timedelta(days=1)))
    return f"{count} day{'s' if count > 1 else ''}"


def _lost_proofs(session: Session, house: House, at: datetime) -> Due:
    wanted = (
        select(PublisherDomain)
        .join(PublisherDomain.publisher)
        .where(PublisherDomain.lost_at <= at - LOST_SINCE, Publisher.state == PublisherState.APPROVED)
    )
    days = house.config.eligibility.lost_proof_days
    for domain in session.scalars(wanted.order_by(PublisherDomain.lost_at)).all():
        words = (
            f"We no longer find the proof that {domain.domain} is yours. Nothing has changed for you yet; please put it back "
            f"within {days} days:\n\n{house.config.site.base_url}/portal/application\n\n{domain.check_words}"
        )
        yield domain.publisher, f"lost:{domain.id}:{domain.lost_at:%Y-%m-%d}", f"Please prove {domain.domain} again", words
