"""The one place that opens a connection to an address somebody else chose: pulls, checks, callbacks, partners' servers.

Where to is judged by border.py, as it is written and again at the moment of connecting. No redirect unless asked for; bounded
time and bytes, however slowly it drips. What went wrong is told in fixed words and never names an inner address.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from syndicator import config
from syndicator.border import Border, CheckedUrl
from syndicator.errors import AddressRefused, FetchFailed

READ_BYTES = 65_536
# What a request may take along when a redirect leads to another host: nothing by which somebody could be recognised.
HARMLESS_HEADERS = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer. `url` is where it came from after redirects; `headers` is read without regard to case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Outbound(Border):
    """Opens connections to addresses that somebody else chose, under the operator's rules. Safe to share between threads."""

    @property
    def product(self) -> str:
        """What robots.txt calls us."""
        return self.user_agent.partition("/")[0].strip()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Shared: reading the authorities anew costs 30 ms each time."""
        return ssl.create_default_context(cafile=self.ca_file)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        max_bytes: int | None = None,
        redirects: int = 5,
        may_follow: Callable[[CheckedUrl], bool] = lambda _there: True,
    ) -> Fetched:
        """GET `url`, following up to `redirects` redirects to where `may_follow` lets us. Each hop is judged anew, and
        credentials stay with their host.

        Any status is an answer, a redirect too when it has no Location. Raises AddressRefused and FetchFailed. `max_bytes` counts
        the unpacked body; `total_timeout_seconds` covers look-ups and all hops.
        """
        kept = {name.lower(): value for name, value in (headers or {}).items()}
        with _Deadline(self.rules.total_timeout_seconds) as deadline:
            here = self.check_url(url)
            for _ in range(redirects + 1):
                answer = self._exchange(deadline, "GET", here, kept, None, auth, max_bytes)
                location = answer.headers.get("location")
                if answer.status not in {301, 302, 303, 307, 308} or not location:
                    return answer
                there = self.check_url(_joined(here.url, location))
                if not may_follow(there):
                    break
                if not _same_party(here, there):
                    kept, auth = {name: value for name, value in kept.items() if name in HARMLESS_HEADERS}, None
                here = there
        raise FetchFailed(url, "redirect")

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        auth: tuple[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        """Send one request and follow no redirect. Any status is an answer; raises AddressRefused and FetchFailed."""
        with _Deadline(self.rules.total_timeout_seconds) as deadline:
            return self._exchange(deadline, method, self.check_url(url), headers or {}, body, auth, max_bytes)

    @contextmanager
    def connection(self, place: str, host: str, port: int, *, seconds: float) -> Iterator[socket.socket]:
        """Connect to a host that check_place returned; its addresses are judged here. After `seconds` the connection is cut,
        whatever is under way on it. Raises AddressRefused and FetchFailed."""
        with _Deadline(seconds) as deadline, closing(self._dial(deadline, place, host, port)) as connection:
            yield connection

    def _exchange(
        self,
        deadline: _Deadline,
        method: str,
        checked: CheckedUrl,
        headers: Mapping[str, str],
        body: bytes | None,
        auth: tuple[str, str] | None,
        max_bytes: int | None,
    ) -> Fetched:
        """Carry one request to a checked address and read the whole answer, within `deadline`."""
        limit = max_bytes or self.rules.max_answer_bytes
        prepared = requests.Request(
            method,
            checked.url,
            headers={"user-agent": self.user_agent, "accept-encoding": "gzip, deflate", "connection": "close", **headers},
            data=body,
            auth=auth,
        ).prepare()
        prepared.url = checked.url  # requests would spell the escapes its own way
        adapter = _GuardedAdapter(partial(self._dial, deadline, checked.url), self._tls)
        try:
            with adapter.send(prepared, stream=True, timeout=deadline.left()) as answer:
                content = _read(answer, checked.url, limit)
        except requests.exceptions.SSLError as error:
            raise FetchFailed(checked.url, deadline.word("tls")) from error
        except requests.exceptions.Timeout as error:
            raise FetchFailed(checked.url, "timeout") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise FetchFailed(checked.url, deadline.word("broken-answer")) from error
        except requests.exceptions.ConnectionError as error:
            raise FetchFailed(checked.url, deadline.word("connect")) from error
        except (requests.exceptions.RequestException, HTTPError, OSError, ValueError) as error:
            raise FetchFailed(checked.url, deadline.word("broken-answer")) from error
        if deadline.over:  # an answer of unstated length looks whole when its connection is cut
            raise FetchFailed(checked.url, "timeout")
        return Fetched(checked.url, answer.status_code, answer.headers, content)

    def _dial(self, deadline: _Deadline, url: str, host: str, port: int) -> socket.socket:
        """Return a socket connected to one of the host's addresses, all of which were judged; the next one when one is dead."""
        addresses = self._addresses(deadline, url, host, port)
        if not all(self.address_allowed(address) for address in addresses):
            raise AddressRefused(url, "the host is not a public one")
        limit = monotonic() + self.rules.connect_timeout_seconds
        for number, address in enumerate(addresses):
            seconds = min(limit - monotonic(), deadline.left()) / (len(addresses) - number)  # the last one has all that is left
            try:
                connection = self._connect(address, port, max(seconds, 0.001))
            except OSError:
                continue
            deadline.watch(connection)
            connection.settimeout(deadline.left())
            return connection
        raise FetchFailed(url, "timeout" if monotonic() >= limit or deadline.over else "connect")

    def _connect(self, address: str, port: int, seconds: float) -> socket.socket:
        if not self.rules.egress_proxy:
            return socket.create_connection((address, port), timeout=seconds)
        proxy = urlsplit(self.rules.egress_proxy)
        connection = socket.create_connection((proxy.hostname or "", proxy.port or 3128), timeout=seconds)
        try:
            _tunnel(connection, f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        except OSError:
            connection.close()
            raise
        return connection

    def _addresses(self, deadline: _Deadline, url: str, host: str, port: int) -> list[str]:
        """Look `host` up in a thread of its own, since the system's look-up knows no time limit."""
        found: list[list[str]] = []

        def look() -> None:
            with suppress(OSError, UnicodeError):
                found.append(self.resolve(host, port))

        thread = threading.Thread(target=look, daemon=True, name="look-up")
        thread.start()
        thread.join(min(self.rules.connect_timeout_seconds, deadline.left()))
        if not found or not found[0]:
            raise FetchFailed(url, "timeout" if thread.is_alive() else "dns")
        return found[0]


class _Deadline:
    """What is left of an exchange's time. When it is over the watched sockets are cut, since no read time-out bounds a drip."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._watched: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._watched:
                connection.close()
            self._watched.clear()

    @property
    def over(self) -> bool:
        return monotonic() >= self._ends

    def left(self) -> float:
        return max(self._ends - monotonic(), 0.001)

    def word(self, otherwise: str) -> str:
        """What to call a failure: whatever broke after the end broke because of it."""
        return "timeout" if self.over else otherwise

    def watch(self, connection: socket.socket) -> None:
        """Remember a second handle of `connection`: TLS takes the first one over."""
        with self._lock:
            self._watched.append(connection.dup())

    def _cut(self) -> None:
        with self._lock:
            for connection in self._watched:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


Dial = Callable[[str, int], socket.socket]


class _GuardedHttp(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial(self.host, self.port)


class _GuardedHttps(HTTPSConnection):
    def __init__(self, *args: Any, dial: Dial, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial(self.host, self.port)


class _GuardedAdapter(HTTPAdapter):
    """Lets requests speak HTTP over connections that `dial` makes. Host, SNI and the certificate's name stay the URL's."""

    def __init__(self, dial: Dial, tls: ssl.SSLContext) -> None:
        super().__init__(max_retries=0)
        self._dial = dial
        self._tls = tls

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        parts = urlsplit(request.url or "")
        host = str(parts.hostname)
        pool: HTTPConnectionPool
        if parts.scheme == "https":
            pool = HTTPSConnectionPool(host, parts.port, ssl_context=self._tls)
            pool.ConnectionCls = partial(_GuardedHttps, dial=self._dial)  # type: ignore[assignment]
        else:
            pool = HTTPConnectionPool(host, parts.port)
            pool.ConnectionCls = partial(_GuardedHttp, dial=self._dial)  # type: ignore[assignment]
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the shared context as it is; requests would have every connection read the authorities anew."""


def _read(answer: requests.Response, url: str, limit: int) -> bytes:
    """Read the unpacked body, at most `limit` bytes of it."""
    pieces, size = [], 0
    for piece in answer.iter_content(READ_BYTES):
        size += len(piece)
        if size > limit:
            raise FetchFailed(url, "too-large")
        pieces.append(piece)
    return b"".join(pieces)


def _tunnel(connection: socket.socket, place: str) -> None:
    """Ask a proxy for a way to `place` (RFC 9110, 9.3.6); raises OSError when it gives none."""
    connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)  # one by one, so that nothing behind the answer is taken
        if not piece or len(answer) > 8192:
            raise OSError("the proxy broke off")
        answer += piece
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise OSError("the proxy refused")


def _same_party(here: CheckedUrl, there: CheckedUrl) -> bool:
    """Whether credentials may go along: the same origin, or the same host moved from http to https on their usual ports."""
    return here.origin == there.origin or (here.origin == ("http", there.host, 80) and there.origin == ("https", here.host, 443))


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location.encode("latin-1").decode("utf-8", "replace"))  # header bytes reach us as Latin-1
    except ValueError as error:
        raise AddressRefused(location, "the host is not well-formed") from error


def open_outbound(settings: config.Config) -> Outbound:
    """Return the way out under the operator's settings."""
    return Outbound(settings.outbound, settings.user_agent)
