"""The partners' API under /v1: the blueprint that the modules of this package put their views on, and what all answers share."""

from __future__ import annotations

from flask import Blueprint, Response, request

api = Blueprint("api", __name__, url_prefix="/v1")


@api.after_request
def keep_private(response: Response) -> Response:
    """Let the caller alone keep what it read, and ask whether that still holds; what it ordered is kept by nobody."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Authorization")
    if request.method in {"GET", "HEAD"} and response.status_code == 200:
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.add_etag(weak=True)  # compressed or not, the answer says the same
        response.make_conditional(request)
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response
