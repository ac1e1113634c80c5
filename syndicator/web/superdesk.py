"""Superdesk's HTTP Push in: a signed POST for each item. The signature is the one credential; without a key all is refused."""

from __future__ import annotations

from flask import Blueprint, request

from syndicator.errors import AccessDenied
from syndicator.intake.document import read_json
from syndicator.intake.superdesk import read_push, signature_holds
from syndicator.operations.take_push import take_push
from syndicator.reasons import Reason
from syndicator.web.api.contract import endpoint
from syndicator.web.identity import the_house
from syndicator.web.newsroom import StoryStored, published_story

superdesk = Blueprint("superdesk", __name__, url_prefix="/v1/newsroom")


@superdesk.post("/superdesk")
@endpoint(public=True)
def push() -> tuple[StoryStored, dict[str, str], int]:
    """Take one item as Superdesk pushes it: ninjs 1.x, signed in X-Superdesk-Signature. The same bytes are taken once."""
    house, body = the_house(), request.get_data()
    at = house.clock()
    timestamp = request.headers.get("X-Superdesk-Timestamp", "")
    signature = request.headers.get("X-Superdesk-Signature", "")
    if not signature_holds(house.config.intake.superdesk_key, body, signature, timestamp, at):
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "This push is not signed with our key, or its time has passed.")
    pushed = read_push(read_json(body), house.config.site.name)
    with house.sessions.begin() as session:
        published = take_push(session, house, f"{timestamp}.".encode() + body, pushed, at=at)
        return published_story(published), {}, 201 if published.outcome == "made" else 200
