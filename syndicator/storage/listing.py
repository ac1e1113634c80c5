"""Lists of stories that may be had, newest first or best match first: for the API, the pages and the sitemap.

Newest first is by (published_at, id), neither of which changes once a story is out. So a walk by cursor meets every story that
can be had all along exactly once, whatever is published, corrected or killed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.feeds import FeedEntry
from syndicator.domain.findable import LabelKind, StoryLabel, search_key
from syndicator.domain.stories import PubStatus, Rights, Story
from syndicator.storage.search import matching


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which stories; what is None asks nothing. `words` is what `search.read_words` returned."""

    feed: str | None = None
    section: str | None = None
    tag: str | None = None
    author: str | None = None
    since: datetime | None = None  # published then or later
    until: datetime | None = None  # published before
    updated_since: datetime | None = None
    words: str | None = None

    @property
    def labels(self) -> list[tuple[LabelKind, str]]:
        asked = ((LabelKind.SECTION, self.section), (LabelKind.TAG, self.tag), (LabelKind.AUTHOR, self.author))
        return [(kind, search_key(name)) for kind, name in asked if name is not None]


ANY = Wanted()


def available(at: datetime, *, embargo_trusted: bool = False, licensed: bool = False) -> ColumnElement[bool]:
    """The gate's rule about stories (access.decide_story), as the database can say it.

    With `licensed` those that need an agreement are found too; which of them it covers, the gate alone can say.
    """
    out = or_(Story.released_at.is_not(None), Story.embargoed_until <= at)
    rule = and_(
        Story.pubstatus == PubStatus.USABLE,
        Story.rights.in_((Rights.FREE, Rights.LICENSED) if licensed else (Rights.FREE,)),
        or_(Story.expires_at.is_(None), Story.expires_at > at),
    )
    return rule if embargo_trusted else and_(rule, out)


def newest_stories(
    session: Session,
    wanted: Wanted = ANY,
    *,
    at: datetime,
    embargo_trusted: bool = False,
    licensed: bool = False,
    before: tuple[datetime, int] | None = None,
    limit: int = 20,
) -> Sequence[Story]:
    """Return stories with their current versions, newest first; `before` is the (published_at, id) of the last one seen.

    The order is read from one index: of the feed, else of the first label, else of all stories.
    """
    question, published_at, story_id = _in_order(wanted)
    question = question.where(
        available(at, embargo_trusted=embargo_trusted, licensed=licensed), *_conditions(wanted, published_at)
    )
    if wanted.words is not None:
        found = matching(session.get_bind().dialect, wanted.words)
        question = question.where(Story.id.in_(select(found.story_id).where(found.condition)))
    if before is not None:
        question = question.where(tuple_(published_at, story_id) < tuple_(*before))
    question = question.order_by(published_at.desc(), story_id.desc()).limit(limit).options(joinedload(Story.current))
    return session.scalars(question).all()


def best_stories(
    session: Session,
    wanted: Wanted,
    words: str,
    *,
    at: datetime,
    embargo_trusted: bool = False,
    licensed: bool = False,
    skip: int = 0,
    limit: int = 20,
) -> Sequence[Story]:
    """Return stories that hold `words`, best match first, after the first `skip`."""
    question = _best(session, wanted, words).where(available(at, embargo_trusted=embargo_trusted, licensed=licensed))
    return session.scalars(question.offset(skip).limit(limit).options(joinedload(Story.current))).all()


def best_ids(
    session: Session,
    wanted: Wanted,
    words: str,
    *,
    at: datetime,
    embargo_trusted: bool = False,
    licensed: bool = False,
    limit: int,
) -> Sequence[int]:
    """Return the ids of what `best_stories` finds. Ranks change with every story, so a walk keeps the order it began with."""
    question = _best(session, wanted, words).where(available(at, embargo_trusted=embargo_trusted, licensed=licensed))
    return session.scalars(question.with_only_columns(Story.id).limit(limit)).all()


def stories_listed(
    session: Session, ids: Sequence[int], *, at: datetime, embargo_trusted: bool = False, licensed: bool = False
) -> Sequence[Story]:
    """Return those of the stories `ids` that can be had now, in this order."""
    question = select(Story).where(Story.id.in_(ids), available(at, embargo_trusted=embargo_trusted, licensed=licensed))
    found = {story.id: story for story in session.scalars(question.options(joinedload(Story.current)))}
    return [found[story_id] for story_id in ids if story_id in found]


def _best(session: Session, wanted: Wanted, words: str) -> Select[Story]:
    found = matching(session.get_bind().dialect, words)
    hits = select(found.story_id.label("story_id"), found.rank.label("rank")).where(found.condition).cte("hits")
    hits = hits.prefix_with("MATERIALIZED", dialect="sqlite")  # else it may ask the index of words anew for each story
    question = (
        select(Story)
        .join(hits, hits.c.story_id == Story.id)
        .where(*_conditions(wanted, Story.published_at.expression), *_labelled(wanted.labels))
        .order_by(hits.c.rank, Story.published_at.desc(), Story.id.desc())
    )
    if wanted.feed is not None:
        held = select(FeedEntry.story_id).where(FeedEntry.feed == wanted.feed, FeedEntry.left_at.is_(None))
        question = question.where(Story.id.in_(held))
    return question


def _in_order(wanted: Wanted) -> tuple[Select[Story], ColumnElement[datetime], ColumnElement[int]]:
    """Return the question, begun, and the columns of its order."""
    question, labels = select(Story), wanted.labels
    published_at: ColumnElement[datetime] = Story.published_at.expression
    story_id: ColumnElement[int] = Story.id.expression
    if wanted.feed is not None:
        question = question.join(FeedEntry, FeedEntry.story_id == Story.id)
        question = question.where(FeedEntry.feed == wanted.feed, FeedEntry.left_at.is_(None))
        published_at, story_id = FeedEntry.published_at.expression, FeedEntry.story_id.expression
    elif labels:
        (kind, key), *labels = labels
        question = question.join(StoryLabel, StoryLabel.story_id == Story.id)
        question = question.where(StoryLabel.kind == kind, StoryLabel.key == key)
        published_at, story_id = StoryLabel.published_at.expression, StoryLabel.story_id.expression
    return question.where(*_labelled(labels)), published_at, story_id


def _labelled(labels: list[tuple[LabelKind, str]]) -> list[ColumnElement[bool]]:
    """Say that a story has each of `labels`, one look into the labels' primary key for each."""
    named = select(StoryLabel.story_id).where(StoryLabel.published_at == Story.published_at, StoryLabel.story_id == Story.id)
    return [named.where(StoryLabel.kind == kind, StoryLabel.key == key).correlate(Story).exists() for kind, key in labels]


def _conditions(wanted: Wanted, published_at: ColumnElement[datetime]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(published_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(published_at < wanted.until)
    if wanted.updated_since is not None:
        conditions.append(Story.updated_at >= wanted.updated_since)
    return conditions
