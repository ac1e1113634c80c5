"""The border: which addresses that somebody else chose may be reached, under which name and trust. Sends nothing.

An address is judged twice: as it is written (`check_url`, no look-up) and as it is reached (`address_allowed`, on every address a
name leads to, at the moment of connecting). Public addresses only, unless the operator allows networks. outbound.py asks here
before it connects, and so does the fan-out of pushes (delivery/sender.py), which moves its own bytes.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote

import certifi
import idna

from syndicator import config
from syndicator.errors import AddressRefused

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[str]]  # host and port to addresses; raises OSError when there are none

URL_CHARACTERS = 2048
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


class Border:
    """Judges where requests may go, under the operator's rules. Safe to share between threads."""

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
        self.ca_file = ca_file or certifi.where()
        self.resolve = resolve or look_up
        self._is_own = is_own or is_own_address

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

    def check_place(self, place: str, host: str, port: int) -> str:
        """Judge host and port of another protocol than HTTP, as they are written; returns the canonical host, a literal without
        brackets. SFTP's own port is allowed. Raises AddressRefused about `place`."""
        if port != SSH_PORT and not self.port_allowed(port):
            raise AddressRefused(place, "this port is not allowed")
        return self._check_host(place, f"[{host}]" if ":" in host else host)

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


def open_border(settings: config.Config) -> Border:
    """Return the border that the operator's settings draw."""
    return Border(settings.outbound, settings.user_agent)


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
