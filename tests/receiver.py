"""A real HTTP server on loopback that answers as a test tells it: at once, wrongly, byte by byte, or never.

One thread and one event loop serve any number of connections, so a thousand hanging ones cost nothing.

    with Receiver(lambda request: Reply(status=410)) as receiver:
        send(receiver.url)
        assert receiver.received[0].headers["webhook-id"] == …
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WAIT_SECONDS = 20
DRIP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Header names are in lower case; `connection` counts the connections from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    host_number: int  # which of the receiver's addresses it came to, from 0
    connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. `raw` replaces the whole answer; `drip` sends it a byte at a time and then more bytes without end."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    raw: bytes | None = None
    drip: bool = False
    drip_seconds: float = DRIP_SECONDS  # between two bytes
    hang: bool = False  # until `release` or the end
    close: bool = False
    tunnel: tuple[str, int] | None = None  # the answer of a proxy to CONNECT: a way to this place

    def message(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Reply", *(f"{name}: {value}" for name, value in self.headers)]
        if not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in self.headers):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Receiver:
    """`hosts` addresses of 127.0.0.0/16 from 127.0.0.1 on, each on a port of its own that was free."""

    def __init__(
        self, answer: Callable[[Received], Reply] | None = None, *, hosts: int = 1, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer or (lambda request: Reply())
        self.received: list[Received] = []
        self.connections = 0
        self.open = [0] * hosts  # requests being answered now, by host
        self.most_open = [0] * hosts
        self.ports: list[int] = []
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="receiver")
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(hosts), self._loop).result(WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """The addresses, without a path."""
        scheme = "https" if self._tls else "http"
        return [f"{scheme}://{_address(number)}:{port}" for number, port in enumerate(self.ports)]

    def wait_for(self, count: int, seconds: float = WAIT_SECONDS) -> list[Received]:
        """Return the requests once there are `count`; raises TimeoutError if they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, seconds):
                raise TimeoutError(f"{len(self.received)} requests came, {count} were awaited")
            return list(self.received)

    def release(self) -> None:
        """Let every hanging answer go."""
        self._loop.call_soon_threadsafe(self._released.set)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    async def _listen(self, hosts: int) -> None:
        for number in range(hosts):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = number) -> None:
                await self._serve(reader, writer, number)

            server = await asyncio.start_server(serve, _address(number), 0, ssl=self._tls, backlog=1024)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        connection = self.connections
        try:
            while (request := await _read_request(reader, number, connection)) is not None:
                with self._changed:
                    self.received.append(request)
                    self._changed.notify_all()
                self.open[number] += 1
                self.most_open[number] = max(self.most_open[number], self.open[number])
                reply = self.answer(request)
                if reply.tunnel:
                    await _relay(reader, writer, reply.tunnel)
                    break
                try:
                    await self._reply(reply, writer)
                finally:
                    self.open[number] -= 1
                if reply.close or reply.raw is not None:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # the sender went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _reply(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.hang:
            await self._released.wait()
        if not reply.drip:
            writer.write(reply.message())
            await writer.drain()
            if reply.raw is not None:
                writer.close()
                await writer.wait_closed()
            return
        for byte in reply.message():
            await self._drip(writer, bytes([byte]), reply.drip_seconds)
        while True:
            await self._drip(writer, b"x", reply.drip_seconds)

    async def _drip(self, writer: asyncio.StreamWriter, piece: bytes, seconds: float) -> None:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(seconds)


def _address(number: int) -> str:
    return f"127.0.{number // 250}.{1 + number % 250}"


def tls_for(address: str, folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's TLS context for one IP address or host name, and the file of the authority to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a receiver of the tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([_subject(address)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file, key_file = folder / "receiver.pem", folder / "receiver.key"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    return context, str(ca_file)


def _subject(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(address))
    except ValueError:
        return x509.DNSName(address)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: tuple[str, int]) -> None:
    """Carry bytes both ways until either side ends."""

    async def carry(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        while piece := await source.read(65_536):
            drain.write(piece)
            await drain.drain()

    far_reader, far_writer = await asyncio.open_connection(*place)
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    ways = [asyncio.create_task(carry(reader, far_writer)), asyncio.create_task(carry(far_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        far_writer.transport.abort()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, number: int, connection: int) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, number, connection)
