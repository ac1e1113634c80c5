"""Republications: where a publisher says it published a story, and what the last look at the page found."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from syndicator.domain.publishers import Publisher, Scope
from syndicator.domain.republications import Republication
from syndicator.domain.stories import Rights
from syndicator.errors import StoryNotFound
from syndicator.operations.republications import report, republications_of
from syndicator.storage.engine import reading
from syndicator.storage.queries import find_story
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Body, Moment, Prose, endpoint
from syndicator.web.identity import require_publisher, the_house, the_outbound


class NewRepublication(Body):
    story: Prose = Field(max_length=32, description="The story's id.")
    url: Prose = Field(max_length=2048, description="The page, on a site of the publisher's own.")
    check: bool = Field(False, description="Whether the page may be looked at now and then; done on proven sites alone.")


class RepublicationShown(Answer):
    id: str
    story: str
    url: str
    check: bool
    reported_at: Moment
    checked_at: Moment | None
    findings: dict[str, Any] = Field(description="Of the last look; empty before the first.")


class Republications(Answer):
    republications: list[RepublicationShown]


@api.get("/republications")
@endpoint()
def republications() -> Republications:
    """List the publisher's reported pages, the newest first."""
    _, publisher = require_publisher(Scope.READ)
    with reading(the_house().sessions) as session:
        return Republications(republications=[shown(each) for each in republications_of(session, publisher.id)])


@api.post("/republications")
@endpoint(201)
def add_republication(order: NewRepublication) -> RepublicationShown:
    """Report that a story was published; the same page again changes only whether it is looked at."""
    (asker, publisher), house = require_publisher(Scope.READ), the_house()
    with house.sessions.begin() as session:
        story = find_story(session, order.story)
        if story is None or story.rights is Rights.NONE or story.released_at is None:
            raise StoryNotFound(order.story)
        holder = session.get_one(Publisher, publisher.id)
        found = report(session, the_outbound(), holder, story, order.url, check=order.check, actor=asker.actor, at=house.clock())
        return shown(found)


def shown(found: Republication) -> RepublicationShown:
    return RepublicationShown(
        id=found.public_id,
        story=found.story.uri,
        url=found.url,
        check=found.check,
        reported_at=found.reported_at,
        checked_at=found.checked_at,
        findings=found.findings,
    )
