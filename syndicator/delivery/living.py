"""Who of this machine's workers and timetables is alive: each holds a lock on a file of its own, which the kernel lets go when
it dies.

So the claims of a killed worker, or the lead of a killed timetable, come back at once instead of when they lapse. A process that
is only paused keeps its lock, and one on another machine is not seen: for those the lapse stands.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


class Living:
    """A sign of life for `name`, from this object's making to `close` or the end of the process; each `kind` sees its own."""

    def __init__(self, folder: Path, name: str, kind: str = "worker") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._prefix = folder, f"{kind}-"
        self._file = folder / f"{self._prefix}{name}"
        making = folder / f"new-{name}"
        self._handle = making.open("w")
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        making.rename(self._file)  # seen by others only once it is locked

    @contextmanager
    def dead(self) -> Iterator[list[str]]:
        """Yield the names of those that died. They are forgotten only if what is done with them succeeds."""
        with ExitStack() as stack:
            others = (file for file in self._folder.glob(f"{self._prefix}*") if file != self._file)
            found = [file for file in others if _abandoned(file, stack)]
            yield [file.name.removeprefix(self._prefix) for file in found]
            for file in found:
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """End in order: there is nothing of ours left to bring back."""
        self._file.unlink(missing_ok=True)
        self._handle.close()


def _abandoned(file: Path, stack: ExitStack) -> bool:
    """Whether nobody holds `file`; then we do, until `stack` ends, so that no other worker does the same work."""
    try:
        handle: IO[str] = stack.enter_context(file.open())
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
