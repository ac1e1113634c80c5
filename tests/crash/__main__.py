"""`python -m tests.crash [--kills 50] [--owed 1000] [--database sqlite|postgresql|celery] [--workers N] [--pauses]`:
kill -9 of the engine at random instants during fan-outs to a counting receiver; ends with 1 if something was lost or doubled.

`celery` is PostgreSQL with two Celery workers, a timetable that is killed with them, and a broker (`--broker redis|rabbitmq`),
which dies at every fifth kill and comes back empty. Servers are started for the test, each on a socket or port of its own. Run in
the project's folder; ends by itself after an hour.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.crash.scene import HOSTS, Scene, crash, database, tell
from tests.receiver import Receiver
from tests.servers import BROKERS, Broker


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--owed", type=int, default=1000, help="subscribers of each story")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "celery"], default="sqlite")
    parser.add_argument("--broker", choices=sorted(BROKERS), default="redis", help="what Celery runs on")
    parser.add_argument("--workers", type=int, help="1, with Celery 2")
    parser.add_argument("--pauses", action="store_true", help="stop and continue them before every second kill")
    parser.add_argument("--oversleeps", type=int, default=0, help="at the end, how often a worker sleeps beyond its claims")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gently", action="store_true", help="SIGTERM instead, after which nothing may come twice")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syndicator-crash-"))
        receiver = stack.enter_context(Receiver(hosts=HOSTS))
        url = stack.enter_context(database(asked.database, Path(folder)))
        broker: Broker | None = None
        if asked.database == "celery":
            broker = BROKERS[asked.broker]()
            stack.callback(broker.remove)
        found = crash(
            stack.enter_context(Scene(Path(folder), url, receiver, broker)),
            subscribers=asked.owed,
            kills=asked.kills,
            workers=asked.workers or (2 if broker else 1),
            chance=random.Random(asked.seed),
            gently=asked.gently,
            pauses=asked.pauses,
            oversleeps=asked.oversleeps,
        )
    return tell(f"{asked.database}, seed {asked.seed}", found)


if __name__ == "__main__":
    sys.exit(main())
