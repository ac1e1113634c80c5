"""`python -m tests.crash [--kills 50] [--owed 1000] [--database sqlite|postgresql] [--workers 1] [--seed 1] [--gently]`: kill -9
of the engine at random instants during fan-outs to a counting receiver. Ends with 1 if anything was lost or came too often.

PostgreSQL is started for the test, on a socket of its own. Run in the project's folder.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.crash.scene import HOSTS, Scene, crash
from tests.databases import connect
from tests.receiver import Receiver
from tests.servers import Postgres


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--owed", type=int, default=1000, help="subscribers of each story")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gently", action="store_true", help="SIGTERM instead, after which nothing may come twice")
    asked = parser.parse_args()
    server = Postgres() if asked.database == "postgresql" else None
    try:
        with tempfile.TemporaryDirectory(prefix="syndicator-crash-") as folder, Receiver(hosts=HOSTS) as receiver:
            url = f"sqlite:///{folder}/syndicator.db"
            if server is not None:
                with connect(server) as connection:
                    connection.execute("CREATE DATABASE crash")
                url = server.url("crash")
            scene = Scene(Path(folder), url, receiver)
            found = crash(
                scene, subscribers=asked.owed, kills=asked.kills, workers=asked.workers, chance=random.Random(asked.seed),
                gently=asked.gently,
            )  # fmt: skip
    finally:
        if server is not None:
            server.remove()
    print(f"{asked.database}, seed {asked.seed}: {found}")
    for fault in found.faults:
        print(f"FAULT: {fault}")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
