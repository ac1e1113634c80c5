"""A receiver of pushes that answers 200 at once and counts: `python -m benchmarks.sink PORT`, on every loopback address."""

from __future__ import annotations

import asyncio
import re
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Receiving(asyncio.Protocol):
    """Reads requests of known length one after the other. GET says how many pushes came to all connections so far."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self.held, 0, end + 2)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.held) < whole:
                return
            told = b"%d" % Receiving.count
            if self.held.startswith(b"GET"):
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            else:
                Receiving.count += 1
                self.transport.write(ANSWER)
            self.held = self.held[whole:]


async def listen(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiving, "0.0.0.0", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1])))
