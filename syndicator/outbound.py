"""The one place that opens a connection to an address somebody else chose: pulls, checks, callbacks, partners' servers.

An address is judged twice: as it is written (`check_url`, no look-up) and as it is reached (`address_allowed`, on every address a
name leads to, at the moment of connecting). Public addresses only, unless the operator allows networks; no redirect unless asked
for; bounded time and bytes, however slowly it drips. What went wrong is told in fixed words and never names an inner address.
The fan-out of pushes (delivery/sender.py) moves its own bytes and asks the same two questions here.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from time import monotonic
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import certifi
import idna
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from syndicator import config
from syndicator.errors import AddressRefused, FetchFailed

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[str]]  # host and port to addresses; raises OSError when there are none

URL_CHARACTERS = 2048
READ_BYTES = 65_536
SSH_PORT = 22

# IANA special-purpose registries (RFC 6890 and successors), multicast, and 168.63.129.16, where one cloud keeps its metadata.
SPECIAL_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
GLOBAL_IPV6 = IPv6Network("2000::/3")  # all else is local, mapped, translated or not given out
SPECIAL_IPV6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20")
)
# Ports above 1023 behind which no web server is expected but much that a stray request could harm.
UNSAFE_PORTS = frozenset(
    {1080, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 3659, 4045, 4190, 5060, 5061}
    | {5432, 5672, 5900, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9042, 9092, 9100, 9200, 9300}
    | {10080, 10250, 11211, 15672, 27017, 27018}
)
LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa", "lan", "onion", "invalid")
# What a request may take along when a redirect leads to another host: nothing by which somebody could be recognised.
HARMLESS_HEADERS = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match"})

_URL = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[^\[\]/?#:]{1,253})(?::([0-9]{0,5}))?([/?][^#]*)?(?:#.*)?", re.I)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """An address that may be tried. `url` has the canonical host; path and query are as written, byte for byte."""

    url: str
    scheme: str
    host: str  # lower case, A-labels; a literal without brackets
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer. `url` is where it came from after redirects; `headers` is read without regard to case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Outbound:
    """Opens connections to addresses that somebody else chose, under the operator's rules. Safe to share between threads."""

    def __init__(
        self,
        rules: config.Outbound,
        user_agent: str,
        *,
        resolve: Resolve | None = None,
        ca_file: str | None = None,
        is_own: Callable[[Address], bool] | None = None,
    ) -> None:
        self.rules = rules
        self.user_agent = user_agent
        self.product = user_agent.partition("/")[0].strip()  # what robots.txt calls us
        self.ca_file = ca_file or certifi.where()
        self.resolve = resolve or look_up
        self._is_own = is_own or is_own_address
        self._tls = ssl.create_default_context(cafile=self.ca_file)  # shared: reading the authorities anew costs 30 ms each time

    def check_url(self, url: str) -> CheckedUrl:
        """Judge an address as it is written, without any look-up; raises AddressRefused with words fit to show."""
        if len(url) > URL_CHARACTERS:
            raise AddressRefused(url, f"it is longer than {URL_CHARACTERS} characters")
        if any(character <= " " or character in "\\\x7f" or character.isspace() for character in url) or not _encodes(url):
            raise AddressRefused(url, "it holds a blank, a backslash or a control character")
        if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
            raise AddressRefused(url, "it holds a user name or password")
        match = _URL.fullmatch(url)
        if match is None:
            raise AddressRefused(url, "only whole http:// and https:// addresses are taken")
        scheme, port = match[1].lower(), _port(match[1].lower(), match[3])
        if not self.port_allowed(port):
            raise AddressRefused(url, "this port is not allowed")
        host = self._check_host(url, match[2])
        shown = f"[{host}]" if ":" in host else host
        place = shown if port == _port(scheme, None) else f"{shown}:{port}"
        rest = "".join(character if character.isascii() else quote(character) for character in match[4] or "/")
        checked = f"{scheme}://{place}{'' if rest.startswith('/') else '/'}{rest}"
        if len(checked) > URL_CHARACTERS:
            raise AddressRefused(url, f"it is longer than {URL_CHARACTERS} characters")
        return CheckedUrl(checked, scheme, host, port)

    def address_allowed(self, address: str | Address) -> bool:
        """Say whether a connection may go to this IP address: global unicast and not this machine's own, where much may listen
        that is for no outsider; or in a network the operator allows."""
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        if any(ip in network for network in self.rules.allow_networks):
            return True
        return _is_public(ip) and not self._is_own(ip)

    def port_allowed(self, port: int) -> bool:
        return port in self.rules.allowed_ports or (1024 <= port <= 65535 and port not in UNSAFE_PORTS)

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

    def check_place(self, place: str, host: str, port: int) -> str:
        """Judge host and port of another protocol than HTTP, as they are written; returns the canonical host, a literal without
        brackets. SFTP's own port is allowed. Raises AddressRefused about `place`."""
        if port != SSH_PORT and not self.port_allowed(port):
            raise AddressRefused(place, "this port is not allowed")
        return self._check_host(place, f"[{host}]" if ":" in host else host)

    @contextmanager
    def connection(self, place: str, host: str, port: int, *, seconds: float) -> Iterator[socket.socket]:
        """Connect to a host that check_place returned; its addresses are judged here. After `seconds` the connection is cut,
        whatever is under way on it. Raises AddressRefused and FetchFailed."""
        with _Deadline(seconds) as deadline, closing(self._dial(deadline, place, host, port)) as connection:
            yield connection

    def _check_host(self, url: str, written: str) -> str:
        """Return the canonical host, or the dotted form of an IPv4 address in whatever spelling (WHATWG URL, 3.5)."""
        if written.startswith("["):
            try:
                ip: Address = IPv6Address(written[1:-1])
            except ValueError as error:
                raise AddressRefused(url, "the host is not well-formed") from error
            return self._check_literal(url, ip)
        try:
            host = (written if written.isascii() else idna.encode(written, uts46=True).decode()).lower().removesuffix(".")
        except UnicodeError as error:
            raise AddressRefused(url, "the host is not well-formed") from error
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return self._check_literal(url, _ipv4(url, labels))
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise AddressRefused(url, "the host is not well-formed")
        local = len(labels) == 1 or any(host == name or host.endswith(f".{name}") for name in LOCAL_NAMES)
        if local and not self.rules.allow_networks:  # else what it leads to decides, at the moment of connecting
            raise AddressRefused(url, "the host is not a public one")
        return host

    def _check_literal(self, url: str, ip: Address) -> str:
        if not self.address_allowed(ip):
            raise AddressRefused(url, "the host is not a public one")
        return str(ip)

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


