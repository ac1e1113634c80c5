"""Real servers for tests: PostgreSQL, Redis and RabbitMQ, each in a folder of its own, on a socket or port that nobody else has.

They end with the process that started them, however that ends (parent-death signal). A missing program is a failure that says
what to install, never a skip.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import pytest

START_SECONDS = 60  # RabbitMQ on a busy machine takes half of it


def free_port() -> int:
    """Return a loopback port that was free a moment ago. Where a server can bind to port 0 by itself, let it.

    No outgoing connection is given it while its server is down for a moment: ip_local_port_range of Linux begins at 32,768.
    """
    with socket.socket() as probe:
        while True:
            with suppress(OSError):
                port = 10_000 + secrets.randbelow(22_768)
                probe.bind(("127.0.0.1", port))
                return port


def need(program: str, package: str, *folders: str) -> str:
    """Return the path of `program`, looked for in PATH and `folders`; fails the test with what to install."""
    found = shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        pytest.fail(f"these tests need {program}: apt-get install {package} (`make test` does so as root)", pytrace=False)
    return found


def postgres_folders() -> list[str]:
    """Where Debian keeps the server's programs, newest release first; they are not in PATH there."""
    bins = Path("/usr/lib/postgresql").glob("*/bin")
    return [str(folder) for folder in sorted(bins, key=lambda folder: float(folder.parent.name), reverse=True)]


class Postgres:
    """One cluster without durability, reached by a Unix socket; as root it runs as the user `postgres`, which it insists on.

    One that `outlives_crashes` keeps what was committed when it is killed, though not when the power is cut.
    """

    def __init__(self, *, outlives_crashes: bool = False) -> None:
        self._commits = "on" if outlives_crashes else "off"
        self.folder = Path(tempfile.mkdtemp(prefix="syndicator-pg-", dir="/tmp"))  # short: a socket's path is limited
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._data = self.folder / "data"
        initdb = need("initdb", "postgresql", *postgres_folders())
        options = ["--username=syndicator", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run([*self._as_owner(), initdb, *options, "-D", self._data], capture_output=True, check=False)
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.decode()}")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server and return when it answers."""
        commits = f"synchronous_commit={self._commits}"
        settings = ["fsync=off", commits, "full_page_writes=off", "listen_addresses=", "max_connections=200"]
        options = [part for setting in settings for part in ("-c", setting)]
        program = need("postgres", "postgresql", *postgres_folders())
        command = [*self._as_owner(), program, "-D", str(self._data), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = start(command, log, ends_on=signal.SIGINT)
        ready = [need("pg_isready", "postgresql", *postgres_folders()), "-q", "-h", str(self.folder), "-U", "syndicator"]
        wait_for(self._process, lambda: subprocess.run(ready, check=False).returncode == 0, self.folder / "log")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://syndicator@/{database}?host={self.folder}"

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """End the server as an operator would, clients cut off; `start` brings it back with its databases.

        By SIGQUIT it ends at once, as in a crash, and has to recover when it starts.
        """
        if self._process is not None:
            end(self._process, with_signal)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_owner(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return [need("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--init-groups"]


class Broker(Protocol):
    """A Celery broker on loopback."""

    @property
    def url(self) -> str: ...

    def restart(self) -> None:
        """Kill it with all that it holds, and start an empty one at the same place."""

    def remove(self) -> None: ...


class Redis:
    """One Redis that keeps nothing, on a loopback port."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="syndicator-redis-", dir="/tmp"))
        self.port = free_port()
        self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def restart(self) -> None:
        self._process.kill()
        self._process.wait()
        self._start()

    def _start(self) -> None:
        program = need("redis-server", "redis-server")
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = start([program, *options], log, ends_on=signal.SIGTERM)
        wait_for(self._process, lambda: answers(self.port), self.folder / "log")

    def remove(self) -> None:
        end(self._process, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)


class RabbitMQ:
    """One RabbitMQ node without plugins, and the port mapper that Erlang wants, on loopback ports. It takes seconds to start."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="syndicator-rabbitmq-", dir="/tmp"))
        self.port, mapper_port, between_nodes_port = free_port(), free_port(), free_port()
        self._environment = {
            **os.environ,
            "HOME": str(self.folder),  # for the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper_port),
            "RUNNING_UNDER_SYSTEMD": "true",  # so that its shell becomes the server, which can be killed
            "RABBITMQ_NODENAME": f"syndicator-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(between_nodes_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
        }
        self._mapper = self._run([need("epmd", "rabbitmq-server"), "-port", str(mapper_port)])
        wait_for(self._mapper, lambda: answers(mapper_port), self.folder / "log")
        self._start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def restart(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder / "data")
        self._start()

    def remove(self) -> None:
        for process in (self._process, self._mapper):
            end(process, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        # Debian's wrapper in PATH writes into its own folders
        self._process = self._run([need("rabbitmq-server", "rabbitmq-server", "/usr/lib/rabbitmq/bin")])
        wait_for(self._process, lambda: answers(self.port), self.folder / "log")

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return start(command, log, ends_on=signal.SIGTERM, environment=self._environment)


BROKERS: dict[str, type[Redis | RabbitMQ]] = {"redis": Redis, "rabbitmq": RabbitMQ}


def start(
    command: list[str], log: IO[bytes], ends_on: signal.Signals, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server that gets the signal `ends_on` when this process dies, so that a killed test run leaves nothing behind."""
    guard = [need("setpriv", "util-linux"), f"--pdeathsig={ends_on.name.removeprefix('SIG')}"]
    own = command if command[0] != guard[0] else command[1:]  # one setpriv does both; it sets the signal last
    return subprocess.Popen([*guard, *own], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def end(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    process.send_signal(with_signal)
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Say whether something on loopback `port` takes a connection."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Return once `ready()`; raises RuntimeError with the server's own words if it ends or takes too long."""
    limit = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)  # a process outside tells nobody when it is ready
