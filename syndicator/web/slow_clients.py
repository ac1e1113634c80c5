"""Slow clients hold nothing up: WSGI between the server and the application, so that few threads can serve many.

Only so many request bodies are received at once, and an answer of known length is handed back whole, so that the server and not a
thread waits for its reader. No server bounds the time of reading a body over WSGI, and granian allows no other thread to do it
instead. So one address may fill half of the places only, rounded up; against an attack from many, nginx in front receives bodies
first.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any

from syndicator.reasons import Reason
from syndicator.web.meter import asker_of
from syndicator.web.refusal import refuse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RETRY_AFTER_SECONDS = 5


class SlowClientGuard:
    """`app` behind the guard, which receives at most `slots` bodies at once, half of them, rounded up, from one address,
    each of up to `max_body_bytes`.

    With its slots taken a request with a body gets 503 and Retry-After. `slots` must be fewer than the server's threads: the
    others answer everybody who sends no body, pollers above all.
    """

    def __init__(self, app: WSGIApplication, *, slots: int, max_body_bytes: int, trusted_proxies: int = 0) -> None:
        self.app = app
        self._slots, self._of_one = slots, (slots + 1) // 2
        self._senders: Counter[str] = Counter()  # whose bodies are being received
        self._lock = threading.Lock()
        self._most, self._proxies = max_body_bytes, trusted_proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if has_body(environ) and not self._is_too_long(environ):
            sender = asker_of(environ, self._proxies)
            if not self._take_slot(sender):
                return refuse(
                    start_response,
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "Too many requests are being received; please come back.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                    reason=Reason.RATE_LIMITED,
                    close=True,  # its body is left unread
                )
            try:
                body = environ["wsgi.input"].read(self._most + 1)  # one more than allowed shows that it is too much
            finally:
                self._give_slot_back(sender)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        return _whole(self.app, environ, start_response)

    def _take_slot(self, sender: str) -> bool:
        with self._lock:
            free = self._senders.total() < self._slots and self._senders[sender] < self._of_one
            if free:
                self._senders[sender] += 1
            return free

    def _give_slot_back(self, sender: str) -> None:
        with self._lock:
            self._senders[sender] -= 1
            self._senders += Counter()  # forgets who has none

    def _is_too_long(self, environ: WSGIEnvironment) -> bool:
        """Such a body is not received at all; the application refuses it in its own words."""
        told = environ.get("CONTENT_LENGTH", "")
        return told.isdecimal() and (len(told) > 18 or int(told) > self._most)


def has_body(environ: WSGIEnvironment) -> bool:
    return environ.get("CONTENT_LENGTH", "") not in {"", "0"} or "HTTP_TRANSFER_ENCODING" in environ


def _whole(app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Call `app`; an answer that says its length comes back as one list, a stream as it is."""
    known_length = False

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        nonlocal known_length
        known_length = any(name.lower() == "content-length" for name, _ in headers)
        return start_response(status, headers, exc_info)

    parts = app(environ, start)
    if not known_length:
        return parts
    try:
        return [b"".join(parts)]
    finally:
        if hasattr(parts, "close"):
            parts.close()
