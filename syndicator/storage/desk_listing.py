"""The desk's list of stories: all of them, also those that nobody else may see. Newest first, page by page, each by an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import literal_column, select, tuple_
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.stories import PubStatus, Story
from syndicator.storage.search import matching


class Shelf(StrEnum):
    """Which stories the desk looks at."""

    ALL = "all"
    EMBARGOED = "embargoed"
    WITHDRAWN = "withdrawn"  # killed or taken down
    LICENSED = "licensed"


def desk_stories(
    session: Session,
    *,
    shelf: Shelf,
    words: str | None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Story]:
    """Return stories with their current versions; `words` is what `search.read_words` returned. Killed ones have no words."""
    wanted = select(Story).order_by(Story.published_at.desc(), Story.id.desc()).limit(limit).options(joinedload(Story.current))
    if words is not None:
        found = matching(session.get_bind().dialect, words)
        wanted = wanted.where(Story.id.in_(select(found.story_id).where(found.condition)))
    if shelf is Shelf.EMBARGOED:
        wanted = wanted.where(
            Story.released_at.is_(None), Story.embargoed_until.is_not(None), Story.pubstatus == PubStatus.USABLE
        )
    elif shelf is Shelf.WITHDRAWN:
        wanted = wanted.where(Story.pubstatus != literal_column("'usable'"))  # written out, so that the partial index serves
    elif shelf is Shelf.LICENSED:
        wanted = wanted.where(Story.rights == "licensed")
    if before is not None:
        wanted = wanted.where(tuple_(Story.published_at, Story.id) < tuple_(*before))
    return session.scalars(wanted).all()
