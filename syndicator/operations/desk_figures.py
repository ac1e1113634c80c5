"""What the desk's charts show. Days are summed up by a job, so a page reads a few rows however much has happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.agreements import Take
from syndicator.domain.applications import WAITING_STATES, Application, ApplicationState
from syndicator.domain.base import Counter
from syndicator.domain.deliveries import Attempt, Delivery
from syndicator.domain.stories import Story
from syndicator.domain.tallies import DailyTally
from syndicator.operations.tallies import POLLS, PUBLISHER_POLLS, add_daily

OUTCOMES = ("accepted", "deferred", "refused")
TALLIED = "tallied_attempts"  # the counter that says up to which attempt has been summed up
BATCH = 50_000
SETTLES = timedelta(seconds=30)  # a younger attempt may still be joined by one with a smaller id that another process commits
MOST_TAKES = 100_000
AGES = ((2, "under 2 days"), (7, "2 to 7 days"), (14, "1 to 2 weeks"), (10_000, "over 2 weeks"))


@dataclass(frozen=True, slots=True)
class Used:
    """One story, and how often it was pushed and taken."""

    story: Story
    pushed: int
    taken: int


def tally_attempts(session: Session, *, at: datetime) -> int:
    """Add the attempts made since the last time to the sums of their days; returns how many there were."""
    counter = session.get(Counter, TALLIED, with_for_update=True) or Counter(name=TALLIED, value=0)
    session.add(counter)
    end = session.scalar(
        select(func.max(Attempt.id)).where(
            Attempt.id > counter.value, Attempt.id <= counter.value + BATCH, Attempt.at <= at - SETTLES
        )
    )
    if end is None:
        return 0
    new = (Attempt.id > counter.value, Attempt.id <= end)
    day = func.date(Attempt.at)
    counted = 0
    outcomes = select(day, Attempt.outcome, func.count()).where(*new).group_by(day, Attempt.outcome)
    for when, outcome, count in session.execute(outcomes):
        add_daily(session, date.fromisoformat(str(when)), {("attempts", outcome): count})
        counted += count
    pushed = select(day, Delivery.story_id, func.count()).join(Delivery, Delivery.id == Attempt.delivery_id)
    pushed = pushed.where(*new, Attempt.outcome == "accepted").group_by(day, Delivery.story_id)
    for when, story_id, count in session.execute(pushed):
        add_daily(session, date.fromisoformat(str(when)), {("pushed", str(story_id)): count})
    counter.value = end
    return counted


def attempts_by_day(session: Session, *, days: int, at: datetime) -> dict[date, dict[str, int]]:
    """Return for each of the last `days` days (UTC), today included, how many attempts had which outcome."""
    return {day: dict.fromkeys(OUTCOMES, 0) | found for day, found in _by_day(session, "attempts", days=days, at=at).items()}


def polls_by_day(session: Session, *, days: int, at: datetime) -> dict[date, dict[str, int]]:
    """Return for each of the last `days` days (UTC) how often which feed was polled, at all web processes together."""
    return _by_day(session, POLLS, days=days, at=at)


def publisher_polls(session: Session, publisher_id: int, *, days: int, at: datetime) -> dict[date, int]:
    """Return for each of the last `days` days (UTC) how often the publisher polled its private feeds."""
    found = _by_day(session, PUBLISHER_POLLS, days=days, at=at, label=str(publisher_id))
    return {day: sum(counts.values()) for day, counts in found.items()}


def top_stories(session: Session, *, days: int, at: datetime, limit: int = 10) -> Sequence[Used]:
    """Return the stories that were pushed and taken most in the last `days` days."""
    first = at - timedelta(days=days)
    total = func.sum(DailyTally.value)
    wanted = select(DailyTally.label, total).where(DailyTally.name == "pushed", DailyTally.day >= first.date().isoformat())
    pushed = {
        int(label): int(count)
        for label, count in session.execute(wanted.group_by(DailyTally.label).order_by(total.desc()).limit(200))
    }
    recent = select(Take.story_id).where(Take.first_taken_at >= first).limit(MOST_TAKES).subquery()
    counted = select(recent.c.story_id, func.count()).group_by(recent.c.story_id).order_by(func.count().desc()).limit(200)
    taken: dict[int, int] = dict(session.execute(counted).all())
    best = sorted({*pushed, *taken}, key=lambda key: (-(pushed.get(key, 0) + taken.get(key, 0)), -key))[:limit]
    stories = {
        story.id: story for story in session.scalars(select(Story).where(Story.id.in_(best)).options(joinedload(Story.current)))
    }
    return [Used(stories[key], pushed.get(key, 0), taken.get(key, 0)) for key in best if key in stories]


def applications_by_state(session: Session) -> dict[ApplicationState, int]:
    """Return how many applications are in each state, also those with none."""
    counted = dict(session.execute(select(Application.state, func.count()).group_by(Application.state)).all())
    return {state: counted.get(state, 0) for state in ApplicationState}


def waiting_by_age(session: Session, *, at: datetime) -> dict[str, int]:
    """Return how long the applications that wait for the desk have waited."""
    ages: defaultdict[str, int] = defaultdict(int)
    waiting = select(Application.submitted_at).where(Application.state.in_(WAITING_STATES), Application.submitted_at.is_not(None))
    for submitted_at in session.scalars(waiting.limit(10_000)):
        days = (at - submitted_at).days if submitted_at else 0
        ages[next(words for most, words in AGES if days < most)] += 1
    return {words: ages[words] for _, words in AGES}


def _by_day(session: Session, name: str, *, days: int, at: datetime, label: str | None = None) -> dict[date, dict[str, int]]:
    """Return the sums called `name` of the last `days` days, today included, by day and label; days without any are empty."""
    first = at.date() - timedelta(days=days - 1)
    found: dict[date, dict[str, int]] = {first + timedelta(days=n): {} for n in range(days)}
    wanted = select(DailyTally).where(DailyTally.name == name, DailyTally.day >= first.isoformat())
    for tally in session.scalars(wanted if label is None else wanted.where(DailyTally.label == label)):
        if (day := found.get(date.fromisoformat(tally.day))) is not None:
            day[tally.label] = tally.value
    return found
