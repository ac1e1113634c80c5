"""Receipts for publishers: signed proof that they may use a story. Anybody may have one checked at /receipts/verify."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import Field

from syndicator.access import Purpose, decide, decide_viewer
from syndicator.domain.agreements import Way
from syndicator.domain.publishers import Publisher, Scope
from syndicator.domain.receipts import Receipt
from syndicator.domain.stories import Story
from syndicator.errors import StoryNotFound
from syndicator.operations.receipts import get_receipt, issue_receipt, judge_receipt
from syndicator.operations.takes import Taking, note_takes
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
from syndicator.storage.queries import find_story
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Moment, endpoint
from syndicator.web.identity import require_publisher, the_house


class ReceiptShown(Answer):
    id: str
    story: str = Field(description="The story's URI.")
    version: int
    license: str
    issued_at: Moment
    expires_at: Moment
    valid: bool = Field(description="Whether it holds now.")
    reason: Reason = Field(description="Why it does not.")
    newer_version: int | None = Field(description="A later version of the story, which its users should take.")
    token: str = Field(description="Compact JWS (RFC 7515), Ed25519; keys at /.well-known/jwks.json.")
    verify_url: str = Field(description="Where anybody can have it checked.")


@api.post("/stories/<public_id>/receipts")
@endpoint(201)
def add_receipt(public_id: str) -> tuple[ReceiptShown, dict[str, str]]:
    """Give a receipt for the story's current version; asked again, the one that still holds."""
    (asker, publisher), house = require_publisher(Scope.READ), the_house()
    at = house.clock()
    decide_viewer(asker.viewer, at).require()
    with reading(house.sessions) as session:
        found = find_story(session, public_id)
        if found is None:
            raise StoryNotFound(public_id)
        decision = decide(asker.viewer, found, Purpose.TAKE, at)
        decision.require()
    note_takes(house, publisher, [Taking(found, decision)], Way.RECEIPT, at=at)
    with house.sessions.begin() as session:
        story, holder = session.get_one(Story, found.id), session.get_one(Publisher, publisher.id)
        receipt, _ = issue_receipt(session, house, holder, story, story.current, decision, actor=asker.actor, at=at)
        return shown(receipt), {"Location": f"{house.config.site.base_url}/v1/receipts/{receipt.jti}"}


@api.get("/receipts/<jti>")
@endpoint()
def receipt(jti: str) -> ReceiptShown:
    """Show a receipt of one's own, and whether it still holds."""
    _, publisher = require_publisher(Scope.READ)
    with reading(the_house().sessions) as session:
        return shown(get_receipt(session, jti, publisher.id))


def shown(receipt: Receipt) -> ReceiptShown:
    verdict = judge_receipt(receipt, at=the_house().clock())
    return ReceiptShown(
        id=receipt.jti,
        story=receipt.story.uri,
        version=receipt.version_number,
        license=receipt.license_url,
        issued_at=receipt.issued_at,
        expires_at=receipt.expires_at,
        valid=verdict.valid,
        reason=verdict.reason,
        newer_version=verdict.newer_version,
        token=receipt.token,
        verify_url=verify_url(receipt),
    )


def verify_url(receipt: Receipt) -> str:
    return f"{the_house().config.site.base_url}/receipts/verify?receipt={quote(receipt.jti)}"
