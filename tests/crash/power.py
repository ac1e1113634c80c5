"""`python -m tests.crash.power [--images 50] [--stories 60] [--starts 5]`: what a power cut leaves of SQLite's files. Ends with 1
if an image is damaged, if it lacks something acknowledged, or if a worker does not start on it and send what is owed.

A writer publishes, decides and sends under strace(1), which notes every write and every fsync in their order. An image is made
for a random instant: of each file what had been synced, and of what was written since any part, torn at sectors. Linux only. Run
in the project's folder.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from syndicator.config import load_config
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Story
from syndicator.house import House, open_house
from syndicator.operations.audit_heads import prove_log
from syndicator.operations.publishers import add_publisher, decide
from syndicator.sending import create_engine
from syndicator.storage.backup import check
from tests.crash.scene import HOSTS, PATIENCE_SECONDS, Scene, owed, publish, wait_until
from tests.receiver import Receiver
from tests.servers import need

SECTOR_BYTES = 512
SUBSCRIBERS = 40
CALLS = "trace=write,pwrite64,ftruncate,fsync,fdatasync"
CALL = re.compile(r"^(\w+)\(\d+<((?:\\x[0-9a-f]{2})+)>(?:, (.*))?\) += \d+$")
SAID, DATABASE = "said", "syndicator.db"


class Step(NamedTuple):
    """One system call on a file: `data` was written at `offset`, or it was cut to the length `offset`, or synced."""

    call: str  # write, cut, sync
    file: str  # its name
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Disk:
    """One file as the disk has it: what is synced, and what has been done since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> None:
        self.since.append(step)
        if step.call == "sync":
            for each in self.since:
                _apply(self.synced, each)
            self.since.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        """What is found: the synced, and any part of the rest; each sector of a write may have got there or not."""
        found = bytearray(self.synced)
        for step in self.since:
            for start in range(0, max(len(step.data), 1), SECTOR_BYTES):
                if chance.random() < 0.5:
                    _apply(found, step._replace(offset=step.offset + start, data=step.data[start : start + SECTOR_BYTES]))
        return bytes(found)


def _apply(content: bytearray, step: Step) -> None:
    if step.call == "cut":
        del content[step.offset :]
    if step.call != "sync":
        content.extend(bytes(max(step.offset - len(content), 0)))
        content[step.offset : step.offset + len(step.data)] = step.data


def steps(trace: Path) -> Iterator[Step]:
    """Read what strace wrote with -y and -xx."""
    places: dict[str, int] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            if (found := CALL.match(line)) is None:
                continue
            call, file, rest = found[1], Path(_bytes(found[2]).decode()).name, found[3] or ""
            if call in {"fsync", "fdatasync"}:
                yield Step("sync", file)
            elif call == "ftruncate":
                yield Step("cut", file, int(rest))
            else:
                data, *numbers = rest.split(", ")
                written = _bytes(data.strip('"'))
                offset = int(numbers[1]) if call == "pwrite64" else places.get(file, 0)
                places[file] = offset + len(written)
                yield Step("write", file, offset, written)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def write(settings: Path, stories: int) -> None:
    """Be the writer: do things, and say each on standard output once it is committed."""
    house = open_house(load_config(settings))
    engine = create_engine(house)
    for number in range(stories):
        publish(house, f"story-{number}")
        say(f"story story-{number}")
        with house.sessions.begin() as session:
            domain = f"publisher{number}.example"
            made = add_publisher(session, name=domain, email=f"a@{domain}", domains=[domain], actor="crash", at=house.clock())
            public_id = made.public_id
        for state in (PublisherState.APPROVED, PublisherState.REVOKED)[: 1 + number % 2]:
            with house.sessions.begin() as session:
                decide(
                    session, house, public_id, state, reason="power test", actor="crash", at=house.clock(), terms_signed=True
                )  # fmt: skip
            say(f"{public_id} {state}")
        for _ in range(3):
            engine.turn(0.01)
    engine.drain(seconds=5.0)


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def trace(scene: Scene, stories: int) -> Path:
    """Run the writer in the scene's folder under strace; returns the trace."""
    file = scene.folder / "trace"
    watched = [need("strace", "strace"), "-y", "-xx", "-s", "1000000", "-e", CALLS, "-e", "signal=none", "-o", str(file)]
    command = [sys.executable, "-m", "tests.crash.power", "--write", str(scene.folder / "config.toml"), "--stories", str(stories)]
    with (scene.folder / SAID).open("wb") as said:
        subprocess.run([*watched, *command], stdout=said, check=True)
    return file


