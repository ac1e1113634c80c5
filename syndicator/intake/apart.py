"""Parsing what strangers wrote in a process of its own, with limits on time and memory: a bomb costs a child, never us.

`python -m syndicator.intake.apart KIND ORIGIN` reads a document from its input and writes the drafts as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from syndicator.domain.stories import Image, Rights, StoryDraft
from syndicator.errors import IntakeError, InvalidRequest

Kind = Literal["feed", "page", "wxr"]
MEMORY_BYTES = 768 * 1024 * 1024  # address space, libraries included
CPU_SECONDS = 60
MAX_OUTPUT_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Parsed:
    drafts: tuple[StoryDraft, ...]
    problems: tuple[str, ...] = ()
    site: str = ""  # whose export it is


def parse_apart(kind: Kind, content: bytes, origin: str, seconds: float) -> Parsed:
    """Parse a feed document, an article page or a WordPress export; raises IntakeError, also when it takes too much."""
    package = str(Path(__file__).resolve().parents[2])
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": package, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "syndicator.intake.apart", kind, origin.encode("ascii", "backslashreplace").decode()]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=seconds, env=environment, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise IntakeError(origin, f"parsing took longer than {seconds:g} seconds") from error
    if done.returncode != 0:
        raise IntakeError(origin, "parsing took too much memory or broke off")
    said = json.loads(done.stdout)
    if "error" in said:
        raise IntakeError(origin, said["error"])
    return Parsed(tuple(_draft(values) for values in said["drafts"]), tuple(said["problems"]), said["site"])


def _draft(values: dict[str, Any]) -> StoryDraft:
    instants = {name: datetime.fromisoformat(values[name]) for name in _INSTANTS if values[name]}
    lists = {name: tuple(values[name]) for name in ("byline", "tags")}
    images = tuple(Image(**image | {"rights": Rights(image["rights"])}) for image in values["images"])
    return StoryDraft(**values | lists | instants | {"images": images, "rights": Rights(values["rights"])})


_INSTANTS = ("published_at", "embargoed_until", "expires_at")


def _parse(kind: str, content: bytes, origin: str) -> Parsed:
    if kind == "feed":
        from syndicator.intake.feed import read_feed

        return read_feed(content, origin)
    if kind == "wxr":
        from syndicator.intake.wxr import read_wxr

        site, drafts, problems = read_wxr(content, origin)
        return Parsed(drafts, problems, site)
    from syndicator.intake.page import read_page

    return Parsed((read_page(content, origin),))


def _main(kind: str, origin: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))  # also when nobody waits for us any more
    try:
        parsed = _parse(kind, sys.stdin.buffer.read(), origin)
        said: dict[str, Any] = {"drafts": [asdict(draft) for draft in parsed.drafts], "problems": parsed.problems}
        said["site"] = parsed.site
    except InvalidRequest as error:
        said = {"error": str(error).removeprefix(f"{origin}: ")}
    told = json.dumps(said, default=lambda value: value.isoformat())
    if len(told) > MAX_OUTPUT_BYTES:  # whoever waits for it keeps it in memory
        told = json.dumps({"error": f"it holds more than {MAX_OUTPUT_BYTES:,} bytes of stories; take it in parts"})
    sys.stdout.write(told)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
