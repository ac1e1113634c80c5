"""`python -m tests.crash.soak [--minutes 30] [--stories 20] [--owed 500]`: `syndicator serve` at work for a long time: so many
stories a minute to so many webhooks, and polls beside. Ends with 1 if memory grew by more than a twentieth, if descriptors were
left open, or if anything was lost or came twice.

What a process tree holds is compared between the first and the last fifth of the time after a warm-up. Linux only. Run in the
project's folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.subscriptions import Subscription
from tests.crash.scene import HOSTS, PATIENCE_SECONDS, Scene, owed, publish, tree, wait_until
from tests.receiver import Receiver
from tests.servers import free_port

MOST_GROWTH = 1.05
SPARE_DESCRIPTORS = 16  # connections that happen to be open at the moment of looking


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--stories", type=int, default=20, help="a minute")
    parser.add_argument("--owed", type=int, default=500, help="subscribers of each story")
    asked = parser.parse_args()
    port = free_port()
    os.environ["SYNDICATOR_SERVER__PORT"] = str(port)
    with tempfile.TemporaryDirectory(prefix="syndicator-soak-") as folder, Receiver(hosts=HOSTS) as receiver:
        scene = Scene(Path(folder), f"sqlite:///{folder}/syndicator.db", receiver)
        scene.command = (sys.executable, "-m", "syndicator", "serve")
        house = scene.furnish(asked.owed)
        scene.start(1)
        came: Counter[str] = Counter()
        held: list[tuple[float, int]] = []
        began, pause = time.monotonic(), 60 / asked.stories
        for number in range(int(asked.minutes * asked.stories)):
            publish(house, f"story-{number}")
            time.sleep(max(0.0, began + (number + 1) * pause - time.monotonic()))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/feeds/latest.rss") as answer:
                answer.read()
            held.append(_held(scene.workers[0].pid))
            batch, receiver.received = receiver.received, []
            came.update(request.headers["webhook-id"] for request in batch)
        wait_until(lambda: owed(house) == 0, PATIENCE_SECONDS)
        scene.stop()
        came.update(request.headers["webhook-id"] for request in receiver.received)
        with house.sessions() as session:
            rows = session.execute(select(Subscription.public_id, Delivery.event_seq).join(Delivery.subscription))
            promised = {delivery_uid(public_id, seq) for public_id, seq in rows}
        house.engine.dispose()
    return _told(held[len(held) // 10 :], len(promised), len(promised - came.keys()), sum(came.values()) - len(came))


def _told(held: list[tuple[float, int]], owed_in_all: int, lost: int, twice: int) -> int:
    fifth = max(len(held) // 5, 1)
    before, after = ([statistics.median(value) for value in zip(*part, strict=True)] for part in (held[:fifth], held[-fifth:]))
    growth, descriptors = after[0] / before[0], after[1] - before[1]
    print(
        f"{owed_in_all:,} owed: lost {lost}, twice {twice}; memory {before[0]:.0f} → {after[0]:.0f} MiB (× {growth:.3f}), "
        f"descriptors {before[1]:.0f} → {after[1]:.0f}"
    )
    return 1 if lost or twice or growth > MOST_GROWTH or descriptors > SPARE_DESCRIPTORS else 0


def _held(pid: int) -> tuple[float, int]:
    """Memory (MiB, each page's share: proc(5), Pss) and open descriptors of `pid` and all below it."""
    kib = descriptors = 0
    for each in tree(pid):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        descriptors += len(os.listdir(f"/proc/{each}/fd"))  # noqa: PTH208  # names only, and quickly
    return kib / 1024, descriptors


if __name__ == "__main__":
    sys.exit(main())
