"""Turning requests away before the application sees them: a problem document (RFC 9457) that says when to come back."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from syndicator.reasons import Reason

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


def refuse(
    start_response: StartResponse,
    status: HTTPStatus,
    detail: str,
    *,
    retry_after_seconds: int,
    reason: Reason,
    close: bool = False,
) -> list[bytes]:
    """Answer `status`; `close` ends the connection, as it must where a body has been left unread."""
    told = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, "reason": reason.value}
    body = json.dumps(told).encode()
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(retry_after_seconds)),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{int(status)} {status.phrase}", [*headers, ("Connection", "close")] if close else headers)
    return [body]
