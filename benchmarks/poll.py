"""How fast feeds are polled (goals P1-P3): this service, nginx on static files, and feedgen at each request under Flask.

One run, one machine, one client (wrk), one process per server, interleaved; the median of the rounds counts. Prints ratios to
nginx beside floor and goal. Loopback only; needs wrk and nginx. Run in the project's folder:
`python -m benchmarks.poll [--rounds 3] [--seconds 2]`.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedgen.feed import FeedGenerator

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
    return feed.rss_str()


# --- The servers. Each runs as `python -m benchmarks.poll --as WHICH PORT FOLDER`.


def run_server(which: str, port: int, folder: Path, threads: int) -> None:
    from syndicator.serve import web_server

    os.environ["BENCHMARK_FOLDER"] = str(folder)
    web_server(f"benchmarks.poll:{which}", "127.0.0.1", port, 1, threads).serve()


def __getattr__(name: str) -> object:
    """The WSGI applications that granian asks this module for: `ours` and `naive`."""
    from flask import Flask, Response, request

    from syndicator.web.byte_layer import ByteLayer

    app = Flask("benchmark")
    bodies = stories()

    @app.get("/feeds/naive.rss")
    def naive() -> Response:
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
        return ByteLayer(app.wsgi_app, Path(os.environ["BENCHMARK_FOLDER"]))
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


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"did not start: {command}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(15)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- The client


def rate(url: str, case: Case, seconds: float) -> float:
    """Answers a second that wrk gets for `case`; stops the run when one is not the answer asked for."""
    headers = {"Accept-Encoding": case.coding}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as first:
        assert first.headers.get("Content-Encoding", "identity") == case.coding, (url, case)
        tag = first.headers["ETag"]
    if case.with_tag:
        headers["If-None-Match"] = tag
        with contextlib.closing(raw(url, headers)) as answer:
            assert answer.status == 304, (url, case)
    if case.new_connection:
        headers["Connection"] = "close"
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    told = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{seconds:g}s", *fields, url], capture_output=True, text=True, check=True
    ).stdout
    assert case.with_tag or "Non-2xx" not in told, told
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


def raw(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """One GET, answered whatever the status (urllib makes an error of 304)."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/{path}", headers=headers)
    return connection.getresponse()


def measure(rounds: int, seconds: float, threads: int) -> None:
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
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
            which: [
                sys.executable,
                "-m",
                "benchmarks.poll",
                "--as",
                which,
                str(ports[which]),
                str(documents),
                "--threads",
                str(threads),
            ]
            for which in ("ours", "naive")
        }
        commands["nginx"] = ["nginx", "-c", str(folder / "nginx.conf")]
        for which, command in commands.items():
            stack.enter_context(running(command, ports[which]))
        urls = {which: f"http://127.0.0.1:{port}/feeds/latest.rss" for which, port in ports.items()}
        urls["naive"] = urls["naive"].replace("latest", "naive")
        print(f"feed: {len(body) / 1024:.0f} KB, gzip {len(gzip.compress(body, 9)) / 1024:.0f} KB; {threads} threads")
        print(f"{'':4}{'case':36}{'nginx/s':>9}{'ours/s':>9}{'naive/s':>9}{'ours×':>8}{'naive×':>8}{'floor':>7}{'goal':>7}")
        for case in CASES:
            rates: dict[str, list[float]] = {which: [] for which in urls}
            for _ in range(rounds):
                for which, url in urls.items():
                    rates[which].append(rate(url, case, seconds))
            middle = {which: statistics.median(values) for which, values in rates.items()}
            ours, naive = middle["ours"] / middle["nginx"], middle["naive"] / middle["nginx"]
            verdict = "goal met" if ours >= case.goal else "floor met" if ours >= case.floor else "BELOW THE FLOOR"
            print(
                f"{case.goal_id:4}{case.name:36}{middle['nginx']:9.0f}{middle['ours']:9.0f}{middle['naive']:9.0f}"
                f"{ours:8.2f}{naive:8.3f}{case.floor:7.2f}{case.goal:7.2f}  {verdict}"
            )


def main() -> None:
    from syndicator.serve import THREADS

    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--rounds", type=int, default=3)
    wanted.add_argument("--seconds", type=float, default=2)
    wanted.add_argument("--threads", type=int, default=THREADS)
    wanted.add_argument("--as", dest="server", nargs=3, metavar=("WHICH", "PORT", "FOLDER"), help=argparse.SUPPRESS)
    asked = wanted.parse_args()
    if asked.server:
        which, port, folder = asked.server
        run_server(which, int(port), Path(folder), asked.threads)
    else:
        measure(asked.rounds, asked.seconds, asked.threads)


if __name__ == "__main__":
    main()
