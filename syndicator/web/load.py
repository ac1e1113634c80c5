"""More work than there is room for is turned away at once, so that what is taken in is done and polls are always answered.

Only so many requests are in the application at a time, and only so many wait for it, not for long; everybody else gets 503 and
Retry-After. The threads that are left serve feed documents, which never come here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from syndicator.reasons import Reason
from syndicator.web.refusal import refuse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ALWAYS = frozenset({"/healthz"})  # who watches must not take a busy process for a dead one
RETRY_AFTER_SECONDS = 5


class LoadShedder:
    """`app` with room for `running` requests at once and for `waiting` more, each of which waits at most `seconds`."""

    def __init__(self, app: WSGIApplication, *, running: int, waiting: int, seconds: float) -> None:
        self.app = app
        self._places = threading.BoundedSemaphore(running + waiting)
        self._running = threading.BoundedSemaphore(running)
        self._seconds = seconds

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in ALWAYS:
            return self.app(environ, start_response)
        if not self._places.acquire(blocking=False):
            return self._refuse(start_response)
        try:
            if not self._running.acquire(timeout=self._seconds):
                return self._refuse(start_response)
            try:
                return self.app(environ, start_response)
            finally:
                self._running.release()
        finally:
            self._places.release()

    @staticmethod
    def _refuse(start_response: StartResponse) -> list[bytes]:
        busy = HTTPStatus.SERVICE_UNAVAILABLE
        detail = "More is asked of us than we can do at once; please come back."
        return refuse(start_response, busy, detail, retry_after_seconds=RETRY_AFTER_SECONDS, reason=Reason.RATE_LIMITED)
