"""A real OpenSSH server on loopback, with keys of its own, for whoever runs the tests; and a proxy that cuts its connections."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko

from tests.servers import answers, end, free_port, need, start, wait_for


class Sshd:
    """Lets the present user in by `private_key`, for SFTP alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user, self.port = folder, getpass.getuser(), free_port()
        for name, kind in (("host_ed25519", "ed25519"), ("host_rsa", "rsa"), ("user", "ed25519")):
            _keygen("-t", kind, "-f", str(folder / name))
        (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
        lines = (
            *(f"ListenAddress 127.0.0.1:{self.port}", f"HostKey {folder}/host_ed25519", f"HostKey {folder}/host_rsa"),
            *(f"AuthorizedKeysFile {folder}/authorized_keys", "StrictModes no", "UsePAM no", f"PidFile {folder}/pid"),
            *("PasswordAuthentication yes", "Subsystem sftp internal-sftp", "MaxAuthTries 20", "MaxStartups 100"),
        )
        (folder / "config").write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd as root insists on it
        command = [need("sshd", "openssh-server"), "-D", "-e", "-f", str(folder / "config")]
        with (folder / "log").open("ab") as log:
            self._process = start(command, log, ends_on=signal.SIGTERM)
        wait_for(self._process, lambda: answers(self.port), folder / "log")

    @property
    def url(self) -> str:
        return f"sftp://127.0.0.1:{self.port}"

    @property
    def private_key(self) -> str:
        return (self.folder / "user").read_text()

    @property
    def fingerprint(self) -> str:
        return _keygen("-l", "-f", str(self.folder / "host_ed25519.pub")).split()[1]

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {(self.folder / 'host_ed25519.pub').read_text()}"

    @property
    def rsa_known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {(self.folder / 'host_rsa.pub').read_text()}"

    @contextmanager
    def session(self) -> Iterator[paramiko.SFTPClient]:
        with paramiko.Transport(("127.0.0.1", self.port)) as transport:
            transport.connect(username=self.user, pkey=paramiko.Ed25519Key.from_private_key_file(str(self.folder / "user")))
            sftp = paramiko.SFTPClient.from_transport(transport)
            assert sftp is not None
            yield sftp

    @contextmanager
    def cutting(self) -> Iterator[CuttingProxy]:
        proxy = CuttingProxy(self.port)
        try:
            yield proxy
        finally:
            proxy.close()

    def stop(self) -> None:
        end(self._process, signal.SIGTERM)


class CuttingProxy:
    """Passes everything on from the client, and cuts both ways once the server has answered `cut_after` bytes: what was asked
    last has been done, and nobody hears of it."""

    def __init__(self, port: int) -> None:
        self.cut_after: int | None = None
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"sftp://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=_pass_on, args=(client, server, None), daemon=True).start()
                threading.Thread(target=_pass_on, args=(server, client, self.cut_after), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError), source, target:
        while piece := source.recv(65536):
            if limit is not None and passed + len(piece) > limit:
                break
            passed += len(piece)
            target.sendall(piece)
        for each in (source, target):
            each.shutdown(socket.SHUT_RDWR)


def _keygen(*arguments: str) -> str:
    more = [] if "-l" in arguments else ["-q", "-N", ""]
    done = subprocess.run([need("ssh-keygen", "openssh-client"), *more, *arguments], capture_output=True, text=True, check=True)
    return done.stdout