class Image(NamedTuple):
    """What was found after a power cut, and the lines that had been said before it."""

    files: dict[str, bytes]
    said: list[str]


def images(begun: bytes, done: list[Step], count: int, chance: random.Random) -> Iterator[Image]:
    """Yield `count` images of random instants; at the first of them the database holds `begun`, synced."""
    disks = {DATABASE: Disk(bytearray(begun)), f"{DATABASE}-wal": Disk()}
    said = bytearray()
    instants = sorted(chance.randrange(len(done)) for _ in range(count))
    for number, step in enumerate(done):
        while instants and instants[0] == number:
            instants.pop(0)
            found = {name: disk.after_a_cut(chance) for name, disk in disks.items()}
            yield Image(found, said.decode().splitlines())
        if step.file in disks:
            disks[step.file].take(step)
        elif step.file == SAID:
            said += step.data


def faults(house: House, said: list[str]) -> list[str]:
    """What is wrong with an image of which `said` had been acknowledged."""
    found = check(house.engine)
    with house.sessions() as session:
        found += prove_log(session, house)
        there = {f"story {external_id}" for external_id in session.scalars(select(Story.external_id))}
        publishers = {publisher.public_id: publisher.state for publisher in session.scalars(select(Publisher))}
    newest = {}
    for line in said:
        subject, _, what = line.partition(" ")
        if subject == "story":
            found += [] if line in there else [f"{line} is lost"]
        else:
            newest[subject] = what
    later = {PublisherState.APPROVED: {PublisherState.APPROVED, PublisherState.REVOKED}}  # what may have followed unsaid
    for subject, what in newest.items():
        state = PublisherState(what)
        if publishers.get(subject) not in later.get(state, {state}):
            found.append(f"{subject} is not {what}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--stories", type=int, default=60)
    parser.add_argument("--starts", type=int, default=5, help="on so many of them a worker is started")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="be the writer, with these settings")
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.stories)
        return 0
    began, chance = time.monotonic(), random.Random(asked.seed)
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="syndicator-power-") as name, Receiver(hosts=HOSTS) as receiver:
        folder = Path(name)
        with Scene(folder / "on", f"sqlite:///{folder}/on/{DATABASE}", receiver) as scene:
            scene.furnish(SUBSCRIBERS).engine.dispose()  # the last to leave empties the log into the database
            begun = (scene.folder / DATABASE).read_bytes()
            done = list(steps(trace(scene, asked.stories)))
        every = -(-asked.images // asked.starts)
        for number, image in enumerate(images(begun, done, asked.images, chance)):
            found += [f"image {number}: {fault}" for fault in look(folder, receiver, image, start=number % every == 0)]
    syncs = sum(step.call == "sync" for step in done)
    print(
        f"seed {asked.seed}: {asked.images} images among {len(done)} writes and {syncs} syncs, {asked.starts} started; "
        f"{len(found)} faults; {time.monotonic() - began:.0f} s"
    )
    for fault in found:
        print(f"FAULT: {fault}")
    return 1 if found else 0


def look(folder: Path, receiver: Receiver, image: Image, *, start: bool) -> list[str]:
    """Put `image` on disk and say what is wrong with it; with `start`, have a worker send what is owed."""
    place = folder / "off"
    with Scene(place, f"sqlite:///{place}/{DATABASE}", receiver) as scene:
        scene.settle()
        for name, content in image.files.items():
            (place / name).write_bytes(content)
        shutil.copytree(folder / "on" / "var" / "keys", place / "var" / "keys")
        scene.house = house = open_house(scene.config)
        found = faults(house, image.said)
        if start:
            scene.start(1)
            wait_until(lambda: scene.alive() and owed(house) == 0, PATIENCE_SECONDS)
            scene.stop()
    shutil.rmtree(place)
    return found


if __name__ == "__main__":
    sys.exit(main())
