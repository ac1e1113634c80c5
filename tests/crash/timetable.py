"""`python -m tests.crash.timetable [--runs 100] [--sleeps 2] [--database sqlite|postgresql]`: two timetables at once, of which
the leader is killed, or stopped for longer than its lease, again and again. Ends with 1 if a job ran in both.

They have one job, each second, that notes whose process ran it. So long as nothing happens to the leader, it must go on being the
same: each run beyond that is one that the other did as well. Run in the project's folder.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from syndicator.config import load_config
from syndicator.house import House, open_house
from syndicator.jobs import Job, Timetable
from syndicator.outbound import Outbound, open_outbound
from tests.crash.scene import PATIENCE_SECONDS, Scene, database, wait_until
from tests.receiver import Receiver

BESIDE = "timetable"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--sleeps", type=int, default=2, help="how often the leader sleeps beyond its lease, half a minute each")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syndicator-timetable-")))
        url = stack.enter_context(database(asked.database, folder))
        scene = stack.enter_context(Scene(folder, url, stack.enter_context(Receiver())))
        scene.command = (sys.executable, "-m", "tests.crash.timetable", BESIDE)
        scene.furnish(0)
        kills, sleeps = play(scene, asked.runs, asked.sleeps, random.Random(asked.seed))
        ran = runs(folder)
    twice = doubled(ran, kills + sleeps)
    told = f"{len(ran)} runs, {kills} kills and {sleeps} sleeps of the leader: doubled {twice}"
    print(f"{asked.database}, seed {asked.seed}: {told}")
    return 1 if twice else 0


def play(scene: Scene, enough: int, sleeps: int, chance: random.Random) -> tuple[int, int]:
    """Disturb the leader after every few runs until there were `enough`; returns how often it was killed, how often it slept."""
    killed = slept = 0
    while True:
        scene.start(2)
        leader = leader_after(scene, chance.randrange(4, 12))
        if len(runs(scene.folder)) >= enough:
            return killed, slept
        if slept < sleeps:
            leader.send_signal(signal.SIGSTOP)
            while leader_after(scene, 1) is leader:
                pass
            leader.send_signal(signal.SIGCONT)
            slept += 1
        else:
            leader.kill()
            leader.wait()
            scene.workers.remove(leader)
            killed += 1


def leader_after(scene: Scene, more: int) -> subprocess.Popen[bytes]:
    """Return who ran the job last, once it has run so many times more."""
    enough = len(runs(scene.folder)) + more
    wait_until(lambda: scene.alive() and len(runs(scene.folder)) >= enough, PATIENCE_SECONDS)
    last = runs(scene.folder)[-1]
    return next(process for process in scene.workers if process.pid == last)


def doubled(ran: list[int], disturbed: int) -> int:
    """How many times more than it was disturbed the lead went over to somebody else."""
    return max(sum(one != other for one, other in pairwise(ran)) - disturbed, 0)


def runs(folder: Path) -> list[int]:
    """Return the processes that ran the job, in order."""
    file = folder / "runs"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def lead_beside(file: Path) -> None:
    """Run a timetable until somebody kills us."""

    def note(_house: House, _outbound: Outbound) -> str:
        with (file.parent / "runs").open("a") as ran:
            ran.write(f"{os.getpid()}\n")
        return "noted"

    house = open_house(load_config(file))
    Timetable(house, open_outbound(house.config), [Job("note", 1, note)]).start()
    signal.pause()


if __name__ == "__main__":
    if sys.argv[1:] == [BESIDE]:
        lead_beside(Path(os.environ["SYNDICATOR_CONFIG"]))
    sys.exit(main())
