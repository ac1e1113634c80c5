"""Taking a push that an editing system signed: once, as a story, a new version, a takedown or a kill."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy.orm import Session

from syndicator.domain.pushes import PushTaken
from syndicator.domain.stories import PubStatus, SourceKind
from syndicator.errors import Conflict, StoryNotFound
from syndicator.house import House
from syndicator.intake.superdesk import Pushed
from syndicator.operations.pictures import note_uses
from syndicator.operations.publish import Published, publish_story
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.storage.queries import find_story_of, insert_new, source_called

SOURCE = "superdesk"


def take_push(session: Session, house: House, signed: bytes, pushed: Pushed, *, at: datetime) -> Published:
    """Do what `pushed` says; `signed` are the bytes of the signature. Raises Conflict for bytes that were taken before."""
    digest = hashlib.sha256(signed).hexdigest()
    if not insert_new(session, PushTaken, {"digest": digest, "at": at}):
        raise Conflict("this very push has been taken already")
    source = source_called(session, SOURCE, SourceKind.SUPERDESK)
    if pushed.status is PubStatus.USABLE:
        published = publish_story(session, house, source, pushed.draft, at=at)
        note_uses(session, house, published.story)
        return published
    story = find_story_of(session, source.id, pushed.draft.external_id)
    if story is None:
        raise StoryNotFound(pushed.draft.external_id)  # withdrawn before we ever had it
    withdraw = kill_story if pushed.status is PubStatus.CANCELED else take_down
    reason = pushed.draft.ednote.strip() or f"{pushed.status.value} by the newsroom"
    event = withdraw(session, house, story.uri, reason=reason, actor=SOURCE, at=at)
    return Published(story, "changed", event)
