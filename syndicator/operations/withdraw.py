"""Killing and taking down: a released story is withdrawn for good or without fault, and everyone who had it is told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from syndicator.domain.stories import Event, EventType, PubStatus, Story, StoryVersion
from syndicator.errors import Conflict, InvalidRequest, StoryKilled
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.announce import announce
from syndicator.operations.republications import check_after_withdrawal
from syndicator.storage.queries import get_story, get_version
from syndicator.storage.search import forget


def kill_story(session: Session, house: House, reference: str, *, reason: str, actor: str, at: datetime) -> Event:
    """Cancel the story: its content must not be used. It is never changed or brought back.

    Raises StoryNotFound, StoryKilled when it already is, InvalidRequest without a reason.
    """
    return _withdraw(session, house, reference, EventType.KILLED, PubStatus.CANCELED, reason=reason, actor=actor, at=at)


def take_down(session: Session, house: House, reference: str, *, reason: str, actor: str, at: datetime) -> Event:
    """Recall the story without fault. Raises as kill_story does, and Conflict when it is down already."""
    return _withdraw(session, house, reference, EventType.TAKEN_DOWN, PubStatus.WITHHELD, reason=reason, actor=actor, at=at)


def _withdraw(
    session: Session,
    house: House,
    reference: str,
    kind: EventType,
    status: PubStatus,
    *,
    reason: str,
    actor: str,
    at: datetime,
) -> Event:
    if not reason.strip():
        raise InvalidRequest("say why, for those who have to remove it", "reason")
    story = get_story(session, reference, lock=True)
    if story.pubstatus is PubStatus.CANCELED:
        raise StoryKilled(story.uri)
    if story.pubstatus is status:
        raise Conflict(f"story {story.uri} has been taken down already")
    story.withdrawn_reason = reason.strip()
    version = _emptied(session, story, status, at)
    event = announce(session, house.catalogue, story, version, kind, at=at, reason=reason.strip())
    check_after_withdrawal(session, story, at=at)
    audit.record(session, actor, f"story.{kind.value}", story.uri, at=at, reason=reason.strip(), version=version.number)
    return event


def _emptied(session: Session, story: Story, status: PubStatus, at: datetime) -> StoryVersion:
    """Add the version that says the story is withdrawn: what it was called, and nothing of what it said."""
    last = get_version(session, story.id, story.version_number)
    story.version_number += 1
    story.pubstatus = status
    story.updated_at = at
    version = StoryVersion(
        story_id=story.id,
        number=story.version_number,
        created_at=at,
        pubstatus=status,
        headline=last.headline,
        body_html="",
        byline=last.byline,
        section=last.section,
        tags=last.tags,
        language=last.language,
        canonical_url=last.canonical_url,
        rights=last.rights,
        content_hash=last.content_hash,
    )
    session.add(version)
    session.flush()
    forget(session, story.id)
    return version
