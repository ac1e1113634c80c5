"""Servers and the client of a benchmark: processes started on loopback, and wrk, which asks them."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer


@dataclass(frozen=True, slots=True)
class Asked:
    """What wrk was told by one run: how many answers, how many a second, and the slowest of the fastest 99 in a hundred."""

    answers: int
    per_second: float
    p99_ms: float


@contextlib.contextmanager
def running(command: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; raises RuntimeError when it does not listen on `port` within a minute."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"did not start: {command}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def wsgi_server(target: str, host: str, port: int, workers: int) -> MPServer:
    """Return granian over a WSGI application, for peers that are served as such applications are: each request in a thread."""
    return MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=20,
        websockets=False,
        log_level=LogLevels.error,
    )


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time that `process` and its children have used so far, in user and kernel mode (proc(5))."""
    ticks, waiting = 0, [process.pid]
    while waiting:
        tasks = Path(f"/proc/{waiting.pop()}")
        with contextlib.suppress(OSError):  # it ended meanwhile
            ticks += sum(map(int, (tasks / "stat").read_text().rpartition(")")[2].split()[11:13]))
            waiting += [int(pid) for task in (tasks / "task").iterdir() for pid in (task / "children").read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, seconds: int, *, coding: str = "gzip", with_tag: bool = False, new_connection: bool = False) -> Asked:
    """Let 64 connections of wrk ask for `url`; `with_tag` sends the ETag that a first answer had, and wants 304."""
    headers = {"Accept-Encoding": coding}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as first:
        assert first.headers.get("Content-Encoding", "identity") == coding, (url, coding)
        tag = first.headers["ETag"]
    if with_tag:
        headers["If-None-Match"] = tag
        with contextlib.closing(_get(url, headers)) as answer:
            assert answer.status == 304, url
    if new_connection:
        headers["Connection"] = "close"
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", *fields, url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert with_tag or "Non-2xx" not in told, told
    count = re.search(r"(\d+) requests in", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", told)
    assert count, told
    assert rate, told
    assert slowest, told
    return Asked(int(count[1]), float(rate[1]), float(slowest[1]) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[slowest[2]])


def _get(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """One GET, answered whatever the status (urllib makes an error of 304)."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/{path}", headers=headers)
    return connection.getresponse()
