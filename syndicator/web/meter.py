"""How much each asker may still ask: one small file of this machine, shared by its web processes. No database, no answer of HTTP.

Every asker has one number: the instant at which its allowance is whole again (the generic cell rate algorithm). A request moves
that instant on by one share of the period; it may not come to lie more than a whole period ahead. Each machine counts for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import mmap
import os
import struct
import threading
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

SLOTS = 65_536
PROBES = 8  # slots an asker may have; when others fill them all, the one that is nearest to whole gives way
SLOT = struct.Struct("<Qd")  # fingerprint, instant in seconds since 1970
NETWORK_BITS = 64  # of an IPv6 address: what one household or office has to itself
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Rate:
    """`amount` requests in any `seconds`."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an asker stands after a request: granted or not, what is left, and seconds until more or all of it is back."""

    granted: bool
    left: int
    whole_in_seconds: int
    again_in_seconds: int


def read_rate(text: str) -> Rate:
    """Read `600/minute`, which the settings have checked."""
    amount, _, period = text.partition("/")
    return Rate(int(amount), SECONDS[period])


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 one the network; nothing for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or int(parsed) >> NETWORK_BITS)
    return str(parsed)


def asker_of(address: str, passed_on: str, trusted_proxies: int) -> str:
    """Return whose request it is, by network; `passed_on`, X-Forwarded-For, counts only as far as our own proxies wrote it."""
    passed = passed_on.split(",")
    if 0 < trusted_proxies <= len(passed):
        return network_of(passed[-trusted_proxies].strip())
    return network_of(address)


class Meter:
    """The askers of the file at `path`, which is made if absent; it may be removed whenever nothing runs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._file, 0, SLOTS * SLOT.size)  # a hole in it were a bus error, and our end, once the disk is full
        self._memory = mmap.mmap(self._file, SLOTS * SLOT.size)
        self._lock = threading.Lock()  # the file's lock is between processes

    def take(self, asker: str, rate: Rate, now: float, count: int = 1) -> Standing:
        """Count `count` requests of `asker` at `now`, seconds since 1970; what is not granted costs nothing."""
        fingerprint = int.from_bytes(hashlib.blake2b(asker.encode(), digest_size=8).digest(), "little") | 1  # 0: an empty slot
        share = rate.seconds / rate.amount
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                place, stored = self._find(fingerprint)
                possible = stored <= now + rate.seconds + 1e-6  # else the clock was set back, which must lock nobody out
                whole_at = (max(stored, now) if possible else now) + share * count
                over = whole_at - now - rate.seconds
                if over > 1e-6:
                    return Standing(False, 0, math.ceil(whole_at - share * count - now), max(1, math.ceil(over)))
                SLOT.pack_into(self._memory, place, fingerprint, whole_at)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        return Standing(True, int(-over / share + 1e-6), math.ceil(whole_at - now), 0)

    def close(self) -> None:
        self._memory.close()
        os.close(self._file)

    def _find(self, fingerprint: int) -> tuple[int, float]:
        """Return the place of the asker's slot and its instant, else the place that it may have."""
        oldest, oldest_at = 0, math.inf
        for probe in range(PROBES):
            place = (fingerprint + probe) % SLOTS * SLOT.size
            found, whole_at = SLOT.unpack_from(self._memory, place)
            if found == fingerprint:
                return place, whole_at
            if whole_at < oldest_at:
                oldest, oldest_at = place, whole_at
        return oldest, 0.0
