"""From granian's RSGI to WSGI (PEP 3333) and back: what Flask is asked by, and what it answered, as values.

Granian's own WSGI gives every request a thread of its own, polls too, and the body of a slow sender holds one. RSGI lets the
event loop answer polls and receive bodies, so that threads are for work alone.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

MEMORY_BYTES = 1_048_576  # of an answer that does not say its length; a longer one goes by a file
Headers = list[tuple[str, str]]


class RequestHeaders(Protocol):
    """Names are in lower case; values that are not plain ASCII are not shown."""

    def __contains__(self, key: str) -> bool: ...
    def keys(self) -> list[str]: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def get_all(self, key: str) -> list[str]: ...


class Scope(Protocol):
    """A request, as RSGI 1.6 describes it; `client` and `server` are address:port, `path` is decoded."""

    @property
    def headers(self) -> RequestHeaders: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> str: ...
    @property
    def http_version(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def authority(self) -> str | None: ...


class Exchange(Protocol):
    """The way in of a request's body, in pieces, and the way out of its one answer."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_empty(self, status: int, headers: Headers) -> None: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...
    def response_file(self, status: int, headers: Headers, file: str) -> None: ...


class Reply(NamedTuple):
    """What an application answered; a file is an unnamed one, at its beginning, to be closed when it has been sent."""

    status: int
    headers: Headers
    body: bytes | IO[bytes]


def client_address(scope: Scope) -> str:
    return scope.client.rpartition(":")[0].strip("[]")


def passed_on(scope: Scope) -> str:
    """Return X-Forwarded-For, of however many lines."""
    return ",".join(scope.headers.get_all("x-forwarded-for"))


def environ_of(scope: Scope, body: bytes, length: int | None) -> WSGIEnvironment:
    """Return the request in WSGI's words. `length`: of the body as it was announced, or received; None for no body."""
    host, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": client_address(scope),
        "HTTP_HOST": scope.authority or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name in scope.headers.keys():  # noqa: SIM118  # no mapping
        if "_" not in name:  # X_Forwarded_For would pass for what our proxies wrote
            between = "; " if name == "cookie" else ","
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = between.join(scope.headers.get_all(name))
    for sent in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
        environ.pop(sent, None)
    if "HTTP_CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def call(app: WSGIApplication, environ: WSGIEnvironment) -> Reply:
    """Have `app` answer, and its answer whole before any of it leaves: what breaks off half-way is an error, not half a file."""
    told: list[tuple[int, Headers]] = []

    def start_response(status: str, headers: Headers, *_: Any) -> Any:
        told[:] = [(int(status[:3]), headers)]

    parts = app(environ, start_response)
    try:
        if told and any(name.lower() == "content-length" for name, _ in told[0][1]):
            return Reply(*told[0], b"".join(parts))
        return _spooled(parts, told)
    finally:
        if hasattr(parts, "close"):
            parts.close()


def _spooled(parts: Iterable[bytes], told: list[tuple[int, Headers]]) -> Reply:
    with contextlib.ExitStack() as unless_sent:
        file = unless_sent.enter_context(SpooledTemporaryFile(max_size=MEMORY_BYTES))
        for part in parts:  # an application may speak only now
            file.write(part)
        (status, headers), size = told[0], file.tell()
        file.seek(0)
        if not file._rolled:  # type: ignore[attr-defined]  # the class tells in no other way
            return Reply(status, headers, file.read())
        unless_sent.pop_all()
    return Reply(status, [*headers, ("Content-Length", str(size))], file)
