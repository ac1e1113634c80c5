"""The byte layer: polls of public feed documents are answered from memory, in front of Flask and its threads (see front.py).

A poll costs a look at eight shared bytes (has any document changed?) and two look-ups in dictionaries. Only after a change, and
once a second in case somebody changed files by hand, is a file's stamp compared: a system call at each poll would hand the
interpreter from thread to thread. What is looked up was made by `document_answers.answer`, which alone knows HTTP; this file only
remembers. No database, no rendering, no parsing of a field seen before. What is not a public feed document is not answered here.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from syndicator.documents import SIGN_BYTES, DamagedDocument, Stored, open_sign, unpack
from syndicator.reasons import Reason
from syndicator.web.document_answers import Answer, answer
from syndicator.web.poll_limits import PollLimits
from syndicator.web.refusal import refusal

log = logging.getLogger(__name__)

FEED_PATH = re.compile(r"/feeds/([a-z0-9][a-z0-9-]{0,62}(?:/archive/[1-9][0-9]{0,5})?\.(?:rss|atom|json))")
MAX_CACHE_BYTES = 64 * 1024 * 1024  # of document bodies, in one web process
LOOK_SECONDS = 1.0
MAX_REMEMBERED = 64  # different sets of request fields per document; browsers and readers use a handful
MAX_FIELD_CHARS = 512  # a longer field is answered, not remembered
SLOWER = "Too many whole documents went to your address. Send the ETag of the last one as If-None-Match: then polling is free."

Stamp = tuple[int, int, int]


class Asked(NamedTuple):
    """What of a request an answer depends on: its method, and its fields as far as they were sent."""

    method: str
    accept_encoding: str | None
    if_none_match: str | None
    if_modified_since: str | None


@dataclass(slots=True)
class Held:
    """One document in memory, the stamp of the file it came from, and the answers already given from it."""

    name: str
    stamp: Stamp
    stored: Stored
    sign: int  # what stood in the folder's sign when the file was last looked at
    look_again_at: float  # in ticks
    ready: dict[Asked, tuple[Answer, tuple[str, str, int]]] = field(default_factory=dict)

    def had_by(self, asked: Asked) -> bool:
        """Say whether the asker shows that it had an earlier document."""
        shown = f"{asked.if_none_match or ''} {asked.if_modified_since or ''}".strip()
        return bool(shown) and any(validator in shown for validator in self.stored.former)

    @property
    def size(self) -> int:
        return sum(len(body) for body in self.stored.bodies.values())


class ByteLayer:
    """The public documents of `folder`; `feeds` names those that may be had, None: all that lie there.

    `counts` says how often each (feed, format, status) was answered by this process (see polls.py); only documents that exist are
    counted, so it stays small.
    """

    def __init__(
        self,
        folder: Path,
        limits: PollLimits | None = None,
        counts: dict[tuple[str, str, int], int] | None = None,
        feeds: Collection[str] | None = None,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self.ticks = ticks
        self.feeds = feeds
        self.limits = limits
        self.folder = str(folder)
        self.counts = {} if counts is None else counts
        descriptor = open_sign(folder)
        self._sign = memoryview(mmap.mmap(descriptor, SIGN_BYTES)).cast("Q")
        os.close(descriptor)
        self._held: dict[str, Held] = {}  # by request path, the oldest first
        self._held_bytes = 0
        self._lock = threading.Lock()

    def poll(self, path: str, asked: Asked, asker: Callable[[], str]) -> Answer | None:
        """Answer a request for the document at `path`; None when there is none.

        `asker` says who asks (see meter.py), where that counts.
        """
        held = self._held.get(path) or self._find(path)
        if held is None or (held := self._current(path, held)) is None:
            return None
        given, label = held.ready.get(asked) or _prepare(held, asked)
        if given.body and self.limits is not None:
            wait = self.limits.wait_seconds(asker(), reader=held.had_by(asked))
            if wait:
                return refusal(HTTPStatus.TOO_MANY_REQUESTS, SLOWER, retry_after_seconds=wait, reason=Reason.RATE_LIMITED)
        self.counts[label] = self.counts.get(label, 0) + 1
        return given

    def _find(self, path: str) -> Held | None:
        """Return what to compare with the file of `path`, for a path that can be a document's."""
        found = FEED_PATH.fullmatch(path)
        if found is None or (self.feeds is not None and _feed_of(found[1]) not in self.feeds):
            return None  # a feed that has just been closed is the application's, also while its old documents still lie there
        return self._load(path, found[1])

    def _current(self, path: str, held: Held) -> Held | None:
        """Return `held` if its file is still the one we read, else what lies there now."""
        sign, moment = self._sign[0], self.ticks()
        if held.sign == sign and moment < held.look_again_at:
            return held
        try:
            now = os.stat(f"{self.folder}/{held.name}")  # noqa: PTH116  # a Path costs as much as the call
        except OSError:
            self._forget(path)
            return None
        if held.stamp != (now.st_mtime_ns, now.st_ino, now.st_size):
            return self._load(path, held.name)
        held.sign, held.look_again_at = sign, moment + LOOK_SECONDS
        return held

    def _load(self, path: str, name: str) -> Held | None:
        """Read a document into memory; None when there is none that is whole, which the application then answers for."""
        file = Path(self.folder, name)
        self._forget(path)
        sign, look_again_at = self._sign[0], self.ticks() + LOOK_SECONDS  # before the file is opened, which may change meanwhile
        try:
            with file.open("rb") as handle:
                now = os.fstat(handle.fileno())
                stamp = (now.st_mtime_ns, now.st_ino, now.st_size)
                held = Held(name, stamp, unpack(handle.read(), file), sign, look_again_at)
        except OSError:
            return None
        except DamagedDocument as error:
            log.error("document damaged path=%s", error.path)
            return None
        self._keep(path, held)
        return held

    def _keep(self, path: str, held: Held) -> None:
        with self._lock:
            replaced = self._held.pop(path, None)
            self._held_bytes += held.size - (replaced.size if replaced else 0)
            self._held[path] = held
            while self._held_bytes > MAX_CACHE_BYTES and len(self._held) > 1:
                self._held_bytes -= self._held.pop(next(iter(self._held))).size

    def _forget(self, path: str) -> None:
        with self._lock:
            if gone := self._held.pop(path, None):
                self._held_bytes -= gone.size


def _feed_of(name: str) -> str:
    return name.partition("/")[0].partition(".")[0]


def _prepare(held: Held, asked: Asked) -> tuple[Answer, tuple[str, str, int]]:
    """Answer a set of request fields not met before, and remember the answer with its document."""
    sent = {f"HTTP_{name.upper()}": value for name, value in asked._asdict().items() if value is not None}
    given = answer(held.stored, asked.method, sent, private=False)
    ready = given, (_feed_of(held.name), held.name.rpartition(".")[2], given.status)
    if all(value is None or len(value) <= MAX_FIELD_CHARS for value in asked):
        if len(held.ready) >= MAX_REMEMBERED:
            held.ready.clear()  # somebody sends rubbish; the usual ones are back after one answer each
        held.ready[asked] = ready
    return ready
