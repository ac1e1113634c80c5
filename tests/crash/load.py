"""`python -m tests.crash.load [hanging] [latency] [backlog] [--subscribers 1000] [--stories N] [--database sqlite|postgresql]`:
what a thousand webhooks ask of the service: a fifth hang; a story comes; a hundred stories wait. Without names all three.

Prints each figure beside its floor and its goal; ends with 1 if a floor is missed. The receivers are one process on this machine,
each a host of its own. Linux only. Run in the project's folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.figure import Figure, lines
from benchmarks.loopback import cpu_seconds
from syndicator.delivery.pace import FIRST_PAUSE_SECONDS
from syndicator.house import House
from tests.crash.scene import PATIENCE_SECONDS, Held, Scene, database, held, publish, tree, wait_until
from tests.receiver import Received, Receiver, Reply
from tests.web.callers import key_of

CONCURRENCY = 256  # as it is when nobody sets it
HANGING, DRIPPING = (0, 1), (2,)  # last digits of those that do
ROUNDS = 3
QUIET_SECONDS = 3 * FIRST_PAUSE_SECONDS  # between two stories, or the second would wait because they are a burst
AFTER_SECONDS = 20.0  # by then everything that hung has been given up, for this time
NEVER_WHOLE = Reply(drip=True, drip_seconds=0.5, headers=(("X-Long", "y" * 100),))


class Crowd:
    """So many webhooks, each on a host of its own, that note when the story that is awaited came to each."""

    def __init__(self, hosts: int) -> None:
        self.hosts = hosts
        self.ill = False
        self.at: dict[int, float] = {}  # by number of the host; monotonic seconds
        self.came: dict[str, int] = {}  # by id, how often
        self.receiver = Receiver(self._answer, hosts=hosts)

    def good(self) -> list[int]:
        """Return the numbers of those that always answer."""
        return [number for number in range(self.hosts) if number % 10 not in HANGING + DRIPPING]

    def wait_for(self, numbers: list[int], seconds: float = PATIENCE_SECONDS) -> list[float]:
        """Return when the story came to `numbers`, in order of time."""
        wait_until(lambda: all(number in self.at for number in numbers), seconds)
        return sorted(self.at[number] for number in numbers)

    def _answer(self, request: Received) -> Reply:
        self.at.setdefault(request.host_number, time.monotonic())
        uid = request.headers["webhook-id"]
        self.came[uid] = self.came.get(uid, 0) + 1
        self.receiver.received.clear()  # the bodies of all that comes would fill this process
        if self.ill and request.host_number % 10 in HANGING:
            return Reply(hang=True)
        return NEVER_WHOLE if self.ill and request.host_number % 10 in DRIPPING else Reply()


@dataclass
class Stage:
    """A service with a crowd of subscribers."""

    scene: Scene
    house: House
    crowd: Crowd
    most: Held = field(default=Held(0, 0, 0))
    looked_at: float = 0.0

    def look(self, pids: list[int]) -> None:
        """Note what `pids` hold where it is more than ever; once a second, since they wait while their pages are counted."""
        if time.monotonic() - self.looked_at < 1:
            return
        self.looked_at = time.monotonic()
        now = held(pids)
        most = self.most
        self.most = Held(max(most.mib, now.mib), max(most.descriptors, now.descriptors), max(most.threads, now.threads))


@contextmanager
def stage(asked: argparse.Namespace) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syndicator-load-")))
        url = stack.enter_context(database(asked.database, folder))
        crowd = Crowd(asked.subscribers)
        receiver = stack.enter_context(crowd.receiver)
        scene = stack.enter_context(Scene(folder, url, receiver, concurrency=CONCURRENCY))
        yield Stage(scene, scene.furnish(asked.subscribers), crowd)


def hanging(asked: argparse.Namespace) -> list[Figure]:
    """R8: a fifth of all hang and a tenth drip; the others must not feel it."""
    with stage(asked) as on:
        good = on.crowd.good()
        on.scene.start(1)
        worker = [on.scene.workers[0].pid]
        _fan_out(on, "first", worker)
        calm = [_fan_out(on, f"calm-{number}", worker) for number in range(ROUNDS)]
        before = on.most
        on.crowd.ill = True
        first = _fan_out(on, "ill", worker)
        known = [_fan_out(on, f"ill-{number}", worker) for number in range(ROUNDS)]
        until = time.monotonic() + AFTER_SECONDS
        while time.monotonic() < until:
            on.look(worker)
            time.sleep(0.1)
        served = len(on.crowd.at.keys() & set(good))
    usual = statistics.median(calm)
    told = {"without": f"{usual:.2f} s ({', '.join(f'{each:.2f}' for each in calm)})"}
    return [
        Figure(goal_id="R8", what=f"{len(good)} others served", value=served, unit="", floor=len(good), goal=len(good)),
        _at_most("R8", "others' p99, the first time", first / usual, "× without", 4, 2, {**told, "so": f"{first:.2f} s"}),
        _at_most(
            "R8", "others' p99, once known", statistics.median(known) / usual, "× without", 4, 2,
            {**told, "so": ", ".join(f"{each:.2f} s" for each in known)},
        ),
        _at_most(
            "R8", "memory of the worker, more", on.most.mib - before.mib, "MiB", 100, 100,
            {"before": f"{before.mib:.0f} MiB", "most": f"{on.most.mib:.0f} MiB"},
        ),
        _at_most("R8", "threads of the worker, more", on.most.threads - before.threads, "threads", 16, 0,
            {"most": f"{on.most.threads}", "descriptors": f"{on.most.descriptors}"},
        ),
    ]  # fmt: skip


def _fan_out(on: Stage, name: str, worker: list[int]) -> float:
    """Publish a story; returns after how many seconds all but one in a hundred of the good ones had it."""
    time.sleep(QUIET_SECONDS)
    on.crowd.at.clear()
    publish(on.house, name)
    began = time.monotonic()
    on.look(worker)
    times = on.crowd.wait_for(on.crowd.good())
    on.look(worker)
    return _percentile(times, 99) - began


def latency(asked: argparse.Namespace) -> list[Figure]:
    """R12: from the 201 of a story's request to its coming to everybody; of several stories the middle one counts."""
    with stage(asked) as on:
        url = on.scene.serve()
        headers = key_of(on.house, None) | {"Content-Type": "application/json"}
        rounds = [_push(on, f"{url}/v1/newsroom/stories/story-{number}", headers) for number in range(asked.stories or ROUNDS)]
    figures = []
    for name, goal in {"first": 1.0, "half": 3.0, "99 of 100": 10.0, "all": 10.0}.items():
        times = [each[name] for each in rounds]
        what = f"{name} of {asked.subscribers:,} after the 201"
        beside = {"stories": ", ".join(f"{seconds:.2f}" for seconds in times)}
        figures.append(_at_most("R12", what, statistics.median(times), "s", 60, goal, beside))
    return figures


