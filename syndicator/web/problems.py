"""Problem documents (RFC 9457): the only place that maps the family of errors to HTTP statuses.

Paths of the API, the hub and private feeds get `application/problem+json` with a stable `reason`; pages get the same as HTML.
"""

from __future__ import annotations

import errno
import json
import logging
from http import HTTPStatus
from math import ceil

from flask import Flask, Response, abort, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from syndicator.errors import (
    AccessDenied,
    AddressRefused,
    Conflict,
    InvalidRequest,
    Malformed,
    NotFound,
    NotReady,
    StorageAway,
    StorageFull,
    SyndicatorError,
    TooLarge,
    TooManyRequests,
    WrongMediaType,
)
from syndicator.house import House
from syndicator.reasons import Reason
from syndicator.storage.engine import out_of_room, passing

log = logging.getLogger(__name__)
MACHINE_PATHS = ("/v1/", "/f/", "/feeds/", "/hub", "/receipts/")
REASON_STATUS = {
    Reason.SIGN_IN_REQUIRED: HTTPStatus.UNAUTHORIZED,
    Reason.KILLED: HTTPStatus.GONE,
    Reason.TAKEN_DOWN: HTTPStatus.GONE,
    Reason.WITHHELD: HTTPStatus.GONE,
    Reason.EXPIRED: HTTPStatus.GONE,
    Reason.UNKNOWN_STORY: HTTPStatus.NOT_FOUND,
    Reason.UNKNOWN_FEED: HTTPStatus.NOT_FOUND,
    # A story that is under embargo or not for syndication is as unknown as one that does not exist.
    Reason.EMBARGOED: HTTPStatus.NOT_FOUND,
    Reason.NOT_FOR_SYNDICATION: HTTPStatus.NOT_FOUND,
    Reason.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
}
DISK_ERRORS = {errno.EIO, errno.EROFS}
HIDDEN = frozenset({Reason.EMBARGOED, Reason.NOT_FOR_SYNDICATION})
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"  # draft-ietf-httpapi-ratelimit-headers-10


def status_of(error: SyndicatorError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    match error:
        case AccessDenied():
            return REASON_STATUS.get(error.reason, HTTPStatus.FORBIDDEN)
        case TooManyRequests():
            return HTTPStatus.TOO_MANY_REQUESTS
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Conflict():
            return HTTPStatus.CONFLICT
        case Malformed():
            return HTTPStatus.BAD_REQUEST
        case WrongMediaType():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case TooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case StorageFull():
            return HTTPStatus.INSUFFICIENT_STORAGE
        case NotReady() | StorageAway():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case InvalidRequest() | AddressRefused():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(status: int, reason: Reason, detail: str, **members: object) -> Response:
    """Build a problem document; `members` are extensions."""
    house: House = current_app.extensions["house"]
    if reason in HIDDEN:
        reason, detail = Reason.UNKNOWN_STORY, Reason.UNKNOWN_STORY.words
    document: dict[str, object] = {
        "type": f"{house.config.site.base_url}/problems/{reason.value.replace('_', '-')}",
        "title": reason.words,
        "status": int(status),
        "detail": detail,
        "reason": reason.value,
        "contact": house.config.notice.contact_email,
        **members,
    }
    if status in {401, 403}:
        document["license"] = house.config.license_url
        document["apply"] = f"{house.config.site.base_url}/apply"
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace")  # it may repeat a name that holds half a pair
    answer = Response(body, status=status, mimetype="application/problem+json")
    answer.headers["Cache-Control"] = "no-store"
    if status == 401:
        answer.headers["WWW-Authenticate"] = (
            'Basic realm="feeds", charset="UTF-8"' if request.path.startswith("/feeds/") else 'Bearer realm="api"'
        )
    return answer


def register(app: Flask) -> None:
    """Let every error leave as a problem document where a machine asked."""
    app.before_request(_refuse_null)
    app.register_error_handler(SyndicatorError, _our_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _storage_error)
    app.register_error_handler(OSError, _storage_error)
    app.register_error_handler(Exception, _bug)


def _refuse_null() -> None:
    """Nothing has a name with a NUL in it, and PostgreSQL does not even let one ask. For forms see guard.py."""
    if "\0" in request.path:
        abort(HTTPStatus.NOT_FOUND)
    for name, value in request.args.items(multi=True):
        if "\0" in value and machine_asks():
            raise InvalidRequest("holds a character that no text has", name)
        if "\0" in value:
            abort(HTTPStatus.BAD_REQUEST, "A value in the address holds a character that no text has.")


def machine_asks() -> bool:
    return request.path.startswith(MACHINE_PATHS)


def _our_error(error: SyndicatorError) -> Response:
    status = status_of(error)
    if status >= 500:
        log.error("request failed path=%s error=%s", request.path, error)
    if machine_asks():
        answer = problem(status, error.reason, str(error), **_members(error))
    else:
        answer = _page(status, error.reason, str(error))
    if error.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(ceil(error.retry_after_seconds))
    if isinstance(error, WrongMediaType):
        answer.headers["Accept"] = error.wanted  # RFC 9110, 15.5.16
    return answer


def _members(error: SyndicatorError) -> dict[str, object]:
    """Return what a problem document says of `error` beside its reason."""
    if isinstance(error, TooManyRequests):
        return {"type": QUOTA_EXCEEDED, "violated-policies": [error.policy]}
    field = getattr(error, "field", None)
    return {"field": field} if field else {}


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    reason = Reason.RATE_LIMITED if status == 429 else Reason.INVALID_REQUEST
    if not machine_asks():
        answer = _page(status, reason, error.description or "")
    else:
        answer = problem(status, reason, error.description or HTTPStatus(status).phrase)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            answer.headers[name] = value
    return answer


def _storage_error(error: Exception) -> Response:
    """A database that is away, or a disk that is full or failing, is no fault of the request, and passes."""
    if out_of_room(error):
        answer = _our_error(StorageFull())
    elif passing(error) or getattr(error, "errno", None) in DISK_ERRORS:
        answer = _our_error(StorageAway())
    else:
        return _bug(error)
    log.error("storage not usable path=%s error=%s", request.path, type(getattr(error, "orig", error)).__name__)
    return answer


def _bug(error: Exception) -> Response:
    """Say nothing of what went wrong inside: the log has it."""
    log.exception("request failed path=%s", request.path, exc_info=error)
    if machine_asks():
        return problem(500, Reason.INVALID_REQUEST, "Something went wrong here; it has been recorded.")
    return _page(500, Reason.INVALID_REQUEST, "Something went wrong here; it has been recorded.")


def _page(status: int, reason: Reason, detail: str) -> Response:
    from syndicator.web.pages import error_page

    if reason in HIDDEN:
        reason, detail = Reason.UNKNOWN_STORY, Reason.UNKNOWN_STORY.words
    return error_page(status, reason, detail)
