"""The fan-out: moves the requests of webhook and WebSub, many at a time, over libcurl's multi interface in one thread.

What is sent and what an answer means is the channels' business; what is owed and when, the engine's. Here it is decided only who
goes next: a few connections to one host, and hosts that were slow or silent in lanes of their own, so that nobody waits for
somebody else's server. Every connection is judged by border.py at the address it really goes to. Redirects are not followed.
"""

from __future__ import annotations

import re
import select
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple

import pycurl

from syndicator.border import Border, CheckedUrl
from syndicator.channels import Answer, Request
from syndicator.delivery.lookups import LookUps
from syndicator.errors import AddressRefused

SLOW_SECONDS = 2.0
GATHER, GATHER_SECONDS = 256, 0.03
SOON_SECONDS = 0.25  # what has been waited for no longer than that is likely to be answered next
UPLOAD_BUFFER_BYTES = 16_384  # of each request under way; a story is smaller, and libcurl would take four times as much
KEPT_ANSWER_BYTES = 20_000
HEADER_LINES = 100
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
CHECKED_URLS = (
    10_000  # and addresses: what was judged is remembered, as the rules do not change; each connection asks for its own address
)
REMEMBERED_HOSTS = 10_000  # that are not quick

ERRORS = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "connect",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
}


class Sender:
    """Sends requests and hands back answers by key. Not safe to share between threads; nothing in it ever waits for a receiver.

    Up to `concurrency` connections carry requests at once, `per_host` of them to one host. A request that has been under way for
    SLOW_SECONDS gives its place up to the next one and goes on beside (at most `concurrency` of those). A host that answered so
    late, and one that did not answer, start in lanes of their own, a quarter of the places each, until they answer quickly again:
    whoever was slow once, even for a reason of ours, does not wait behind those that hang. More than `backlog` waiting requests
    should not be submitted: `room()` says how many may. One host may fill half of that room, or an eighth of the whole; slow
    hosts together a quarter, silent ones too. What is too much is answered `busy` and was not tried. What is urgent is always
    taken, and goes before all that waits. `may_start` is asked for each key just before its request leaves; one that may not is
    answered `not-started`. What was answered keeps its place until it is handed back, and then while it is counted in
    `unrecorded`: a crash repeats no more than there are places.
    """

    def __init__(self, border: Border, *, concurrency: int, per_host: int) -> None:
        self._border = border
        self._check_url = lru_cache(CHECKED_URLS)(border.check_url)
        self._address_allowed = lru_cache(CHECKED_URLS)(border.address_allowed)
        self._concurrency = concurrency
        self._per_host = per_host
        self._backlog = 4 * concurrency
        self._hosts: dict[str, _Host] = {}
        self._manners: OrderedDict[str, _Manner] = OrderedDict()  # of hosts that are not quick
        self._lanes = {manner: _Lane(concurrency if manner is _Manner.QUICK else max(1, concurrency // 4)) for manner in _Manner}
        self._queued = 0
        self._finished: list[tuple[int, Answer]] = []
        self._wires: dict[pycurl.Curl, _Wire] = {}
        self._places: Counter[str] = Counter()  # how many ask each place
        self._looking: dict[str, list[_Wire]] = {}  # by host: what waits for its addresses
        self._idle: list[_Wire] = []
        self._look_ups = LookUps(border.resolve, threads=2 * concurrency)
        self._epoll = select.epoll()
        self._epoll.register(self._look_ups.descriptor, select.EPOLLIN)
        self._polled: set[int] = set()
        self._timer_at: float | None = None
        self._waited = 0.0  # seconds spent waiting for receivers: what we are busy with meanwhile makes nobody slow
        self._woken_by, self._woken = -1, False
        self.may_start: Callable[[int], bool] = lambda _key: True
        self.unrecorded = 0
        self._answered = 0  # of those that wait to be handed back
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, concurrency)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def submit(self, key: int, request: Request, *, urgent: bool = False) -> None:
        """Queue `request`; its answer comes out of `pump` under `key`."""
        try:
            checked = self._check_url(request.url)
        except AddressRefused:
            self._finished.append((key, Answer(status=0, error="address-refused")))
            return
        job = _Job(key, checked, request, _header_lines(request))
        host = self._hosts.get(checked.host) or _Host(checked.host)
        if not urgent and (len(host.waiting) >= max(self._backlog // 8, self.room() // 2) or self._queue_is_full(host)):
            self._finished.append((key, Answer(status=0, error="busy")))
            return
        self._hosts[host.name] = host
        host.add(job, urgent=urgent)
        self._queued += 1
        if urgent and host.lane is not None:
            host.lane.move_ahead(host)
        self._line_up(host)

    def listen(self, descriptor: int) -> None:
        """Have `pump` return early whenever `descriptor` can be read."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._woken_by = descriptor

    def waiting(self) -> set[int]:
        """The keys of what has been submitted and has not left."""
        return {job.key for host in self._hosts.values() for job in host.waiting}

    def take_back(self, keys: Collection[int]) -> None:
        """Answer `not-started` for those of `keys` that have not left."""
        for host in [host for host in self._hosts.values() if any(job.key in keys for job in host.waiting)]:
            for job in host.remove(keys):
                self._queued -= 1
                self._finished.append((job.key, Answer(status=0, error="not-started")))
            self._forget_if_idle(host)

    def pump(self, timeout_seconds: float) -> list[tuple[int, Answer]]:
        """Move bytes until something has finished or the time is over; returns what finished, each key once.

        Where more is under way, it waits for more, GATHER_SECONDS at most: to record a few costs almost what recording many does.
        """
        limit, self._woken = monotonic() + timeout_seconds, False
        while True:
            self._age()
            self._start_waiting()
            if self._finished:
                gathered = len(self._finished) >= GATHER or not self._more_is_soon()
                limit = 0.0 if gathered else min(limit, monotonic() + GATHER_SECONDS)
            self._move(max(limit - monotonic(), 0.0))
            self._take_look_ups()
            self._collect()
            if self._woken or monotonic() >= limit:
                self._start_waiting()
                finished, self._finished, self._answered = self._finished, [], 0
                return finished

    def _more_is_soon(self) -> bool:
        """Whether it is worth waiting for more: not for those alone that have long been silent."""
        quick = self._lanes[_Manner.QUICK].under_way
        return bool(quick) and self._waited - next(reversed(quick.values())) < SOON_SECONDS

    @property
    def in_flight(self) -> int:
        """How many requests have been submitted and not handed back."""
        under_way = sum(len(lane.under_way) for lane in self._lanes.values())
        return under_way + len(self._finished) + self._queued

    def room(self) -> int:
        """How many more requests may be submitted now."""
        return max(0, self._backlog - self._queued - len(self._finished))

    def close(self) -> None:
        """Break off everything. What was under way is not handed back."""
        if self._epoll.closed:
            return
        for curl in self._wires:
            self._multi.remove_handle(curl)
        for wire in [*self._idle, *(wire for lane in self._lanes.values() for wire in lane.under_way)]:
            wire.close()
        self._multi.close()
        self._epoll.close()
        self._look_ups.close()

    def _manner(self, host: _Host) -> _Manner:
        return self._manners.get(host.name, _Manner.QUICK)

    def _queue_is_full(self, host: _Host) -> bool:
        manner = self._manner(host)
        return manner is not _Manner.QUICK and self._waiting_like(manner) >= self._backlog // 4

    def _waiting_like(self, manner: _Manner) -> int:
        return sum(len(host.waiting) for host in self._hosts.values() if self._manner(host) is manner)

    def _line_up(self, host: _Host) -> None:
        """Give a host that has something to send, and a connection to spare, its place at the end of its lane."""
        if host.waiting and host.lane is None and host.active < self._per_host:
            host.lane = self._lanes[self._manner(host)]
            host.lane.add(host)

    def _start_waiting(self) -> None:
        for lane in self._lanes.values():
            while lane and len(lane.under_way) + self._answered + self.unrecorded < lane.places:
                host = lane.next()
                host.lane = None
                if host.waiting:
                    self._start(host, lane)
                self._line_up(host)
                self._forget_if_idle(host)

    def _start(self, host: _Host, lane: _Lane) -> None:
        job = host.next()
        self._queued -= 1
        if not self.may_start(job.key):
            self._finished.append((job.key, Answer(status=0, error="not-started")))
            return
        wire = self._idle.pop() if self._idle else _Wire(self._border, self._address_allowed)
        wire.load(job)
        host.active += 1
        lane.under_way[wire] = self._waited
        addresses = [host.name] if self._needs_no_look_up(host.name) else self._look_ups.known(host.name)
        if addresses is None:
            self._looking.setdefault(host.name, []).append(wire)
            self._look_ups.start(host.name, wire.job.checked.port)
        else:
            self._go(wire, addresses)

    def _needs_no_look_up(self, host: str) -> bool:
        """A literal address is its own; a proxy looks names up by itself."""
        return bool(self._border.rules.egress_proxy) or ":" in host or host.rpartition(".")[2].isdigit()

    def _go(self, wire: _Wire, addresses: list[str]) -> None:
        """Send what `wire` carries to one of `addresses`, if they may all be reached."""
        if not addresses:
            self._settle(wire, Answer(status=0, error="dns"))
        elif not self._border.rules.egress_proxy and not all(map(self._address_allowed, addresses)):
            self._settle(wire, Answer(status=0, error="address-refused"))
        else:
            wire.aim(addresses, self._seconds(wire), forgets="" if wire.place in self._places else wire.place)
            self._places[wire.place] += 1
            self._wires[wire.curl] = wire
            self._multi.add_handle(wire.curl)

    def _seconds(self, wire: _Wire) -> float:
        """How long `wire` has been under way."""
        return monotonic() - wire.started

    def _take_look_ups(self) -> None:
        for host, addresses in self._look_ups.finished():
            for wire in self._looking.pop(host, ()):
                self._go(wire, addresses)
        limit = self._border.rules.connect_timeout_seconds
        for host in [host for host, wires in self._looking.items() if self._seconds(wires[0]) > limit]:
            late = [wire for wire in self._looking[host] if self._seconds(wire) > limit]
            self._looking[host] = self._looking[host][len(late) :]
            if not self._looking[host]:
                del self._looking[host]
            for wire in late:
                self._settle(wire, Answer(status=0, error="timeout"))

    def _age(self) -> None:
        """Move requests that take long out of the way of the others."""
        beside = self._lanes[_Manner.SILENT].under_way
        for manner in (_Manner.QUICK, _Manner.SLOW):
            under_way = self._lanes[manner].under_way
            while under_way and len(beside) < self._concurrency:
                wire, started = next(iter(under_way.items()))  # the oldest: places are taken in order
                if started + SLOW_SECONDS > self._waited:
                    break
                beside[wire] = under_way.pop(wire)
                self._regard(self._hosts[wire.job.checked.host], _Manner.SILENT)

    def _regard(self, host: _Host, manner: _Manner) -> None:
        """Note how a host behaves and let it wait among its like; what waits beyond their share makes room for others."""
        if manner is _Manner.QUICK:
            self._manners.pop(host.name, None)
        else:
            self._manners[host.name] = manner
            self._manners.move_to_end(host.name)
            if len(self._manners) > REMEMBERED_HOSTS:
                self._manners.popitem(last=False)
        if host.lane is not None and host.lane is not self._lanes[manner]:
            host.lane.remove(host)
            host.lane = None
            self._line_up(host)
        over = 0 if manner is _Manner.QUICK else self._waiting_like(manner) - self._backlog // 4
        for _ in range(min(over, len(host.waiting) - host.urgent)):
            self._queued -= 1
            self._finished.append((host.waiting.pop().key, Answer(status=0, error="busy")))

    def _move(self, seconds: float) -> None:
        """Wait for sockets at most `seconds` and let libcurl move what is ready."""
        now = monotonic()
        if self._timer_at is not None:
            seconds = min(seconds, max(self._timer_at - now, 0.0))
        if self._looking:
            first = min(self._seconds(wires[0]) for wires in self._looking.values())
            seconds = min(seconds, max(self._border.rules.connect_timeout_seconds - first, 0.01))
        for lane in (self._lanes[_Manner.QUICK], self._lanes[_Manner.SLOW]):
            if lane.under_way and lane:  # somebody waits for a place that ageing may give
                seconds = min(seconds, max(next(iter(lane.under_way.values())) + SLOW_SECONDS - self._waited, 0.01))
        polled_at = monotonic()
        ready = self._epoll.poll(seconds)
        self._waited += monotonic() - polled_at
        for descriptor, events in ready:
            if descriptor == self._woken_by:
                self._woken = True
            if descriptor in {self._look_ups.descriptor, self._woken_by}:
                continue
            flags = pycurl.CSELECT_IN if events & select.EPOLLIN else 0
            flags |= pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            flags |= pycurl.CSELECT_ERR if events & (select.EPOLLERR | select.EPOLLHUP) else 0
            self._multi.socket_action(descriptor, flags)
        if self._timer_at is not None and monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _collect(self) -> None:
        more = 1
        while more:
            more, done, failed = self._multi.info_read()
            for curl in done:
                self._finish(curl, 0)
            for curl, number, _ in failed:
                self._finish(curl, number)

    def _finish(self, curl: pycurl.Curl, error: int) -> None:
        self._multi.remove_handle(curl)
        wire = self._wires.pop(curl)
        self._places[wire.place] -= 1
        if not self._places[wire.place]:
            del self._places[wire.place]
        self._settle(wire, wire.answer(error))

    def _settle(self, wire: _Wire, answer: Answer) -> None:
        """Hand `answer` back, remember how quick the host was, and give its place to the next."""
        seconds = self._seconds(wire)
        waited = self._waited - next(lane.under_way.pop(wire) for lane in self._lanes.values() if wire in lane.under_way)
        host = self._hosts[wire.job.checked.host]
        host.active -= 1
        late = _Manner.SLOW if answer.status else _Manner.SILENT
        self._regard(host, late if waited > SLOW_SECONDS else _Manner.QUICK)
        self._line_up(host)
        self._forget_if_idle(host)
        self._finished.append((wire.job.key, replace(answer, duration_ms=int(seconds * 1000))))
        self._answered += 1
        wire.unload()
        self._idle.append(wire)

    def _forget_if_idle(self, host: _Host) -> None:
        if not host.active and not host.waiting and host.lane is None:
            self._hosts.pop(host.name, None)

    def _watch(self, what: int, descriptor: int, multi: Any, data: Any) -> None:
        """Libcurl says which events of a socket it wants to hear of."""
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._polled:
                self._polled.remove(descriptor)
                self._epoll.unregister(descriptor)
            return
        mask = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if descriptor in self._polled:
            self._epoll.modify(descriptor, mask)
        else:
            self._polled.add(descriptor)
            self._epoll.register(descriptor, mask)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else monotonic() + milliseconds / 1000


class _Manner(Enum):
    """How a host behaved when it was last asked."""

    QUICK = auto()
    SLOW = auto()  # it answered after more than SLOW_SECONDS
    SILENT = auto()  # it did not, or has not yet


class _Job(NamedTuple):
    key: int
    checked: CheckedUrl
    request: Request
    header_lines: list[bytes]


@dataclass(slots=True, eq=False)
class _Host:
    """What waits for one host, the `urgent` ones first, how many connections it has, and in which lane it stands."""

    name: str
    waiting: list[_Job] = field(default_factory=list)  # few, and an empty deque is larger than a few
    urgent: int = 0
    active: int = 0
    lane: _Lane | None = None

    def add(self, job: _Job, *, urgent: bool) -> None:
        self.waiting.insert(self.urgent if urgent else len(self.waiting), job)
        self.urgent += urgent

    def next(self) -> _Job:
        self.urgent = max(self.urgent - 1, 0)
        return self.waiting.pop(0)

    def remove(self, keys: Collection[int]) -> list[_Job]:
        """Take out what goes by one of `keys`."""
        jobs = self.waiting
        self.waiting = [job for job in jobs if job.key not in keys]
        self.urgent = sum(job.key not in keys for job in jobs[: self.urgent])
        return [job for job in jobs if job.key in keys]


@dataclass(slots=True)
class _Lane:
    """Hosts that may start a request, in turn, those with something urgent `ahead`, while fewer than `places` are under way; what
    is, with its start (in what the sender has waited), oldest first."""

    places: int
    ahead: deque[_Host] = field(default_factory=deque)
    hosts: deque[_Host] = field(default_factory=deque)
    under_way: dict[_Wire, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ahead or self.hosts)

    def add(self, host: _Host) -> None:
        (self.ahead if host.urgent else self.hosts).append(host)

    def move_ahead(self, host: _Host) -> None:
        if host in self.hosts:
            self.hosts.remove(host)
            self.ahead.append(host)

    def remove(self, host: _Host) -> None:
        (self.ahead if host in self.ahead else self.hosts).remove(host)

    def next(self) -> _Host:
        return (self.ahead or self.hosts).popleft()


class _Wire:
    """One libcurl handle, used again and again, and what it carries now."""

    def __init__(self, border: Border, address_allowed: Callable[[str], bool]) -> None:
        self._border = border
        self._address_allowed = address_allowed
        self._socket: socket.socket | None = None
        self._refused = False
        self._headers: list[bytes] = []
        self._body = bytearray()
        self._received_bytes = 0
        self.place = ""  # where it was last sent
        self.job: _Job
        self.started = 0.0  # monotonic seconds
        self.curl = pycurl.Curl()
        rules = border.rules
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.PROXY, rules.egress_proxy),  # empty: none, whatever the environment says
            (pycurl.HTTPPROXYTUNNEL, 1 if rules.egress_proxy else 0),
            (pycurl.USERAGENT, border.user_agent),
            (pycurl.CAINFO, border.ca_file),
            (pycurl.UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.CONNECTTIMEOUT_MS, int(rules.connect_timeout_seconds * 1000)),
            (pycurl.OPENSOCKETFUNCTION, self._open),
            (pycurl.HEADERFUNCTION, self._take_header),
            (pycurl.WRITEFUNCTION, self._take_body),
        ):
            self.curl.setopt(option, value)

    def load(self, job: _Job) -> None:
        """Get ready to send `job`."""
        self.job, self.started = job, monotonic()
        self.curl.setopt(pycurl.URL, job.checked.url)
        self.curl.setopt(pycurl.HTTPHEADER, job.header_lines)
        if job.request.method == "POST":
            self.curl.setopt(pycurl.POST, 1)
            self.curl.setopt(pycurl.POSTFIELDS, job.request.body)
        else:
            self.curl.setopt(pycurl.HTTPGET, 1)

    def aim(self, addresses: list[str], seconds_gone: float, *, forgets: str) -> None:
        """Tie the host's name to the addresses that were judged, and set what is left of the time.

        Libcurl `forgets` those of a place that nobody is asking any more: it looks through all that it knows at each start.
        """
        host, port = self.job.checked.host, self.job.checked.port
        places = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        told = [] if addresses == [host] else [f"+{host}:{port}:{places}"]
        self.curl.setopt(pycurl.RESOLVE, [*([f"-{forgets}"] if forgets else ()), *told])
        self.place = f"{host}:{port}"
        left = self._border.rules.total_timeout_seconds - seconds_gone
        self.curl.setopt(pycurl.TIMEOUT_MS, max(int(left * 1000), 1))

    def unload(self) -> None:
        """Forget what was carried."""
        del self.job
        self.curl.setopt(pycurl.POSTFIELDS, b"")
        self._headers, self._body, self._received_bytes, self._refused = [], bytearray(), 0, False
        self._close_socket()

    def close(self) -> None:
        self._close_socket()
        self.curl.close()

    def answer(self, error: int) -> Answer:
        """Say what came back. Once the headers are whole the receiver has answered, however the rest of the body went."""
        status = int(self.curl.getinfo(pycurl.RESPONSE_CODE))
        if status >= 200 and self._headers and self._headers[-1] in {b"\r\n", b"\n"}:
            return Answer(status=status, headers=_read_headers(self._headers), body=bytes(self._body))
        proxy_refused = 400 <= int(self.curl.getinfo(pycurl.HTTP_CONNECTCODE)) < 500
        word = "address-refused" if self._refused or proxy_refused else ERRORS.get(error, "broken-answer")
        return Answer(status=0, error=word)

    def _open(self, purpose: int, place: Any) -> socket.socket | int:
        """Open the socket for a connection to `place`, unless that is an address we do not connect to.

        libcurl comes here once for each address of a name; after one refusal it gets none, as a name with both kinds is a trick.
        """
        family, kind, protocol, address = place
        if not self._border.rules.egress_proxy and (self._refused or not self._address_allowed(_text(address[0]))):
            self._refused = True
            return int(pycurl.SOCKET_BAD)
        self._close_socket()
        self._socket = socket.socket(family, kind, protocol)
        return self._socket

    def _close_socket(self) -> None:
        """Let go of our handle of the connection; libcurl works with a duplicate."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # after a 1xx comes the real answer
            self._headers.clear()
        if len(self._headers) < HEADER_LINES or line in {b"\r\n", b"\n"}:
            self._headers.append(line)

    def _take_body(self, piece: bytes) -> int | None:
        """Keep the beginning and count the rest; too much breaks the transfer off."""
        self._received_bytes += len(piece)
        self._body += piece[: KEPT_ANSWER_BYTES - len(self._body)]
        return 0 if self._received_bytes > self._border.rules.max_answer_bytes else None


def _header_lines(request: Request) -> list[bytes]:
    """Return the lines of the request's header; raises ValueError."""
    lines = [f"{name}: {value}".encode("latin-1") for name, value in request.headers]
    if any(map(CONTROL.search, lines)):
        raise ValueError("a header holds a control character")
    return [b"Expect:", *lines]  # without 100-continue


def _read_headers(lines: list[bytes]) -> dict[str, str]:
    """Names in lower case; the last of several stands."""
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _text(address: str | bytes) -> str:
    return address.decode("ascii", "replace") if isinstance(address, bytes) else address
