"""A receiver for benchmarks, in a process of its own: every address of 127.0.0.0/8 is another host of it.

`python -m benchmarks.receivers [FOLDER]` prints its ports; a line `expect N` on standard input makes it print, once N more POSTs
have come, the monotonic seconds at which the first and the last of them did. What is posted to /hang is never answered.

With FOLDER it speaks TLS, with a certificate for each HOSTS_A_PORT hosts, a port for each certificate, and `authority.pem` there
to be trusted.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import IO, cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
HOSTS_A_PORT = 50  # with TLS: a certificate for all hosts would be as long as a story
MOST_HOSTS = 2000


class Sink:
    """The other end of `running_receivers`."""

    def __init__(self, process: subprocess.Popen[str], scheme: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout
        self._scheme = scheme
        self._ports = [int(port) for port in self._out.readline().split()]

    def urls(self, count: int) -> list[str]:
        """Return the addresses of so many hosts, at most MOST_HOSTS, a path each."""
        ports = [self._ports[number // HOSTS_A_PORT % len(self._ports)] for number in range(count)]
        return [f"{self._scheme}://{host(number)}:{port}/{number}" for number, port in enumerate(ports)]

    def expect(self, count: int) -> None:
        self._in.write(f"expect {count}\n")
        self._in.flush()
        self._out.readline()

    def times(self) -> tuple[float, float]:
        """Wait for what is expected; returns when the first and the last came."""
        first, last = self._out.readline().split()
        return float(first), float(last)


def host(number: int) -> str:
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


@contextmanager
def running_receivers(tls_folder: Path | None = None) -> Iterator[Sink]:
    command = [sys.executable, "-m", "benchmarks.receivers", *([str(tls_folder)] if tls_folder else [])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Sink(process, "https" if tls_folder else "http")
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
        self._transport = cast("asyncio.WriteTransport", transport)

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


async def _serve(contexts: list[ssl.SSLContext | None]) -> None:
    counter, loop = _Counter(), asyncio.get_running_loop()
    servers = [  # each on every 127.x.y.z
        await loop.create_server(lambda: _Connection(counter), "0.0.0.0", 0, backlog=4096, ssl=context) for context in contexts
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        counter.expect(int(line.split()[1]))


def _certified(folder: Path) -> list[ssl.SSLContext | None]:
    """Make an authority, and by it a certificate for each HOSTS_A_PORT hosts."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _named("benchmark")
    ca = x509.BasicConstraints(ca=True, path_length=0)
    authority = _certificate(name, key).add_extension(ca, critical=True).sign(key, hashes.SHA256())
    pem = authority.public_bytes(serialization.Encoding.PEM)
    contexts: list[ssl.SSLContext | None] = []
    for first in range(0, MOST_HOSTS, HOSTS_A_PORT):
        own = ec.generate_private_key(ec.SECP256R1())
        hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host(first + more))) for more in range(HOSTS_A_PORT)])
        made = _certificate(name, own, _named(str(first))).add_extension(hosts, critical=False).sign(key, hashes.SHA256())
        file = folder / f"{first}.pem"
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(own.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        contexts.append(context)
    (folder / "authority.pem").write_bytes(pem)
    return contexts


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(issuer: x509.Name, key: ec.EllipticCurvePrivateKey, subject: x509.Name | None = None) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    days = (now - timedelta(days=1), now + timedelta(days=1))
    return x509.CertificateBuilder(issuer, subject or issuer, key.public_key(), x509.random_serial_number(), *days)


if __name__ == "__main__":
    uvloop.run(_serve(_certified(Path(sys.argv[1])) if sys.argv[1:] else [None]))
