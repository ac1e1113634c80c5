"""Processes that watch over processes: start children, restart those that die, end all within a set time.

Knows nothing of what the children do. Children are started with their own process group, so that Ctrl-C reaches only the
parent, which ends them in order; on Linux the kernel kills a child whose parent died, however it died.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

WRONG_USAGE = 2  # the exit status of a command whose settings are wrong: starting it again would not help
GRACE_SECONDS = 8.0  # from the first SIGTERM to SIGKILL; everything has 10, and a busy machine takes some to end ourselves
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
STEADY_SECONDS = 60.0  # one that ran this long starts again at once
WEB_PARENT = "SYNDICATOR_WEB_PARENT"  # tells a web worker whose child it must be
_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as `parent`, which started it, is gone (prctl(2); Linux only).

    SIGKILL, since a forgotten web worker would go on sharing the port with its successors; all state is safe against it.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def share_arenas() -> None:
    """Have this process's threads allocate from two arenas (mallopt(3); glibc only).

    With one for each, as is usual, thirty threads that seldom work held a quarter more memory, and reached it only after hours.
    """
    if _libc is not None and hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, 2)


@dataclass(slots=True)
class Child:
    """One command to keep running; `starts_at` is monotonic seconds, None while it runs."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    starts_at: float | None = 0.0
    pause_seconds: float = field(default=FIRST_PAUSE_SECONDS)

    def start(self, environment: Mapping[str, str], now: float) -> None:
        parent = os.getpid()
        self.process = subprocess.Popen(  # noqa: S603
            self.command,
            env=environment,
            process_group=0,
            preexec_fn=lambda: end_with_parent(parent),  # noqa: PLW1509  # this process has one thread
        )
        self.started_at, self.starts_at = now, None
        log.info("process started name=%s pid=%s", self.name, self.process.pid)

    def buried(self, now: float) -> int | None:
        """Return the exit status if it ended since last asked, and plan its return: later each time, unless it ran for long."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        if now - self.started_at >= STEADY_SECONDS:
            self.pause_seconds = FIRST_PAUSE_SECONDS
        self.starts_at = now + self.pause_seconds
        self.pause_seconds = min(self.pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        return status


def supervise(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> int:
    """Keep `commands` running until SIGTERM or SIGINT, then end them all within GRACE_SECONDS.

    Returns the exit status: 0 after a clean end, 1 when one had to be killed, WRONG_USAGE when a child said that its settings
    are wrong, which ends the others too.
    """
    children = [Child(name, command) for name, command in commands.items()]
    with _signals_heard() as heard:
        status = _keep_running(children, environment, heard)
        return _end(children, heard) or status


def _keep_running(children: list[Child], environment: Mapping[str, str], heard: Callable[[float], set[int]]) -> int:
    while True:
        now = time.monotonic()
        for child in children:
            if (status := child.buried(now)) is not None:
                if status == WRONG_USAGE:
                    log.error("process refused its settings name=%s", child.name)
                    return WRONG_USAGE
                wait = (child.starts_at or now) - now
                log.error("process died name=%s status=%s restart_in_seconds=%s", child.name, status, wait)
            if child.starts_at is not None and child.starts_at <= now:
                child.start(environment, now)
        pauses = [child.starts_at - now for child in children if child.starts_at is not None]
        if heard(min(pauses, default=3600.0)) & {signal.SIGTERM, signal.SIGINT}:
            return 0


def _end(children: list[Child], heard: Callable[[float], set[int]]) -> int:
    """Ask every child to end, wait, and kill what is left; returns 1 when something was."""
    log.info("stopping grace_seconds=%s", GRACE_SECONDS)
    deadline = time.monotonic() + GRACE_SECONDS
    running = [child for child in children if child.process is not None]
    for child in running:
        if child.process is not None:
            child.process.terminate()
    while running := [child for child in running if child.process is not None and child.process.poll() is None]:
        if (left := deadline - time.monotonic()) <= 0:
            break
        heard(left)
    for child in running:
        log.warning("process killed name=%s", child.name)
        if child.process is not None:
            child.process.kill()
            child.process.wait()
    log.info("stopped")
    return 1 if running else 0


@contextmanager
def _signals_heard() -> Iterator[Callable[[float], set[int]]]:
    """Yield a function that waits up to so many seconds and returns the signals that came; a second SIGINT is no exception."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = {number: signal.signal(number, _ignore) for number in wanted}
    waker = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def heard(seconds: float) -> set[int]:
        ready, _, _ = select.select([reader], [], [], max(0.0, seconds))
        return set(reader.recv(4096)) if ready else set()

    try:
        yield heard
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the wakeup descriptor tell of it."""
