"""How the works stand: feeds and their documents, the timetable's jobs. Read for the desk; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.feeds import FeedDefinition, FeedEntry, FeedState
from syndicator.domain.jobs import JobRun, LeaderLease
from syndicator.domain.publishers import FeedToken
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.house import House


@dataclass(frozen=True, slots=True)
class FeedReport:
    """One feed: whether its documents say what they should, and who has it."""

    feed: FeedDefinition
    fresh: bool
    changed_at: datetime | None
    entries: int  # in the head document
    subscriptions: int  # active
    tokens: int  # live
    last_read_at: datetime | None  # by token


def feed_reports(session: Session, house: House) -> list[FeedReport]:
    """Return a report for every feed of the catalogue: five questions, however many feeds there are."""
    states = {state.feed: state for state in session.scalars(select(FeedState))}
    entries = select(FeedEntry.feed, func.count()).where(FeedEntry.archive.is_(None), FeedEntry.left_at.is_(None))
    counted = dict(session.execute(entries.group_by(FeedEntry.feed)).all())
    live = select(Subscription.feed, func.count()).where(Subscription.state == SubscriptionState.ACTIVE)
    subscribed = dict(session.execute(live.group_by(Subscription.feed)).all())
    tokens = select(FeedToken.feed, func.count(), func.max(FeedToken.last_used_at)).where(FeedToken.revoked_at.is_(None))
    held = {feed: (count, used) for feed, count, used in session.execute(tokens.group_by(FeedToken.feed))}
    reports = []
    for feed in house.catalogue:
        state, (token_count, used) = states.get(feed.name), held.get(feed.name, (0, None))
        reports.append(
            FeedReport(
                feed=feed,
                fresh=state is not None and state.rendered_seq >= state.changed_seq,
                changed_at=state.changed_at if state else None,
                entries=counted.get(feed.name, 0),
                subscriptions=subscribed.get(feed.name, 0),
                tokens=token_count,
                last_read_at=used,
            )
        )
    return reports


def job_runs(session: Session) -> tuple[LeaderLease | None, Sequence[JobRun]]:
    """Return who runs the timetable, and how each job last went, those that fail first."""
    leader = session.scalars(select(LeaderLease).order_by(LeaderLease.until.desc()).limit(1)).one_or_none()
    return leader, session.scalars(select(JobRun).order_by(JobRun.failures.desc(), JobRun.job).limit(200)).all()
