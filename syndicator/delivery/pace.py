"""How often feeds are rendered while stories come in one after the other: at once, then after a pause that grows with the burst.

So a hundred stories in a second cost a feed two or three renderings. A kill, takedown or correction never waits. Pushes of
stories that no document shows yet wait with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.feeds import FeedState
from syndicator.domain.stories import Event, EventType

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 4.0
URGENT = [kind for kind in EventType if kind.urgent]


@dataclass(slots=True)
class Pace:
    """Remembers when each feed may be rendered again, in `ticks`, and how long it paused. `holding`: some feed waits for that."""

    ticks: Callable[[], float]
    rests: dict[str, tuple[float, float]] = field(default_factory=dict)  # until when, and how long
    holding: bool = False

    def choose(self, session: Session, stale: Sequence[str], seq: int) -> tuple[list[str], int]:
        """Return which of the `stale` feeds to render now, and up to which event of those until `seq` documents then show all."""
        now = self.ticks()
        resting = [name for name in stale if now < self.rests.get(name, (0.0, 0.0))[0]]
        self.holding = bool(resting)
        if not resting:
            return list(stale), seq
        behind = (FeedState.feed.in_(resting), FeedState.rendered_seq < FeedState.changed_seq)
        shown = session.scalar(select(func.min(FeedState.rendered_seq)).where(*behind))
        if shown is not None and _urgent_after(session, shown):
            self.holding = False
            return list(stale), seq
        return [name for name in stale if name not in resting], seq if shown is None else min(seq, shown)

    def rendered(self, names: Sequence[str]) -> None:
        """Note that the feeds `names` are up to date; one that had hardly rested rests longer now."""
        now = self.ticks()
        for name in names:
            until, pause = self.rests.get(name, (0.0, 0.0))
            pause = LONGEST_PAUSE_SECONDS if now - until < pause else FIRST_PAUSE_SECONDS
            self.rests[name] = (now + pause, pause)


def _urgent_after(session: Session, seq: int) -> bool:
    return session.scalar(select(Event.seq).where(Event.seq > seq, Event.type.in_(URGENT)).limit(1)) is not None
