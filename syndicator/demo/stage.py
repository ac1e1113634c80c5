"""The demo's stage: a fresh data folder, the service as a process of its own, and a partner's receiver on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from syndicator.config import Config, load_config

FOLDER = Path("var/demo")
PORT = 8080
PATIENCE_SECONDS = 30.0
START_SECONDS = 90.0  # a busy machine is slow to load what the first process needs


class StepFailed(Exception):
    """A step of the demo did not prove what it should."""


@dataclass
class Receiver:
    """A partner's endpoint: verifies what is pushed to it, echoes WebSub challenges, and keeps what came."""

    url: str
    secret: str = ""  # of the webhook, known once it is made
    websub_secret: str = "demo-websub-secret"  # noqa: S105
    webhooks: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    websubs: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    verified: queue.Queue[str] = field(default_factory=queue.Queue)

    def take_webhook(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            payload = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return 401
        self.webhooks.put({"payload": payload, "id": headers["webhook-id"], "at": monotonic()})
        return 204

    def take_websub(self, body: bytes, headers: dict[str, str]) -> int:
        method, _, signature = headers.get("x-hub-signature", "").partition("=")
        expected = hmac.new(self.websub_secret.encode(), body, hashlib.sha256).hexdigest()
        if method != "sha256" or not hmac.compare_digest(signature, expected):
            return 401
        self.websubs.put({"body": body, "headers": headers})
        return 204


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver on a port the system chooses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    partner = Receiver(url=f"http://127.0.0.1:{server.server_port}")
    server.partner = partner  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield partner
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        partner: Receiver = self.server.partner  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        take = partner.take_websub if self.path.startswith("/websub") else partner.take_webhook
        self._answer(take(body, headers), b"")

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.server.partner.verified.put(asked.get("hub.mode", [""])[0])  # type: ignore[attr-defined]
        self._answer(200, asked.get("hub.challenge", [""])[0].encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo prints what matters."""


@dataclass(frozen=True)
class Service:
    """The running service, asked over HTTP and the command line as anybody would."""

    config: Config
    config_path: Path

    @property
    def base(self) -> str:
        return self.config.site.base_url

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.base}{path}", headers=headers, timeout=PATIENCE_SECONDS, allow_redirects=False)

    def send(self, method: str, path: str, body: object, key: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.request(method, f"{self.base}{path}", json=body, headers=headers, timeout=PATIENCE_SECONDS)

    def command(self, *words: str) -> Any:
        """Run `syndicator --json WORDS…` and return what it printed, read as JSON if it is."""
        line = [sys.executable, "-m", "syndicator", "--config", str(self.config_path), "--json", *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=START_SECONDS, check=False)  # noqa: S603
        if done.returncode != 0:
            raise StepFailed(f"syndicator {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.strip()


@contextmanager
def service(base_folder: Path) -> Iterator[Service]:
    """Put up the service in a fresh folder and wait until it is ready; take it down at the end."""
    folder = base_folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    path = _write_config(folder, base_folder)
    running = Service(load_config(path), path)
    log = (folder / "serve.log").open("wb")
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "syndicator", "--config", str(path), "serve"],
        stdout=log,
        stderr=log,
        env=os.environ | {"SYNDICATOR_LOG__FORMAT": "text"},
    )
    try:
        _wait_until_ready(running, child, folder / "serve.log")
        yield running
    finally:
        child.terminate()
        try:
            child.wait(timeout=12)
        except subprocess.TimeoutExpired:
            child.kill()
        log.close()


def _write_config(folder: Path, base_folder: Path) -> Path:
    port = PORT if _free(PORT) else _any_free_port()
    path = folder / "config.toml"
    path.write_text(
        f"""# Settings of the demo.
[site]
base_url = "http://127.0.0.1:{port}"
data_dir = "data"
feeds_dir = "{base_folder / "feeds"}"

[server]
port = {port}
workers = 1

[outbound]
allow_networks = ["127.0.0.0/8"]  # the demo's partner is on this machine
""",
        encoding="utf-8",
    )
    return path


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(running: Service, child: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> bool:
        if child.poll() is not None:
            raise StepFailed(f"the service ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            return running.get("/readyz").status_code == 200
        except requests.ConnectionError:
            return False

    wait_until(ready, "the service to be ready", START_SECONDS)


def wait_until(condition: Any, what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Ask `condition` again and again until it says something true; returns that. Raises StepFailed when the time is over."""
    pause = queue.Queue[None]()
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        found = condition()
        if found:
            return found
        try:
            pause.get(timeout=0.05)
        except queue.Empty:
            continue
    raise StepFailed(f"waited {seconds:g} s in vain for {what}")


def take(box: queue.Queue[Any], what: str) -> Any:
    """Return the next thing that arrives. Raises StepFailed when nothing does."""
    try:
        return box.get(timeout=PATIENCE_SECONDS)
    except queue.Empty as error:
        raise StepFailed(f"waited {PATIENCE_SECONDS:g} s in vain for {what}") from error
