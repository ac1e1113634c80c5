"""The figures on the desk's first page: what waits for somebody, and what is. Each is a count that an index or a bound serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from syndicator.domain.applications import WAITING_STATES, Application
from syndicator.domain.deliveries import GIVEN_UP, Acknowledgement, Delivery
from syndicator.domain.inquiries import Inquiry, InquiryState
from syndicator.domain.jobs import JobRun
from syndicator.domain.letters import Letter, LetterState
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Source, Story

GIVEN_UP_DAYS = 3
MOST_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class DeskCounts:
    applications: int  # that wait for us
    inquiries: int
    unacknowledged: int
    given_up: int  # deliveries, in GIVEN_UP_DAYS
    sources: int  # that fail
    jobs: int  # that fail
    letters: int  # that could not be sent
    approved: int
    stories_last_day: int


def count_desk(session: Session, *, at: datetime) -> DeskCounts:
    def count(wanted: Select[int]) -> int:
        return session.scalar(wanted) or 0

    newest = select(Delivery.settled_at).where(Delivery.state == GIVEN_UP).order_by(Delivery.id.desc()).limit(MOST_LOOKED_AT)
    lost = newest.subquery()
    number = select(func.count())
    return DeskCounts(
        applications=count(number.select_from(Application).where(Application.state.in_(WAITING_STATES))),
        inquiries=count(number.select_from(Inquiry).where(Inquiry.state == InquiryState.OPEN)),
        unacknowledged=count(
            number.select_from(Acknowledgement).where(
                Acknowledgement.acknowledged_at.is_(None), Acknowledgement.overtaken.is_(False)
            )
        ),
        given_up=count(number.select_from(lost).where(lost.c.settled_at > at - timedelta(days=GIVEN_UP_DAYS))),
        sources=count(number.select_from(Source).where(Source.failures > 0, Source.paused.is_(False))),
        jobs=count(number.select_from(JobRun).where(JobRun.failures > 0)),
        letters=count(number.select_from(Letter).where(Letter.state == LetterState.FAILED)),
        approved=count(number.select_from(Publisher).where(Publisher.state == PublisherState.APPROVED)),
        stories_last_day=count(
            number.select_from(Story).where(Story.published_at > at - timedelta(days=1), Story.published_at <= at)
        ),
    )
