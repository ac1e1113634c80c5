"""`python -m tests.crash.soak [--minutes 30] [--stories 20] [--owed 500]`: `syndicator serve` at work for a long time: so many
stories a minute to so many webhooks, and polls beside. Ends with 1 if memory grew by more than a twentieth, if descriptors were
left open, or if anything was lost or came twice.

What a process tree holds is compared between the first and the last fifth of the time after a warm-up. Linux only. Run in the
project's folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.subscriptions import Subscription
from tests.crash.scene import HOSTS, Held, Scene, held, publish, tree, wait_until_settled
from tests.receiver import Receiver

Sample = TypeVar("Sample")
MOST_GROWTH = 1.05
SPARE_DESCRIPTORS = 16  # connections that happen to be open at the moment of looking


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--stories", type=int, default=20, help="a minute")
    parser.add_argument("--owed", type=int, default=500, help="subscribers of each story")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="syndicator-soak-") as folder,
        Receiver(hosts=HOSTS) as receiver,
        Scene(Path(folder), f"sqlite:///{folder}/syndicator.db", receiver) as scene,
    ):
        house = scene.furnish(asked.owed)
        url = scene.serve()
        came: Counter[str] = Counter()
        seen: list[dict[str, Held]] = []
        began, pause = time.monotonic(), 60 / asked.stories
        for number in range(int(asked.minutes * asked.stories)):
            publish(house, f"story-{number}")
            time.sleep(max(0.0, began + (number + 1) * pause - time.monotonic()))
            with urllib.request.urlopen(f"{url}/feeds/latest.rss") as answer:
                answer.read()
            seen.append(_by_part(tree(scene.workers[0].pid)))
            batch, receiver.received = receiver.received, []
            came.update(request.headers["webhook-id"] for request in batch)
        wait_until_settled(house)
        scene.stop()
        came.update(request.headers["webhook-id"] for request in receiver.received)
        with house.sessions() as session:
            rows = session.execute(select(Subscription.public_id, Delivery.event_seq).join(Delivery.subscription))
            promised = {delivery_uid(public_id, seq) for public_id, seq in rows}
    warm = seen[len(seen) // 10 :]
    for part in sorted(warm[-1]):
        before, after = (statistics.median(each[part].mib for each in some if part in each) for some in _ends(warm))
        print(f"{part:12} {before:6.1f} → {after:6.1f} MiB")
    return _told(
        [_sum(each.values()) for each in warm], len(promised), len(promised - came.keys()), sum(came.values()) - len(came)
    )


def _by_part(pids: Sequence[int]) -> dict[str, Held]:
    """Return what the processes of each command hold together."""
    parts: dict[str, list[Held]] = {}
    for pid in pids:
        with suppress(OSError):  # it has ended
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parts.setdefault(command[-2].decode(), []).append(held([pid]))
    return {part: _sum(each) for part, each in parts.items()}


def _sum(each: Iterable[Held]) -> Held:
    mib, descriptors, threads = map(sum, zip(*each, strict=True))
    return Held(mib, descriptors, threads)


def _ends(seen: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the first and the last fifth."""
    fifth = max(len(seen) // 5, 1)
    return seen[:fifth], seen[-fifth:]


def _told(seen: list[Held], owed_in_all: int, lost: int, twice: int) -> int:
    before, after = ([statistics.median(value) for value in zip(*part, strict=True)] for part in _ends(seen))
    growth, descriptors = after[0] / before[0], after[1] - before[1]
    print(
        f"{owed_in_all:,} owed: lost {lost}, twice {twice}; memory {before[0]:.0f} → {after[0]:.0f} MiB (× {growth:.3f}), "
        f"descriptors {before[1]:.0f} → {after[1]:.0f}"
    )
    return 1 if lost or twice or growth > MOST_GROWTH or descriptors > SPARE_DESCRIPTORS else 0


if __name__ == "__main__":
    sys.exit(main())
