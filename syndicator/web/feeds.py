"""Feed documents. Public ones are served in front of Flask by the byte layer; here are the private ones, by token or HTTP Basic,
and the answers for those that do not exist. A poll costs one indexed look-up and reads ready bytes.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import update

from syndicator.access import decide_feed, viewer_of
from syndicator.documents import answer, private_folder, public_folder, read_document
from syndicator.domain.feeds import FORMATS, FeedDefinition
from syndicator.domain.publishers import FeedToken
from syndicator.errors import AccessDenied, FeedNotFound
from syndicator.operations.keys import find_token, note_use
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
from syndicator.web.identity import the_house

feeds = Blueprint("feed_documents", __name__)
METHODS = ["GET", "HEAD", "OPTIONS"]


@feeds.route("/feeds/<name>.<any(rss, atom, json):fmt>", methods=METHODS, provide_automatic_options=False)
def document(name: str, fmt: str) -> ResponseReturnValue:
    """Serve a feed by its plain address; a private one asks for HTTP Basic with the feed token as password."""
    house = the_house()
    definition = house.catalogue.get(name)
    if definition.public:
        return _serve(public_folder(house.config.data_dir), definition, fmt, private=False)
    authorization = request.authorization
    if authorization is None or authorization.type != "basic" or not authorization.password:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "Send the feed token as the password of HTTP Basic, with any user name.")
    return _serve_private(authorization.password, definition, fmt)


@feeds.route("/f/<token>/<name>.<any(rss, atom, json):fmt>", methods=METHODS, provide_automatic_options=False)
def private_document(token: str, name: str, fmt: str) -> ResponseReturnValue:
    """Serve a private feed by its token address."""
    return _serve_private(token, the_house().catalogue.get(name), fmt)


def _serve_private(secret: str, definition: FeedDefinition, fmt: str) -> Response:
    house, at = the_house(), the_house().clock()
    with reading(house.sessions) as session:
        token = find_token(session, secret)
    if token is None:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "This feed token is not known or has been revoked.")
    if token.feed != definition.name:
        raise AccessDenied(Reason.FEED_NOT_GRANTED)
    decide_feed(viewer_of(token.publisher, house.config.license.version), definition, at).require()
    if note_use(token, at):
        with house.sessions.begin() as session:
            session.execute(update(FeedToken).where(FeedToken.id == token.id).values(last_used_at=at))
    return _serve(private_folder(house.config.data_dir), definition, fmt, private=True)


def _serve(folder: Path, definition: FeedDefinition, fmt: str, *, private: bool) -> Response:
    if fmt not in FORMATS:
        raise FeedNotFound(f"{definition.name}.{fmt}")
    stored = read_document(folder / f"{definition.name}.{fmt}")
    status, headers, body = answer(stored, request.method, request.environ, private=private)
    response = Response(body, status=status)
    response.headers.clear()
    response.headers.extend(headers)
    return response
