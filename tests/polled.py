"""An application with the byte layer in front of it, as WSGI, for test clients; in a web process front.py joins them."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from syndicator.web.byte_layer import Asked, ByteLayer
from syndicator.web.meter import asker_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def polled(layer: ByteLayer, app: WSGIApplication, trusted_proxies: int = 0) -> WSGIApplication:
    """Return `app`, with what `layer` answers answered by it."""

    def both(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fields = [environ.get(name) for name in ("HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")]
        given = layer.poll(
            environ["PATH_INFO"],
            Asked(environ["REQUEST_METHOD"], *fields),
            lambda: asker_of(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), trusted_proxies),
        )
        if given is None:
            return app(environ, start_response)
        start_response(f"{given.status} {HTTPStatus(given.status).phrase}", given.headers)
        return [given.body] if given.body else []

    return both
