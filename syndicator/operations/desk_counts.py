"""The figures on the desk's first page. Each is one count that an index serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.letters import Letter, LetterState
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Story


@dataclass(frozen=True, slots=True)
class DeskCounts:
    publishers: dict[PublisherState, int]  # every state, also those with none
    stories_last_day: int
    letters_owed: int
    letters_failed: int


def count_desk(session: Session, *, at: datetime) -> DeskCounts:
    day_ago = at - timedelta(days=1)
    released = select(func.count()).select_from(Story).where(Story.published_at > day_ago, Story.published_at <= at)
    unsent = select(Letter.state, func.count()).where(Letter.state.in_([LetterState.OWED, LetterState.FAILED]))
    letters = dict(session.execute(unsent.group_by(Letter.state)).all())
    by_state = select(Publisher.state, func.count()).group_by(Publisher.state)
    publishers = dict(session.execute(by_state).all())
    return DeskCounts(
        publishers={state: publishers.get(state, 0) for state in PublisherState},
        stories_last_day=session.scalar(released) or 0,
        letters_owed=letters.get(LetterState.OWED, 0),
        letters_failed=letters.get(LetterState.FAILED, 0),
    )
