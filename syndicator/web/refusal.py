"""Turning requests away before the application sees them: a problem document (RFC 9457) that says when to come back."""

from __future__ import annotations

import json
from http import HTTPStatus

from syndicator.reasons import Reason
from syndicator.web.document_answers import Answer

RETRY_AFTER_SECONDS = 5  # where there is no room


def refusal(
    status: HTTPStatus, detail: str, *, retry_after_seconds: int | None = None, reason: Reason, close: bool = False
) -> Answer:
    """Make the answer; `close` ends the connection, as it must where a body has been left unread."""
    told = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, "reason": reason.value}
    body = json.dumps(told).encode()
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    if retry_after_seconds is not None:
        headers.append(("Retry-After", str(retry_after_seconds)))
    if close:
        headers.append(("Connection", "close"))
    return Answer(int(status), headers, body)
