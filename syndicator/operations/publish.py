"""Publishing: a draft from any source becomes a story, a new version of one, or nothing new."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from syndicator.domain.base import new_id
from syndicator.domain.stories import Event, EventType, PubStatus, Rights, Source, Story, StoryDraft, StoryVersion
from syndicator.errors import Conflict, StoryKilled
from syndicator.house import House
from syndicator.intake.clean import prepare
from syndicator.operations.announce import announce
from syndicator.operations.terms import notice_texts
from syndicator.storage.queries import find_story_of, get_version
from syndicator.storage.search import put_findable

Outcome = Literal["made", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a draft."""

    story: Story
    outcome: Outcome
    event: Event | None = None


def publish_story(
    session: Session, house: House, source: Source, draft: StoryDraft, *, at: datetime, correction_note: str = ""
) -> Published:
    """Store what `source` has now. The same draft twice makes nothing new; a changed one makes a new version.

    A time of publication that lies ahead is an embargo until then. Raises InvalidRequest for what no story can be made of,
    StoryKilled for a story that was killed, Conflict for one that was taken down or that cannot be embargoed any more.
    """
    draft = prepare(
        draft,
        notice_texts=notice_texts(session, house.config),
        language=house.config.site.language,
        max_bytes=house.config.intake.max_story_bytes,
    )
    story = find_story_of(session, source.id, draft.external_id)
    if story is None:
        fresh = _new_story(house, source, draft, at)
        try:
            with session.begin_nested():
                session.add(fresh)
        except IntegrityError:  # somebody else has just made it
            if (story := find_story_of(session, source.id, draft.external_id)) is None:
                raise
        else:
            return _first_version(session, house, fresh, draft, at)
    return _next_version(session, house, story, draft, at, correction_note)


def hold_until(draft: StoryDraft, at: datetime) -> datetime | None:
    """Return the instant before which `draft` may not be out, or None if it may be now."""
    ahead = [moment for moment in (draft.embargoed_until, draft.published_at) if moment is not None and moment > at]
    return max(ahead, default=None)


def _rescheduled(story: Story, draft: StoryDraft, at: datetime) -> bool:
    """Whether `draft` moves the instant at which a story that still waits comes out; its words may be the same."""
    waits_until = story.embargoed_until if story.released_at is None else None
    return waits_until is not None and waits_until > at and hold_until(draft, at) != waits_until


def _new_story(house: House, source: Source, draft: StoryDraft, at: datetime) -> Story:
    held = hold_until(draft, at)
    public_id = new_id("", 10)
    return Story(
        public_id=public_id,
        uri=f"tag:{house.config.site.authority},{at.year}:story/{public_id}",
        source=source,
        external_id=draft.external_id,
        rights=draft.rights,
        version_number=1,
        source_hash=draft.content_hash,
        published_at=held or draft.published_at or at,
        updated_at=at,
        embargoed_until=held,
        released_at=None if held else at,
        expires_at=draft.expires_at,
    )


def _first_version(session: Session, house: House, story: Story, draft: StoryDraft, at: datetime) -> Published:
    version = add_version(session, story, draft, 1, at)
    if draft.rights is Rights.NONE:
        return Published(story, "made")  # kept for the record; nobody is to hear of it
    return Published(story, "made", announce(session, house.catalogue, story, version, EventType.PUBLISHED, at=at))


def _next_version(
    session: Session, house: House, story: Story, draft: StoryDraft, at: datetime, correction_note: str
) -> Published:
    if story.pubstatus is PubStatus.CANCELED:
        raise StoryKilled(story.uri)
    current = get_version(session, story.id, story.version_number)
    if not correction_note:
        # A source that still says what it said before we corrected the story says nothing new.
        known = draft.content_hash in {current.content_hash, story.source_hash}
        story.source_hash = draft.content_hash
        if known and not _rescheduled(story, draft, at):
            return Published(story, "unchanged")
    if story.pubstatus is PubStatus.WITHHELD:
        raise Conflict(f"story {story.uri} has been taken down; its source cannot bring it back")
    kind = _adopt(story, draft, at, corrected=bool(correction_note))
    version = add_version(session, story, draft, story.version_number, at, correction_note)
    if kind is None:
        return Published(story, "changed")
    return Published(story, "changed", announce(session, house.catalogue, story, version, kind, at=at, reason=correction_note))


def _adopt(story: Story, draft: StoryDraft, at: datetime, *, corrected: bool) -> EventType | None:
    """Bring `story` up to `draft` and say what that is; None when nobody may hear of it."""
    held = hold_until(draft, at)
    released = story.released_at is not None
    if released and held and draft.embargoed_until == held:
        raise Conflict(f"story {story.uri} is out already and cannot be embargoed; take it down instead")
    heard_of = story.rights is not Rights.NONE
    story.version_number += 1
    story.updated_at = at
    story.rights = draft.rights
    story.expires_at = draft.expires_at
    if draft.expires_at is None or draft.expires_at > at:
        story.expired_at = None
    if not released:
        story.embargoed_until = held
        story.released_at = None if held else at
        story.published_at = held or draft.published_at or at
    if draft.rights is Rights.NONE:
        return EventType.TAKEN_DOWN if heard_of else None
    if not heard_of or (not released and not held):
        return EventType.PUBLISHED
    return EventType.CORRECTED if corrected else EventType.UPDATED


def add_version(
    session: Session, story: Story, draft: StoryDraft, number: int, at: datetime, correction_note: str = ""
) -> StoryVersion:
    """Store `draft` as version `number` of `story`, and make it findable."""
    version = StoryVersion(
        story_id=story.id,
        number=number,
        created_at=at,
        pubstatus=PubStatus.USABLE,
        headline=draft.headline,
        summary=draft.summary,
        body_html=draft.body_html,
        byline=list(draft.byline),
        section=draft.section,
        tags=list(draft.tags),
        language=draft.language,
        canonical_url=draft.canonical_url,
        rights=draft.rights,
        ednote=draft.ednote,
        images=[asdict(image) for image in draft.images],
        correction_note=correction_note,
        content_hash=draft.content_hash,
    )
    session.add(version)
    session.flush()
    put_findable(session, story, version)
    return version
