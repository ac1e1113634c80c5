"""`python -m tests.crash.upgrade URL`: upgrades an empty database in processes that are killed (-9) just before a statement, each
a few statements further than the last, until one comes to its end. Prints how many were killed.

After each kill there must be nothing at all; after the last, the whole schema. Runs in a process of its own, since it forks.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count

from sqlalchemy import event, inspect

from syndicator.storage import revision, schema
from syndicator.storage.engine import open_engine

STEP = 7


def upgrade_until(url: str, last: int) -> None:
    """Upgrade, and be killed before statement number `last`."""
    engine, numbers = open_engine(url), count(1)

    def die_in_time(*_: object) -> None:
        if next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", die_in_time)
    schema.upgrade(engine)


def main(url: str) -> int:
    for kills in count():
        child = os.fork()
        if child == 0:
            upgrade_until(url, 1 + kills * STEP)
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        engine = open_engine(url)
        found = inspect(engine).get_table_names() if killed else [str(each) for each in schema.differences(engine)]
        current = revision.is_current(engine)
        engine.dispose()
        if found or current is killed:
            print(f"half an upgrade after {kills} kills: {found}")
            return 1
        if not killed:
            print(f"{kills} kills, nothing half done, then whole")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
