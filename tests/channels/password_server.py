"""An SFTP server of another make (asyncssh) on loopback, which lets one user in by password; OpenSSH would ask the machine."""

from __future__ import annotations

import asyncio
import errno
import sys
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


class _Disk(asyncssh.SFTPServer):
    """Has `room` bytes for each file."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], *, chroot: bytes, room: int) -> None:
        super().__init__(channel, chroot)
        self._room = room

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if offset + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(file_obj, offset, data)  # type: ignore[return-value]


@dataclass(frozen=True)
class PasswordServer:
    url: str
    fingerprint: str


@contextmanager
def password_server(folder: Path, room: int = sys.maxsize) -> Iterator[PasswordServer]:
    """Run the server; `folder` is all that is seen of the disk, which takes `room` bytes a file."""
    key, loop = asyncssh.generate_private_key("ssh-ed25519"), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connections: list[asyncssh.SSHServerConnection] = []

    async def listen() -> asyncssh.SSHAcceptor:
        rooted, accounts = partial(_Disk, chroot=str(folder).encode(), room=room), partial(_Accounts, connections)
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
