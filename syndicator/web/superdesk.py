"""Superdesk's HTTP Push in: a signed POST for each item, and for each picture. The signature is the one credential; without a key
all is refused. And the pictures on their way out, to whoever may have a story that shows them."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from syndicator.errors import AccessDenied, InvalidRequest, NotFound
from syndicator.intake.document import read_json
from syndicator.intake.superdesk import read_push, signature_holds
from syndicator.operations.pictures import address_of, find_picture, get_picture, keep_picture
from syndicator.operations.take_push import take_push
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
from syndicator.web.api.contract import Answer, endpoint
from syndicator.web.bodies import storable
from syndicator.web.identity import caller, the_house
from syndicator.web.newsroom import StoryStored, published_story
from syndicator.web.pages import cacheable

superdesk = Blueprint("superdesk", __name__)
PICTURE_SECONDS = 60  # that a copy may outlive a kill


class AssetKept(Answer):
    media_id: str


@superdesk.post("/v1/newsroom/superdesk")
@endpoint(public=True, also=201)
def push() -> tuple[StoryStored, dict[str, str], int]:
    """Take one item as Superdesk pushes it: ninjs 1.x, signed in X-Superdesk-Signature. The same bytes are taken once."""
    house, body, timestamp = the_house(), *_signed()
    item = read_json(body)
    with house.sessions.begin() as session:

        def address(media_id: str) -> str:
            picture = find_picture(session, media_id)
            return address_of(house, picture) if picture else ""

        pushed = read_push(item, house.config.site.name, address)
        published = take_push(session, house, f"{timestamp}.".encode() + body, pushed, at=house.clock())
        return published_story(published), {}, 201 if published.outcome == "made" else 200


@superdesk.post("/v1/newsroom/superdesk/assets")
@endpoint(201, public=True)
def push_asset() -> AssetKept:
    """Keep a picture that a later item names: a form of `media_id` and the file `media`, signed as a whole."""
    house, _ = the_house(), _signed()
    file = request.files.get("media")
    if file is None:
        raise InvalidRequest("is missing", "media")
    try:
        media_id = storable(request.form.get("media_id", ""))
    except ValueError as error:
        raise InvalidRequest(str(error), "media_id") from error
    with house.sessions.begin() as session:
        keep_picture(session, media_id, file.read(), at=house.clock())
    return AssetKept(media_id=media_id)


@superdesk.get("/v1/newsroom/superdesk/assets/<path:media_id>")
@endpoint(public=True)
def asset(media_id: str) -> AssetKept:
    """Say whether we have the picture, as Superdesk asks before it pushes one. It is not shown here."""
    if not the_house().config.intake.superdesk_key:
        raise NotFound("there is no such picture")
    with reading(the_house().sessions) as session:
        if find_picture(session, media_id) is None:
            raise NotFound("there is no such picture")
    return AssetKept(media_id=media_id)


@superdesk.get("/pictures/<public_id>")
def picture(public_id: str) -> ResponseReturnValue:
    """One picture, for whoever may have a story that shows it; nobody else learns whether there is one."""
    house = the_house()
    with reading(house.sessions) as session:
        found, public = get_picture(session, house, caller().viewer, public_id, at=house.clock())
    response = Response(found.content, content_type=found.media_type)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    cacheable(response, seconds=PICTURE_SECONDS)
    if not public:
        response.headers["Cache-Control"] = "private, no-store"
    return response


def _signed() -> tuple[bytes, str]:
    """Return the request's body and the timestamp signed with it, if any. Raises AccessDenied unless our key signed it."""
    house, body = the_house(), request.get_data()
    timestamp = request.headers.get("X-Superdesk-Timestamp", "")
    signature = request.headers.get("X-Superdesk-Signature", "")
    if not signature_holds(house.config.intake.superdesk_key, body, signature, timestamp, house.clock()):
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "This push is not signed with our key, or its time has passed.")
    return body, timestamp
