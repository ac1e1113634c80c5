"""The WebSub hub's door: `POST /hub`. Whatever is well formed gets 202; what becomes of it is told at the callback (WebSub 5)."""

from __future__ import annotations

from math import ceil

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from syndicator.channels.websub import parse_hub_request
from syndicator.domain.publishers import Scope
from syndicator.errors import AddressRefused, InvalidRequest, SyndicatorError, TooManyRequests
from syndicator.operations.hub import keep_request
from syndicator.web.identity import require, the_house, the_outbound

hub = Blueprint("hub", __name__)


@hub.post("/hub")
def receive() -> ResponseReturnValue:
    """Take a subscription request; a publish ping is taken from our own newsroom only, and needs nothing to be done."""
    form = list(request.form.items(multi=True))
    if ("hub.mode", "publish") in form:
        require(Scope.NEWSROOM)
        return Response("Feeds are pushed as soon as they change; there is nothing to do.\n", 204, mimetype="text/plain")
    house = the_house()
    order = parse_hub_request(form, house.config.websub, the_outbound().check_url)
    with house.sessions.begin() as session:
        keep_request(
            session,
            house,
            mode=order.mode,
            topic=order.topic,
            callback=order.callback,
            secret=order.secret,
            lease_seconds=order.lease_seconds,
            at=house.clock(),
        )
    return Response("Accepted; the callback is asked to confirm.\n", 202, mimetype="text/plain")


@hub.errorhandler(InvalidRequest)
@hub.errorhandler(AddressRefused)
@hub.errorhandler(TooManyRequests)
def refuse(error: SyndicatorError) -> Response:
    """Give the reason as plain text (WebSub 5.1.2)."""
    wait = error.retry_after_seconds
    answer = Response(f"{error}\n", 400 if wait is None else 429, mimetype="text/plain")
    if wait is not None:
        answer.headers["Retry-After"] = str(ceil(wait))
    return answer


@hub.get("/hub")
def explain() -> ResponseReturnValue:
    """Say to a person what this address is for."""
    return Response("This is a WebSub hub (https://www.w3.org/TR/websub/) for the feeds of this site.\n", mimetype="text/plain")