def _push(on: Stage, url: str, headers: dict[str, str]) -> dict[str, float]:
    time.sleep(QUIET_SECONDS)
    on.crowd.at.clear()
    story = {"headline": f"Story at {url}", "body_html": "<p>The council met. It agreed on a budget.</p>" * 60}
    with urlopen(Request(url, json.dumps(story).encode(), headers, method="PUT")) as answer:
        assert answer.status == 201
    began = time.monotonic()
    times = [at - began for at in on.crowd.wait_for(list(range(on.crowd.hosts)))]
    return {"first": times[0], "half": _percentile(times, 50), "99 of 100": _percentile(times, 99), "all": times[-1]}


def backlog(asked: argparse.Namespace) -> list[Figure]:
    """R13: the service starts with very much to do."""
    stories = asked.stories or 100
    with stage(asked) as on:
        for number in range(stories):
            publish(on.house, f"story-{number}")
        owed = stories * asked.subscribers
        on.scene.command = (*on.scene.command[:-1], "serve")
        began = time.monotonic()
        on.scene.start(1)
        _until(on, lambda: _ready(on.scene.port))
        ready = time.monotonic()
        _until(on, lambda: bool(on.crowd.at))
        first = min(on.crowd.at.values())
        _until(on, lambda: len(on.crowd.came) >= owed)
        last = time.monotonic()
        busy = cpu_seconds(on.scene.workers[0])
        largest = max(map(_peak_mib, tree(on.scene.workers[0].pid)))
    twice = sum(on.crowd.came.values()) - len(on.crowd.came)
    rate = owed / (last - first)
    return [
        _at_most("R13", f"first of {owed:,} after the start", first - began, "s", 30, 5),
        _at_most("R13", "ready after the start", ready - began, "s", 30, 5),
        Figure(
            goal_id="R13",
            what="drains",
            value=rate,
            unit="a second",
            floor=100,
            goal=100,
            beside={"of processor time": f"{owed / busy:,.0f} a second", "twice": f"{twice}"},
        ),
        _at_most("R13", "memory of the largest process", largest, "MiB", 300, 300, {"all together": f"{on.most.mib:.0f} MiB"}),
    ]


def _until(on: Stage, true: Callable[[], bool]) -> None:
    """Wait until `true`, and look at all processes meanwhile."""
    while on.scene.alive() and not true():
        on.look(tree(on.scene.workers[0].pid))
        time.sleep(0.1)


def _peak_mib(pid: int) -> float:
    """The most that a process ever had in memory, what it shares with others included (proc(5), VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _ready(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        return bool(answer.read())
    return False


def _percentile(times: list[float], percent: int) -> float:
    """Return when so many of a hundred had come; `times` are in order."""
    return times[-(-len(times) * percent // 100) - 1]


def _at_most(
    goal_id: str, what: str, value: float, unit: str, floor: float, goal: float, beside: dict[str, str] | None = None
) -> Figure:
    return Figure(
        goal_id=goal_id, what=what, value=value, unit=unit, floor=floor, goal=goal, more_is_better=False, beside=beside or {}
    )


LOADS = {"hanging": hanging, "latency": latency, "backlog": backlog}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", choices=[*LOADS, []], default=[])  # argparse asks it of the default as well
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--stories", type=int, help="with latency 3, with backlog 100")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    missed = 0
    for name in asked.loads or LOADS:
        for figure in LOADS[name](asked):
            print(*lines(figure), sep="\n", flush=True)
            missed += figure.verdict == "BELOW THE FLOOR"
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
