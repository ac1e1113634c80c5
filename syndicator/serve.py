"""`syndicator serve` and `syndicator web`: one process tree of web workers, sender and timetable; granian and its limits.

The sender and the timetable are processes of their own: threads of theirs inside a web process would slow every poll.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from syndicator.config import Config
from syndicator.errors import ConfigError
from syndicator.house import open_house
from syndicator.process import WEB_PARENT, supervise

log = logging.getLogger(__name__)

TARGET = "syndicator.web.rsgi:application"
BACKLOG = 4096
CONNECTIONS = 8192  # per worker: idle and slow ones cost a descriptor and a buffer, no thread
HEADER_TIMEOUT_MS = 10_000  # for a whole request header, and for a kept connection that stays silent
HEADER_BYTES = 65_536
WORKER_GRACE_SECONDS = 6  # for answers under way; within serve's own grace


def serve(config_path: Path | None, config: Config) -> int:
    """Run everything until SIGTERM or SIGINT; returns the exit status. The children read their settings for themselves."""
    log.info("serving url=%s data_dir=%s", config.site.base_url, config.data_dir)
    commands = {name: (sys.executable, "-m", "syndicator", part) for name, part in parts(config).items()}
    return supervise(commands, {**os.environ, **_config_variable(config_path)})


def parts(config: Config) -> dict[str, str]:
    """Return the commands that make up the service, by what their processes are called."""
    more_workers = {f"worker-{number}": "worker" for number in range(2, config.push.workers + 1)}
    return {"web": "web", "worker": "worker", **more_workers, "scheduler": "scheduler"}


def run_web(config_path: Path | None, config: Config) -> int:
    """Run the web workers until SIGTERM or SIGINT; returns the exit status. Wrong settings raise ConfigError here, once."""
    import syndicator.app  # noqa: F401  # the workers share what is loaded before they are forked

    open_house(config).engine.dispose()
    os.environ.update(_config_variable(config_path))
    os.environ[WEB_PARENT] = str(os.getpid())
    host, port = config.server.host, free_port(config.server.host, config.server.port)
    place = f"[{host}]" if ":" in host else host
    log.info("listening url=%s workers=%s", f"http://{place}:{port}", config.server.workers)
    try:
        web_server(TARGET, host, port, config.server.workers).serve()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def web_server(target: str, host: str, port: int, workers: int) -> MPServer:
    """Return granian over the RSGI application `target`, with every limit that it has said aloud.

    HTTP/1 only: behind a proxy or a CDN nothing else is spoken, and HTTP/2 without TLS is a door nobody uses.
    """
    _raise_descriptor_limit()
    return MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=workers,
        runtime_mode=RuntimeModes.st,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_GRACE_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig={"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}},  # leaves ours in place
    )


def free_port(host: str, port: int) -> int:
    """Return `port`, or for 0 one that is free; raises ConfigError when it is taken.

    granian shares its port between processes, and so would silently share it with a server that already runs.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"server.host, server.port: cannot listen on {host} port {port}: {error}") from error
        return int(probe.getsockname()[1])


def _config_variable(config_path: Path | None) -> dict[str, str]:
    return {"SYNDICATOR_CONFIG": str(config_path.resolve())} if config_path else {}


def _raise_descriptor_limit() -> None:
    """Allow as many open connections as the system lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
