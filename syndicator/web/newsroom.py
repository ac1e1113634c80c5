"""The newsroom's API: its own systems put stories in, correct, kill and take down. Every path needs the scope `newsroom`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from syndicator.domain.publishers import Scope
from syndicator.domain.stories import Event, SourceKind, Story
from syndicator.errors import StoryNotFound
from syndicator.intake.document import parse_document
from syndicator.operations.correct import correct_story
from syndicator.operations.publish import Published, publish_story
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.render.plain import rfc3339
from syndicator.storage.queries import find_story_of, source_called
from syndicator.web.bodies import json_body, json_object
from syndicator.web.identity import require, the_house

newsroom = Blueprint("newsroom", __name__, url_prefix="/v1/newsroom")
SOURCE = "newsroom"


@newsroom.put("/stories/<path:external_id>")
def put_story(external_id: str) -> ResponseReturnValue:
    """Store what the newsroom has now: 201 for a new story, 200 for a new version or nothing new. Repeating changes nothing."""
    require(Scope.NEWSROOM)
    house = the_house()
    draft = parse_document(json_body(), external_id)
    with house.sessions.begin() as session:
        source = source_called(session, SOURCE, SourceKind.API)
        published = publish_story(session, house, source, draft, at=house.clock())
    return jsonify(published_json(published)), 201 if published.outcome == "made" else 200


@newsroom.post("/stories/<path:external_id>/correct")
def correct(external_id: str) -> ResponseReturnValue:
    """Publish a corrected version; `note` says what was wrong."""
    asker = require(Scope.NEWSROOM)
    house = the_house()
    order = json_object(
        {"note": str, "headline": str, "summary": str, "body_html": str}, optional=("headline", "summary", "body_html")
    )
    with house.sessions.begin() as session:
        story = _known(session, external_id)
        published = correct_story(session, house, story.uri, actor=asker.actor, at=house.clock(), **order)
    return jsonify(published_json(published))


@newsroom.post("/stories/<path:external_id>/<any(kill, takedown):verb>")
def withdraw(external_id: str, verb: str) -> ResponseReturnValue:
    """Kill the story or take it down; `reason` is told to everyone who had it."""
    asker = require(Scope.NEWSROOM)
    house = the_house()
    order = json_object({"reason": str})
    withdrawal = kill_story if verb == "kill" else take_down
    with house.sessions.begin() as session:
        story = _known(session, external_id)
        event = withdrawal(session, house, story.uri, reason=order["reason"], actor=asker.actor, at=house.clock())
    return jsonify(story_json(story) | event_json(event)), 202


def _known(session: Session, external_id: str) -> Story:
    story = find_story_of(session, source_called(session, SOURCE, SourceKind.API).id, external_id)
    if story is None:
        raise StoryNotFound(external_id)
    return story


def published_json(published: Published) -> dict[str, Any]:
    answer = story_json(published.story) | {"outcome": published.outcome}
    return answer | event_json(published.event) if published.event else answer


def story_json(story: Story) -> dict[str, Any]:
    base = the_house().config.site.base_url
    return {
        "id": story.public_id,
        "uri": story.uri,
        "external_id": story.external_id,
        "version": story.version_number,
        "pubstatus": story.pubstatus.value,
        "rights": story.rights.value,
        "embargoed_until": story.embargoed_until and rfc3339(story.embargoed_until),
        "url": f"{base}/stories/{story.public_id}",
    }


def event_json(event: Event) -> dict[str, Any]:
    return {"seq": event.seq, "type": f"story.{event.type.value}", "feeds": event.feeds}
