"""The newsroom's API: its own systems put stories in, correct, kill and take down. Every path needs the scope `newsroom`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, request
from pydantic import Field
from sqlalchemy.orm import Session

from syndicator.domain.publishers import Scope
from syndicator.domain.stories import Event, PubStatus, Rights, SourceKind, Story
from syndicator.errors import StoryNotFound
from syndicator.intake.clean import source_key
from syndicator.intake.document import StoryDocument, parse_document
from syndicator.operations.correct import correct_story
from syndicator.operations.publish import Outcome, Published, publish_story
from syndicator.operations.unsubscribe import Bounce, read_report, read_wish, take_bounce, unsubscribe
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.storage.queries import find_story_of, source_called
from syndicator.web.api.contract import Answer, Body, Moment, Prose, endpoint
from syndicator.web.bodies import json_body
from syndicator.web.identity import require, the_house

newsroom = Blueprint("newsroom", __name__, url_prefix="/v1/newsroom")
SOURCE = "newsroom"


class Correction(Body):
    """What is left out stays as it is."""

    note: Prose = Field(description="What was wrong; readers see it.")
    headline: Prose | None = None
    summary: Prose | None = None
    body_html: Prose | None = None


class Withdrawal(Body):
    reason: Prose = Field(description="Told to everyone who had the story.")


class BounceTold(Body):
    """A letter that came back. Either of `email` and `message_id` says which."""

    email: Prose = Field("", max_length=254)
    message_id: Prose = Field("", max_length=300, description="Of our letter.")
    lasting: bool = Field(description="Nothing will ever arrive there, or the reader complained: the subscription ends.")
    detail: Prose = Field("", max_length=200, description="Such as the mail system's status.")


class BounceTaken(Answer):
    subscriptions: list[str] = Field(description="Those concerned.")


class StoryStored(Answer):
    id: str
    uri: str
    external_id: str
    version: int
    pubstatus: PubStatus
    rights: Rights
    embargoed_until: Moment | None
    url: str
    outcome: Outcome | None = Field(description="What became of the document; null after a withdrawal.")
    seq: int | None = Field(description="Of the event that tells of it; null when nobody is to hear of it.")
    type: str | None
    feeds: list[str]


@newsroom.put("/stories/<path:external_id>")
@endpoint(takes=StoryDocument, also=201)
def put_story(external_id: str) -> tuple[StoryStored, dict[str, str], int]:
    """Store what the newsroom has now: 201 for a new story, 200 for a new version or nothing new. Repeating changes nothing."""
    require(Scope.NEWSROOM)
    house = the_house()
    draft = parse_document(json_body(), external_id)
    with house.sessions.begin() as session:
        source = source_called(session, SOURCE, SourceKind.API)
        published = publish_story(session, house, source, draft, at=house.clock())
    return published_story(published), {}, 201 if published.outcome == "made" else 200


@newsroom.post("/stories/<path:external_id>/correct")
@endpoint()
def correct(external_id: str, order: Correction) -> StoryStored:
    """Publish a corrected version."""
    asker = require(Scope.NEWSROOM)
    house = the_house()
    with house.sessions.begin() as session:
        story = _known(session, external_id)
        published = correct_story(session, house, story.uri, actor=asker.actor, at=house.clock(), **order.model_dump())
    return published_story(published)


@newsroom.post("/stories/<path:external_id>/kill")
@endpoint(202)
def kill(external_id: str, order: Withdrawal) -> StoryStored:
    """Kill the story: it must not be used, and whoever had it is told ahead of all else."""
    return _withdraw(external_id, kill_story, order.reason)


@newsroom.post("/stories/<path:external_id>/takedown")
@endpoint(202)
def takedown(external_id: str, order: Withdrawal) -> StoryStored:
    """Recall the story without fault."""
    return _withdraw(external_id, take_down, order.reason)


def _withdraw(external_id: str, withdrawal: Callable[..., Event], reason: str) -> StoryStored:
    asker = require(Scope.NEWSROOM)
    house = the_house()
    with house.sessions.begin() as session:
        story = _known(session, external_id)
        event = withdrawal(session, house, story.uri, reason=reason, actor=asker.actor, at=house.clock())
        return stored(story, None, event)


def _known(session: Session, external_id: str) -> Story:
    story = find_story_of(session, source_called(session, SOURCE, SourceKind.API).id, source_key(external_id))
    if story is None:
        raise StoryNotFound(external_id)
    return story


def published_story(published: Published) -> StoryStored:
    return stored(published.story, published.outcome, published.event)


def stored(story: Story, outcome: Outcome | None, event: Event | None) -> StoryStored:
    names = ("uri", "external_id", "pubstatus", "rights", "embargoed_until")
    facts: dict[str, Any] = {name: getattr(story, name) for name in names}
    return StoryStored(
        **facts,
        id=story.public_id,
        version=story.version_number,
        url=f"{the_house().config.site.base_url}/stories/{story.public_id}",
        outcome=outcome,
        seq=event.seq if event else None,
        type=f"story.{event.type.value}" if event else None,
        feeds=event.feeds if event else [],
    )


@newsroom.post("/bounces")
@endpoint()
def take_bounce_told(order: BounceTold) -> BounceTaken:
    """Note that a letter came back. A lasting bounce ends the e-mail subscriptions of that address."""
    return _bounced(Bounce(**order.model_dump()))


@newsroom.post("/bounces/report")
@endpoint()
def take_bounce_report() -> BounceTaken:
    """Note that a letter came back, from the mail system's own report as `message/rfc822`: a delivery status notification (RFC
    3464) or a complaint (RFC 5965). A reader's letter to the address in List-Unsubscribe ends what its subject names."""
    require(Scope.NEWSROOM)
    letter, house = request.get_data(), the_house()
    if token := read_wish(letter):
        with house.sessions.begin() as session:
            return BounceTaken(subscriptions=[unsubscribe(session, house, token, at=house.clock()).public_id])
    return _bounced(read_report(letter))


def _bounced(bounce: Bounce) -> BounceTaken:
    asker, house = require(Scope.NEWSROOM), the_house()
    with house.sessions.begin() as session:
        concerned = take_bounce(session, house, bounce, actor=asker.actor, at=house.clock())
        return BounceTaken(subscriptions=[subscription.public_id for subscription in concerned])