def _is_public(ip: Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in SPECIAL_IPV4)
    embeds_ipv4 = int(ip) >> 32 & 0xFDFFFFFF == 0x5EFE  # ISATAP (RFC 5214)
    return ip in GLOBAL_IPV6 and not embeds_ipv4 and not any(ip in network for network in SPECIAL_IPV6)


def is_own_address(ip: Address) -> bool:
    """Say whether this machine has the address: the system then chooses it for our end too. Nothing is sent."""
    with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), 9))
        except OSError:  # no way there
            return False
        return ip_address(probe.getsockname()[0]) == ip


def look_up(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of `host`, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


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


def _port(scheme: str, written: str | None) -> int:
    return int(written) if written else {"http": 80, "https": 443}[scheme]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _ipv4(url: str, labels: list[str]) -> IPv4Address:
    """Read an IPv4 address in any spelling inet_aton takes: decimal, octal, hexadecimal, fewer than four parts."""
    try:
        numbers = [_number(label) for label in labels]
        value = numbers.pop()
        if len(numbers) > 3 or any(number > 255 for number in numbers) or value >= 256 ** (4 - len(numbers)):
            raise ValueError("out of range")
    except ValueError as error:
        raise AddressRefused(url, "the host is not well-formed") from error
    return IPv4Address(value + sum(number << (8 * (3 - place)) for place, number in enumerate(numbers)))


def _number(label: str) -> int:
    if not _NUMBER.fullmatch(label):
        raise ValueError("not a number")
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") else 10)
