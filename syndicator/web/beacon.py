"""The reach beacon: a picture of one point that counts a view. It sets nothing, remembers nobody, and answers everybody alike."""

from __future__ import annotations

import base64

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from syndicator.operations.beacons import count_view, counts_as_view
from syndicator.web.identity import the_house

beacon = Blueprint("beacon", __name__)
POINT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@beacon.get("/b/<token>.gif")
def view(token: str) -> ResponseReturnValue:
    """Count a view of a copy. An unknown token gets the same picture."""
    house = the_house()
    purpose = f"{request.headers.get('Sec-Purpose', '')} {request.headers.get('Purpose', '')}"
    if request.method == "GET" and counts_as_view(request.headers.get("User-Agent", ""), purpose):
        with house.sessions.begin() as session:
            count_view(session, token, request.headers.get("Referer", ""), day=house.clock().date())
    response = Response(POINT, mimetype="image/gif")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
