"""A publisher's licenses: the free-use license by its approval, and each agreement, as JSON and as ODRL policies."""

from __future__ import annotations

import json

from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from syndicator.access import decide_viewer
from syndicator.domain.agreements import Agreement
from syndicator.domain.publishers import Publisher, Scope
from syndicator.operations.agreements import agreements_of, get_agreement, policy_url, quota_used
from syndicator.render.odrl import Granted, agreement
from syndicator.storage.engine import reading
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Moment, endpoint
from syndicator.web.identity import require_publisher, the_house

FREE_USE = "free-use"
JSON_LD = "application/ld+json"


class AgreementShown(Answer):
    id: str
    title: str
    feeds: list[str] = Field(description="Empty, like sections and stories: everything on offer.")
    sections: list[str]
    stories: list[str]
    territory: str
    fee_note: str
    quota: int | None = Field(description="Stories in each period; null for no limit.")
    quota_period: str | None
    quota_used: int | None = Field(description="In the present period.")
    embargo_trusted: bool
    valid_from: Moment
    valid_until: Moment
    ended_at: Moment | None
    in_force: bool
    policy: str = Field(description="The same as an ODRL Agreement.")


class Agreements(Answer):
    free_use: str | None = Field(description="The ODRL Agreement of the free-use license, while the publisher is approved.")
    agreements: list[AgreementShown]


@api.get("/agreements")
@endpoint()
def agreements() -> Agreements:
    """List what the publisher holds, the newest first."""
    (asker, publisher), house = require_publisher(Scope.READ), the_house()
    free = decide_viewer(asker.viewer, house.clock()).granted
    with reading(house.sessions) as session:
        found = [_shown(session, each) for each in agreements_of(session, publisher.id)]
    return Agreements(free_use=_address(FREE_USE) if free else None, agreements=found)


@api.get("/agreements/<reference>.jsonld")
@endpoint(media={"jsonld": JSON_LD})
def agreement_policy(reference: str) -> Response:
    """Answer one license as an ODRL 2.2 Agreement; `free-use` is the one that the approval gives."""
    (asker, publisher), house = require_publisher(Scope.READ), the_house()
    with reading(house.sessions) as session:
        if reference == FREE_USE:
            decide_viewer(asker.viewer, house.clock()).require()
            granted = _free_use(publisher)
        else:
            granted = _granted(get_agreement(session, reference, publisher_id=publisher.id))
    return Response(json.dumps(agreement(house.terms, granted), ensure_ascii=False), mimetype=JSON_LD)


def _shown(session: Session, found: Agreement) -> AgreementShown:
    at = the_house().clock()
    return AgreementShown(
        id=found.public_id,
        title=found.title,
        feeds=found.feeds,
        sections=found.sections,
        stories=found.stories,
        territory=found.territory,
        fee_note=found.fee_note,
        quota=found.quota,
        quota_period=found.quota_period.value if found.quota is not None else None,
        quota_used=quota_used(session, found, at=at) if found.quota is not None else None,
        embargo_trusted=found.embargo_trusted,
        valid_from=found.valid_from,
        valid_until=found.valid_until,
        ended_at=found.ended_at,
        in_force=found.in_force(at),
        policy=_address(found.public_id),
    )


def _address(reference: str) -> str:
    return policy_url(the_house().config, reference)


def _free_use(publisher: Publisher) -> Granted:
    house = the_house()
    return Granted(
        uid=f"{_address(FREE_USE)}#{publisher.public_id}",
        title=house.config.license.title,
        holder=f"{house.config.site.base_url}/publishers/{publisher.public_id}",
        holder_name=publisher.name,
        targets=(f"{house.config.site.base_url}/stories/",),
        valid_from=publisher.terms_accepted_at or publisher.created_at,
        valid_until=publisher.approved_until or publisher.created_at,
    )


def _granted(found: Agreement) -> Granted:
    base = the_house().config.site.base_url
    feeds = (f"{base}/feeds/{name}.atom" for name in found.feeds)
    sections = (f"{base}/license#section-{name.replace(' ', '-').lower()}" for name in found.sections)
    stories = (f"{base}/stories/{public_id}" for public_id in found.stories)
    return Granted(
        uid=_address(found.public_id),
        title=found.title,
        holder=f"{base}/publishers/{found.publisher.public_id}",
        holder_name=found.publisher.name,
        targets=(*feeds, *sections, *stories) or (f"{base}/stories/",),
        valid_from=found.valid_from,
        valid_until=min(found.valid_until, found.ended_at or found.valid_until),
        territory=found.territory,
        fee_note=found.fee_note,
        stories=found.quota,
        period=found.quota_period.value,
    )
