"""An SFTP server of another make (asyncssh) on loopback, which lets one user in by password; OpenSSH would ask the machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncssh

USER, PASSWORD = "courier", "correct horse battery staple"


class _Accounts(asyncssh.SSHServer):
    """`connections` gathers those that were made, so that none outlives its server."""

    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


@dataclass(frozen=True)
class PasswordServer:
    url: str
    fingerprint: str


@contextmanager
def password_server(folder: Path) -> Iterator[PasswordServer]:
    """Run the server; `folder` is all that is seen of the disk."""
    key, loop = asyncssh.generate_private_key("ssh-ed25519"), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connections: list[asyncssh.SSHServerConnection] = []

    async def listen() -> asyncssh.SSHAcceptor:
        rooted, accounts = partial(asyncssh.SFTPServer, chroot=str(folder).encode()), partial(_Accounts, connections)
        return await asyncssh.create_server(accounts, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=rooted)

    async def end(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        await server.wait_closed()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    try:
        yield PasswordServer(f"sftp://127.0.0.1:{server.get_port()}", key.get_fingerprint())
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
