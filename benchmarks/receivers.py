"""A receiver for benchmarks, in a process of its own: every address of 127.0.0.0/8 is another host of it.

`python -m benchmarks.receivers` prints its port; a line `expect N` on standard input makes it print, once N more POSTs have come,
the monotonic seconds at which the first and the last of them did. What is posted to /hang is never answered.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Sink:
    """The other end of `running_receivers`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout
        self.port = int(self._out.readline())

    def urls(self, count: int) -> list[str]:
        """Return the addresses of so many hosts, a path each."""
        return [f"http://127.0.{1 + number // 250}.{1 + number % 250}:{self.port}/{number}" for number in range(count)]

    def expect(self, count: int) -> None:
        self._in.write(f"expect {count}\n")
        self._in.flush()
        self._out.readline()

    def times(self) -> tuple[float, float]:
        """Wait for what is expected; returns when the first and the last came."""
        first, last = self._out.readline().split()
        return float(first), float(last)


@contextmanager
def running_receivers() -> Iterator[Sink]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receivers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Sink(process)
    finally:
        process.kill()
        process.wait()


class _Counter:
    def __init__(self) -> None:
        self.left = 0
        self.first = 0.0

    def expect(self, count: int) -> None:
        self.left, self.first = count, 0.0
        print("ready", flush=True)

    def came(self) -> None:
        now = time.monotonic()
        self.first = self.first or now
        self.left -= 1
        if self.left == 0:
            print(self.first, now, flush=True)


class _Connection(asyncio.Protocol):
    def __init__(self, counter: _Counter) -> None:
        self._counter = counter
        self._held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = bytes(self._held).partition(b"\r\n\r\n")
        if not end:
            return
        size = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        if len(body) < size:
            return
        self._held.clear()
        if head.startswith(b"POST /hang"):
            return
        self._transport.write(ANSWER)
        self._counter.came()


async def _serve() -> None:
    counter, loop = _Counter(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counter), "0.0.0.0", 0, backlog=4096)  # every 127.x.y.z
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        counter.expect(int(line.split()[1]))


if __name__ == "__main__":
    asyncio.run(_serve())
