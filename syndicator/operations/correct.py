"""Correcting: a new version that says what was wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from syndicator.domain.stories import Story, StoryDraft, StoryVersion
from syndicator.errors import InvalidRequest
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.entries import read_image
from syndicator.operations.publish import Published, publish_story
from syndicator.storage.queries import get_story, get_version


def correct_story(
    session: Session,
    house: House,
    reference: str,
    *,
    note: str,
    actor: str,
    at: datetime,
    headline: str | None = None,
    summary: str | None = None,
    body_html: str | None = None,
) -> Published:
    """Publish a corrected version of the story; what is not given stays. `note` says what was wrong, and readers see it.

    Raises StoryNotFound, StoryKilled, and InvalidRequest without a note.
    """
    if not note.strip():
        raise InvalidRequest("say what was wrong; readers and partners see it", "note")
    story = get_story(session, reference, lock=True)
    draft = draft_of(story, get_version(session, story.id, story.version_number))
    corrected = replace(
        draft,
        headline=draft.headline if headline is None else headline,
        summary=draft.summary if summary is None else summary,
        body_html=draft.body_html if body_html is None else body_html,
    )
    published = publish_story(session, house, story.source, corrected, at=at, correction_note=note.strip())
    audit.record(session, actor, "story.correct", story.uri, at=at, note=note.strip(), version=story.version_number)
    return published


def draft_of(story: Story, version: StoryVersion) -> StoryDraft:
    """Return the draft that would make `version` again."""
    return StoryDraft(
        external_id=story.external_id,
        headline=version.headline,
        summary=version.summary,
        body_html=version.body_html,
        byline=tuple(version.byline),
        section=version.section,
        tags=tuple(version.tags),
        language=version.language,
        canonical_url=version.canonical_url,
        published_at=story.published_at,
        embargoed_until=story.embargoed_until if story.released_at is None else None,
        expires_at=story.expires_at,
        rights=version.rights,
        ednote=version.ednote,
        images=tuple(map(read_image, version.images)),
    )
