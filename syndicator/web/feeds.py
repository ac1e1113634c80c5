"""Feed documents and their archives. Public ones are served in front of Flask by the byte layer; here are the private ones, by
token or HTTP Basic, and the answers for those that do not exist. A poll costs one indexed look-up and reads ready bytes.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from syndicator.access import ANYBODY, Viewer, decide_feed, viewer_of
from syndicator.documents import DamagedDocument, DocumentNotFound, document_path, read_document
from syndicator.domain.feeds import FeedDefinition
from syndicator.domain.publishers import FeedToken
from syndicator.errors import AccessDenied, FeedNotFound, NotReady
from syndicator.operations.agreements import read_viewer
from syndicator.operations.keys import find_token, note_reader, use_is_news
from syndicator.operations.render_feeds import document_key, documents_folder, render_again
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
from syndicator.web.document_answers import answer
from syndicator.web.identity import the_house
from syndicator.web.limits import count_stranger
from syndicator.web.polls import PollBook

log = logging.getLogger(__name__)
feeds = Blueprint("feed_documents", __name__)
METHODS = ["GET", "HEAD", "OPTIONS"]
HEAD_PATH = "<name>.<any(rss, atom, json):fmt>"
ARCHIVE_PATH = "<name>/archive/<number>.<any(rss, atom, json):fmt>"
NUMBER = re.compile(r"[1-9][0-9]{0,5}")


@feeds.route(f"/feeds/{HEAD_PATH}", methods=METHODS, provide_automatic_options=False)
@feeds.route(f"/feeds/{ARCHIVE_PATH}", methods=METHODS, provide_automatic_options=False)
def document(name: str, fmt: str, number: str | None = None) -> ResponseReturnValue:
    """Serve a feed by its plain address; a private one asks for HTTP Basic with the feed token as password."""
    definition, archive = the_house().catalogue.get(name), _archive(name, number)
    if definition.public:
        return _serve(definition, fmt, archive, private=False)
    authorization = request.authorization
    if authorization is None or authorization.type != "basic" or not authorization.password:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "Send the feed token as the password of HTTP Basic, with any user name.")
    return _serve_private(authorization.password, definition, fmt, archive)


@feeds.route(f"/f/<token>/{HEAD_PATH}", methods=METHODS, provide_automatic_options=False)
@feeds.route(f"/f/<token>/{ARCHIVE_PATH}", methods=METHODS, provide_automatic_options=False)
def private_document(token: str, name: str, fmt: str, number: str | None = None) -> ResponseReturnValue:
    """Serve a private feed by its token address, which is a topic of the hub for whoever has it."""
    definition, archive = the_house().catalogue.get(name), _archive(name, number)
    answered = _serve_private(token, definition, fmt, archive)
    if definition.websub and archive is None and "Link" in answered.headers:
        base = the_house().config.site.base_url
        others = [link for link in answered.headers["Link"].split(", ") if 'rel="self"' not in link]
        links = [f'<{base}/hub>; rel="hub"', f'<{base}/f/{token}/{name}.{fmt}>; rel="self"', *others]
        answered.headers["Link"] = ", ".join(links)  # WebSub 4; the document is the same for all and cannot say it
    return answered


def _archive(name: str, number: str | None) -> int | None:
    """Return the number of an archive, None for the head; raises FeedNotFound for a number spelled otherwise."""
    if number is None:
        return None
    if not NUMBER.fullmatch(number):
        raise FeedNotFound(f"{name}/archive/{number}")
    return int(number)


def _serve_private(secret: str, definition: FeedDefinition, fmt: str, archive: int | None) -> Response:
    house, at = the_house(), the_house().clock()
    with reading(house.sessions) as session:
        token = find_token(session, secret)
        viewer = _viewer(session, token, definition, at) if token else ANYBODY
    if token is None:
        count_stranger()
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "This feed token is not known or has been revoked.")
    if token.feed != definition.name:
        raise AccessDenied(Reason.FEED_NOT_GRANTED)
    decide_feed(viewer, definition, at).require()
    if use_is_news(token, at):
        with house.sessions.begin() as session:
            note_reader(session, house, token, request.remote_addr or "", at=at)
    answered = _serve(definition, fmt, archive, private=True)
    book: PollBook = current_app.extensions["polls"]
    book.note_private(token.publisher_id, (definition.name, fmt, answered.status_code))
    return answered


def _viewer(session: Session, token: FeedToken, definition: FeedDefinition, at: datetime) -> Viewer:
    """Return who holds `token`; agreements are looked up only for a feed that one must open, since this is asked at each poll."""
    if definition.licensed:
        return read_viewer(session, the_house(), token.publisher, at=at)
    return viewer_of(token.publisher, the_house().config.license.version)


def _serve(definition: FeedDefinition, fmt: str, archive: int | None, *, private: bool) -> Response:
    """Answer with a document; one that should be there and is damaged or missing is made anew meanwhile."""
    folder = documents_folder(the_house().config.data_dir, definition)
    key = document_key(definition.name, archive, fmt)
    try:
        stored = read_document(document_path(folder, key))
    except (DocumentNotFound, DamagedDocument) as error:
        if not render_again(the_house(), definition, archive):
            raise FeedNotFound(key) from error
        log.warning("document to be made anew feed=%s document=%s", definition.name, key)
        raise NotReady(f"{key} is being made; please come back") from error
    status, headers, body = answer(stored, request.method, request.environ, private=private)
    response = Response(body, status=status)
    response.headers.clear()
    response.headers.extend(headers)
    return response
