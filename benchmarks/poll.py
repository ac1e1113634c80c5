"""How fast feeds are polled (goals P1-P3): this service, nginx on static files, and feedgen at each request under Flask.

One run, one machine, one client (wrk), one process per server, interleaved; the median of the rounds counts. A figure is the
ratio of answers a second. That of CPU per answer stands beside it: on a busy machine the first flatters who has more threads.
Loopback only. The servers run as `python -m benchmarks.poll WHICH PORT FOLDER`.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedgen.feed import FeedGenerator

from benchmarks.figure import Figure, need
from benchmarks.loopback import ask, cpu_seconds, free_port, running, wsgi_server
from syndicator.documents import Document, write_document

ENTRIES = 50
UPDATED = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One way to poll, its limits as parts of nginx's rate."""

    goal_id: str
    name: str
    floor: float
    goal: float
    coding: str
    with_tag: bool = False
    new_connection: bool = False


CASES = (
    Case("P1", "304, 64 kept connections", 0.30, 0.50, "gzip", with_tag=True),
    Case("P2", "200 gzip of 256 KB", 0.35, 0.55, "gzip"),
    Case("P2", "200 identity, 256 KB", 0.35, 0.55, "identity"),
    Case("P3", "304, a new connection each", 0.40, 0.60, "gzip", with_tag=True, new_connection=True),
    Case("P3", "200 gzip, a new connection each", 0.40, 0.60, "gzip", new_connection=True),
)


def stories() -> list[str]:
    """Fifty bodies that together make some 256 KB and pack to about a quarter, like prose."""
    dice = random.Random(7)
    words = ["".join(dice.choices("etaoinshrdlucmfwyp", k=dice.randint(3, 11))) for _ in range(330)]
    return ["<p>" + " ".join(dice.choices(words, k=660)) + "</p>" for _ in range(ENTRIES)]


def render(bodies: list[str]) -> bytes:
    """Make the feed as a simple application does, at each request."""
    feed = FeedGenerator()
    feed.id("urn:benchmark")
    feed.title("Benchmark")
    feed.link(href="http://127.0.0.1/")
    feed.description("fifty full texts")
    feed.lastBuildDate(UPDATED)
    for number, body in enumerate(bodies):
        entry = feed.add_entry(order="append")
        entry.id(f"urn:benchmark:{number}")
        entry.title(f"Story {number}")
        entry.link(href=f"http://127.0.0.1/{number}")
        entry.published(UPDATED - timedelta(hours=number))
        entry.content(body, type="CDATA")
    document: bytes = feed.rss_str()
    return document


# --- The servers


def run_server(which: str, port: int, folder: Path) -> None:
    from syndicator.serve import web_server

    os.environ["BENCHMARK_FOLDER"] = str(folder)
    server = web_server if which == "ours" else wsgi_server
    server(f"benchmarks.poll:{which}", "127.0.0.1", port, 1).serve()


def __getattr__(name: str) -> object:
    """The applications that granian asks this module for: `ours` and `naive`."""
    from flask import Flask, Response, request
    from werkzeug.wrappers import Response as BaseResponse

    from syndicator.clock import utc_now
    from syndicator.web.byte_layer import ByteLayer
    from syndicator.web.front import Front
    from syndicator.web.load import Room
    from syndicator.web.meter import Meter, Rate
    from syndicator.web.poll_limits import PollLimits
    from syndicator.web.reception import Reception

    app = Flask("benchmark")
    bodies = stories()

    @app.get("/feeds/naive.rss")
    def naive() -> BaseResponse:
        plain = render(bodies)
        answer = Response(plain, mimetype="application/rss+xml")
        answer.add_etag()
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.set_data(gzip.compress(plain, 6))
            answer.headers["Content-Encoding"] = "gzip"
        return answer.make_conditional(request)

    if name == "naive":
        return app.wsgi_app
    if name == "ours":
        folder = Path(os.environ["BENCHMARK_FOLDER"])
        # They count as always and refuse nobody.
        limits = PollLimits(Meter(folder.parent / "meter"), Rate(10**6, 1), clock=utc_now)
        return Front(app.wsgi_app, ByteLayer(folder, limits), Room(), Reception(10**6))
    raise AttributeError(name)


NGINX = """
worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null; daemon off;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000000; sendfile off; open_file_cache max=100; gzip_static on; gzip_vary on;
  types {{ application/rss+xml rss; }}
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/static; }}
}}
"""


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    url: str


def measure(quick: bool) -> list[Figure]:
    need("wrk", "nginx")
    rounds, seconds = (1, 1) if quick else (3, 2)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        servers = start_servers(Path(name), stack)
        return [_figure(case, servers, rounds, seconds) for case in CASES]


def start_servers(
    folder: Path, stack: contextlib.ExitStack, only: Sequence[str] = ("nginx", "ours", "naive")
) -> dict[str, Server]:
    """Start the three servers, or some of them, on the same feed."""
    body = render(stories())
    documents = folder / "documents"
    documents.mkdir()
    write_document(documents, "latest.rss", Document("application/rss+xml", body, (), UPDATED, 300, False, False))
    static = folder / "static" / "feeds"
    static.mkdir(parents=True)
    (static / "latest.rss").write_bytes(body)
    (static / "latest.rss.gz").write_bytes(gzip.compress(body, 9, mtime=0))
    folder.chmod(0o755)
    ports = {"nginx": free_port(), "ours": free_port(), "naive": free_port()}
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=ports["nginx"]))
    commands = {
        which: [sys.executable, "-m", "benchmarks.poll", which, str(ports[which]), str(documents)] for which in ("ours", "naive")
    }
    commands["nginx"] = ["nginx", "-c", str(folder / "nginx.conf")]
    return {
        which: Server(
            stack.enter_context(running(commands[which], port)),
            f"http://127.0.0.1:{port}/feeds/{'naive' if which == 'naive' else 'latest'}.rss",
        )
        for which, port in ports.items()
        if which in only
    }


def _figure(case: Case, servers: dict[str, Server], rounds: int, seconds: int) -> Figure:
    rates: dict[str, list[float]] = {which: [] for which in servers}
    cpu: dict[str, list[float]] = {which: [] for which in servers}
    for _ in range(rounds):
        for which, server in servers.items():
            before = cpu_seconds(server.process)
            asked = ask(server.url, seconds, coding=case.coding, with_tag=case.with_tag, new_connection=case.new_connection)
            rates[which].append(asked.per_second)
            cpu[which].append((cpu_seconds(server.process) - before) / asked.answers * 1e6)
    rate = {which: statistics.median(each) for which, each in rates.items()}
    cost = {which: statistics.median(each) for which, each in cpu.items()}
    said = {which: f"{rate[which]:,.0f}/s at {cost[which]:,.0f} µs of CPU" for which in servers}
    by_rate, by_cost = rate["ours"] / rate["nginx"], cost["nginx"] / cost["ours"]
    return Figure(
        goal_id=case.goal_id,
        what=case.name,
        value=by_rate,
        unit="× nginx",
        floor=case.floor,
        goal=case.goal,
        beside={
            "by CPU": f"{by_cost:.2f}",
            "nginx": said["nginx"],
            "ours": said["ours"],
            "feedgen at each request": f"{said['naive']} ({rate['naive'] / rate['nginx']:.3f} × nginx)",
        },
    )


if __name__ == "__main__":
    which, port, folder = sys.argv[1:]
    run_server(which, int(port), Path(folder))
