"""Bringing back: a story that was taken down, not killed, is on offer again as it last read, and everyone who had it is told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.stories import Event, EventType, PubStatus, Rights, Story, StoryVersion
from syndicator.errors import Conflict, InvalidRequest, StoryKilled
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.announce import announce
from syndicator.operations.correct import draft_of
from syndicator.operations.publish import add_version
from syndicator.storage.queries import get_story


def restore_story(session: Session, house: House, reference: str, *, reason: str, actor: str, at: datetime) -> Event:
    """Add a version that reads as the last one before the takedown. An embargo that is still to come holds.

    Raises StoryNotFound, StoryKilled, InvalidRequest without a reason, and Conflict for a story that is not down, has expired, or
    is not for syndication.
    """
    if not reason.strip():
        raise InvalidRequest("say why it is back, for those who were asked to remove it", "reason")
    story = get_story(session, reference, lock=True)
    if story.pubstatus is PubStatus.CANCELED:
        raise StoryKilled(story.uri)
    if story.pubstatus is not PubStatus.WITHHELD:
        raise Conflict(f"story {story.uri} is not taken down")
    if story.expires_at is not None and story.expires_at <= at:
        raise Conflict(f"story {story.uri} has expired; its time would have to be extended at its source")
    last = _last_words(session, story)
    if last.rights is Rights.NONE:
        raise Conflict(f"story {story.uri} is not for syndication")
    story.version_number += 1
    story.pubstatus, story.withdrawn_reason, story.updated_at = PubStatus.USABLE, None, at
    if story.released_at is None and (story.embargoed_until is None or story.embargoed_until <= at):
        story.embargoed_until, story.released_at = None, at
    version = add_version(session, story, draft_of(story, last), story.version_number, at)
    event = announce(session, house.catalogue, story, version, EventType.PUBLISHED, at=at, reason=reason.strip())
    audit.record(session, actor, "story.restore", story.uri, at=at, reason=reason.strip(), version=version.number)
    return event


def _last_words(session: Session, story: Story) -> StoryVersion:
    """Return the newest version that says something; the takedown's own says nothing."""
    said = select(StoryVersion).where(StoryVersion.story_id == story.id, StoryVersion.pubstatus == PubStatus.USABLE)
    return session.scalars(said.order_by(StoryVersion.number.desc()).limit(1)).one()
