"""Who is asking: the bearer key of an API request becomes the actor and the viewer that the gate judges."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, g, request
from sqlalchemy import update

from syndicator.access import ANYBODY, Viewer
from syndicator.domain.publishers import ApiKey, Publisher, Scope
from syndicator.errors import AccessDenied
from syndicator.house import House
from syndicator.operations.agreements import read_viewer
from syndicator.operations.keys import find_key, use_is_news
from syndicator.outbound import Outbound
from syndicator.reasons import Reason
from syndicator.storage.engine import reading


@dataclass(frozen=True, slots=True)
class Caller:
    """One API request's asker. `publisher` is None for anybody and for our own newsroom."""

    viewer: Viewer
    actor: str
    publisher: Publisher | None = None
    key: ApiKey | None = None


def the_house() -> House:
    house: House = current_app.extensions["house"]
    return house


def the_outbound() -> Outbound:
    outbound: Outbound = current_app.extensions["outbound"]
    return outbound


def caller() -> Caller:
    """Return who asks. A key that is not ours, revoked or expired is refused, never taken for nobody."""
    if "caller" not in g:
        g.caller = _read_caller()
    found: Caller = g.caller
    return found


def forget_caller() -> None:
    """Look the key up again when it is next asked for: much may have happened to it while its request waited."""
    g.pop("caller", None)


def require(scope: Scope) -> Caller:
    """Return who asks, if its key has `scope`; raises AccessDenied."""
    asker = caller()
    if asker.key is None:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "Send an API key as `Authorization: Bearer …`.")
    if scope not in asker.viewer.scopes:
        raise AccessDenied(Reason.SCOPE_MISSING, f"This key does not have the scope {scope.value!r}.")
    return asker


def require_publisher(scope: Scope) -> tuple[Caller, Publisher]:
    """Return the publisher that asks; our own newsroom has no subscriptions or deliveries of its own."""
    asker = require(scope)
    if asker.publisher is None:
        raise AccessDenied(Reason.SCOPE_MISSING, "This is for publishers' keys.")
    return asker, asker.publisher


def _read_caller() -> Caller:
    authorization = request.authorization
    if authorization is None:
        return Caller(ANYBODY, "anybody")
    if authorization.type != "bearer" or not authorization.token:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "Send an API key as `Authorization: Bearer …`.")
    house = the_house()
    at = house.clock()
    with reading(house.sessions) as session:
        key = find_key(session, authorization.token, at=at)
        scopes = frozenset(Scope(scope) for scope in key.scopes) if key else frozenset()
        viewer = read_viewer(session, house, key.publisher, at=at, scopes=scopes) if key and key.publisher else None
    if key is None:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED, "This key is not known, has been revoked, or has expired.")
    if use_is_news(key, at):
        with house.sessions.begin() as session:
            used = {"last_used_at": at, "last_used_from": (request.remote_addr or "")[:64]}
            session.execute(update(ApiKey).where(ApiKey.id == key.id).values(used))
    if viewer is None:
        return Caller(Viewer(scopes=scopes), f"key:{key.public_id}", key=key)
    return Caller(viewer, f"key:{key.public_id}", key.publisher, key)
