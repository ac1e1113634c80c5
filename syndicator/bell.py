"""A bell for the engines of this machine, rung after a commit that gave them something to do, so that an idle one hears at once
and need not look often.

Each engine has a named pipe. A bell that nobody hears, as on another machine, delays and loses nothing: engines look by
themselves as well.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy.orm import Session

_RINGS = "rings-the-bell"


class Bell:
    """What the engine `name` hears by. Readiness of `descriptor` to be read says that it was rung."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._pipe, making = folder / f"bell-{name}", folder / f"new-bell-{name}"
        os.mkfifo(making, 0o600)
        self.descriptor = os.open(making, os.O_RDWR | os.O_NONBLOCK)  # for writing too, so that it never comes to its end
        making.rename(self._pipe)  # found by others only once somebody listens

    def hush(self) -> None:
        """Forget what was rung; whoever looks after that has seen what it was rung for."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, 65536)

    def close(self) -> None:
        self._pipe.unlink(missing_ok=True)
        os.close(self.descriptor)


def ring(folder: Path) -> None:
    """Ring for every engine that listens in `folder`; waits for none of them."""
    for pipe in folder.glob("bell-*"):
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody listens: its engine died
                pipe.unlink(missing_ok=True)
            continue
        with suppress(BlockingIOError, BrokenPipeError):  # it was rung often enough; it has just ended
            os.write(descriptor, b"!")
        os.close(descriptor)


def ring_after(session: Session) -> None:
    """Have the bell rung when what `session` did has been committed."""
    session.info[_RINGS] = True


def ring_if_asked(session: Session, folder: Path) -> None:
    """Ring, if `ring_after` was told to, for what has just been committed."""
    if session.info.pop(_RINGS, False):
        ring(folder)
