"""Archives of feeds (RFC 5005 section 4): which stories they hold, and when their documents are stale. Renders nothing.

A feed is its head document and its archives; every story of it is in exactly one of them. When the head holds more than its
limit, the stories whose last news is oldest leave it together, as the next archive, which never gains a story again. Two things
still change an archive, although RFC 5005 would rather have none: a corrected story leaves it for the head document, since an
older version must not be met after a newer one, and a killed or recalled story is emptied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from syndicator.domain.base import Counter
from syndicator.domain.feeds import FeedArchive, FeedDefinition, FeedEntry

OLDEST_FIRST = (FeedEntry.updated_at, FeedEntry.story_id)
ARCHIVES_AT_ONCE = 20  # for a feed in one turn of the engine, so that nobody's push waits for a long import


def seal(session: Session, definition: FeedDefinition, *, at: datetime, most: int | None = None) -> bool:
    """Move the oldest stories out of a head that holds more than its limit; False when that takes more than this one call.

    With `most`, move all but so many: stories so long that the limit alone would make the head too large a document.
    """
    lock_places(session)
    size, room = definition.archive_size, definition.archive_size * ARCHIVES_AT_ONCE
    limit = definition.limit if most is None else most
    in_head = _in_head(definition)
    some = select(FeedEntry.story_id).where(*in_head).order_by(*OLDEST_FIRST).limit(limit + room).subquery()
    held = session.scalar(select(func.count()).select_from(some)) or 0
    if held <= limit:
        return True
    full = -(-(held - limit) // size) * size if most is None else held - limit
    oldest = select(FeedEntry.story_id).where(*in_head).order_by(*OLDEST_FIRST).limit(full)
    ids = session.scalars(oldest).all()
    last = newest_archive(session, definition.name)
    mark_stale(session, [(definition.name, last)], at=at)  # it gets a link to its successor
    for start in range(0, full, size):
        last += 1
        page = update(FeedEntry).where(FeedEntry.feed == definition.name, FeedEntry.story_id.in_(ids[start : start + size]))
        session.execute(page.values(archive=last).execution_options(synchronize_session=False))
        session.execute(insert(FeedArchive).values(feed=definition.name, number=last, changed_at=at, stale_at=at, written=False))
    return held < limit + room


def overfull(session: Session, definition: FeedDefinition) -> bool:
    """Say whether the head holds more stories than its limit."""
    some = select(FeedEntry.story_id).where(*_in_head(definition)).order_by(*OLDEST_FIRST).offset(definition.limit).limit(1)
    return session.scalar(some) is not None


def _in_head(definition: FeedDefinition) -> tuple[ColumnElement[bool], ...]:
    return (FeedEntry.feed == definition.name, FeedEntry.archive.is_(None), FeedEntry.left_at.is_(None))


def lock_places(session: Session) -> None:
    """Keep stories from entering, leaving or changing until the transaction ends: whoever announces takes this lock first."""
    session.execute(select(Counter.value).where(Counter.name == "events").with_for_update())


def newest_archive(session: Session, feed: str) -> int:
    """Return the number of the feed's newest archive, 0 when it has none."""
    return session.scalar(select(func.max(FeedArchive.number)).where(FeedArchive.feed == feed)) or 0


def reopen(session: Session, places: Iterable[FeedEntry], *, at: datetime) -> None:
    """Mark the archives stale that hold stories of `places`."""
    mark_stale(session, [(place.feed, place.archive) for place in places if place.archive is not None], at=at)


def mark_stale(session: Session, archives: Sequence[tuple[str, int]], *, at: datetime) -> None:
    """Have the documents of these archives, by feed and number, written anew."""
    if archives:
        stale = update(FeedArchive).where(tuple_(FeedArchive.feed, FeedArchive.number).in_(archives))
        session.execute(stale.values(changed_at=at, stale_at=at).execution_options(synchronize_session=False))


def mark_all_stale(session: Session, feed: str, *, at: datetime) -> None:
    """Have every document of the feed's archives written anew, after all that is stale for a reason of its own."""
    stale = update(FeedArchive).where(FeedArchive.feed == feed).values(changed_at=at, stale_at=FeedArchive.changed_at)
    session.execute(stale.execution_options(synchronize_session=False))


def stale_archives(session: Session, feed: str) -> Sequence[FeedArchive]:
    """Return archives whose documents are stale: all that the head is to link to for the first time, then some of the others, the
    latest changed first, since that may be a kill."""
    stale = select(FeedArchive).where(FeedArchive.feed == feed, FeedArchive.stale_at.is_not(None))
    others = stale.where(FeedArchive.written.is_(True)).order_by(FeedArchive.stale_at.desc()).limit(ARCHIVES_AT_ONCE)
    return [*session.scalars(stale.where(FeedArchive.written.is_(False))), *session.scalars(others)]


def mark_written(session: Session, archive: FeedArchive) -> None:
    """Note that the documents show `archive` as it was read; one that changed meanwhile stays stale."""
    same = (FeedArchive.feed == archive.feed, FeedArchive.number == archive.number, FeedArchive.stale_at == archive.stale_at)
    written = update(FeedArchive).where(*same).values(stale_at=None, written=True)
    session.execute(written.execution_options(synchronize_session=False))
