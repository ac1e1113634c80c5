"""Looks host names up for the sender, each in a thread of its own, so that a dead name server delays nobody else's push.

libcurl's own look-ups share twenty threads, two for each name: ten names whose servers are silent stop all others for as long as
the system's resolver tries (measured with libcurl 8.23), and closing waits for them. Here a name waits only for itself.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from time import monotonic

from syndicator.border import Resolve

REMEMBERED_SECONDS = 60.0
REMEMBERED_HOSTS = 10_000


class LookUps:
    """Answers are remembered for a minute. `descriptor` is readable when there is something for `finished`."""

    def __init__(self, resolve: Resolve, threads: int) -> None:
        self._resolve = resolve
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, int]] = deque()
        self._asked: set[str] = set()
        self._running = 0
        self._answers: list[tuple[str, list[str]]] = []
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._closed = False
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def known(self, host: str) -> list[str] | None:
        """Return the addresses found within the last minute."""
        until, addresses = self._known.get(host, (0.0, []))
        return addresses if until > monotonic() else None

    def start(self, host: str, port: int) -> None:
        """Begin to look `host` up, unless that is being done."""
        with self._lock:
            if host in self._asked:
                return
            self._asked.add(host)
            self._waiting.append((host, port))
            if self._running >= self._threads:
                return
            self._running += 1
        threading.Thread(target=self._work, daemon=True, name="look-up").start()

    def finished(self) -> list[tuple[str, list[str]]]:
        """Return the hosts that have been looked up since, with their addresses; none when there is no such name."""
        with self._lock:
            answers, self._answers = self._answers, []
            if answers:
                os.eventfd_read(self.descriptor)
        if len(self._known) + len(answers) > REMEMBERED_HOSTS:
            self._known.clear()
        self._known.update((host, (monotonic() + REMEMBERED_SECONDS, addresses)) for host, addresses in answers if addresses)
        return answers

    def close(self) -> None:
        """Look nothing more up. Threads that wait for a name server end by themselves, and with the process."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            os.close(self.descriptor)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                host, port = self._waiting.popleft()
            try:
                addresses = self._resolve(host, port)
            except (OSError, UnicodeError):
                addresses = []
            with self._lock:
                self._asked.discard(host)
                if not self._closed:
                    self._answers.append((host, addresses))
                    os.eventfd_write(self.descriptor, 1)
