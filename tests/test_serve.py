"""The process tree: starts, restarts, drains, and leaves nothing behind, however it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from syndicator.config import Config, Database
from syndicator.documents import Document, public_folder, read_document, write_document
from syndicator.errors import ConfigError
from syndicator.house import open_house
from syndicator.process import Child
from syndicator.sending import create_engine
from syndicator.serve import free_port, parts
from tests.desk import Desk
from tests.receiver import Received, Receiver, Reply

POLITE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print({name!r}, flush=True); signal.pause()"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); [signal.pause() for _ in iter(int, 1)]"
PARENT = """
import json, sys
from syndicator import log, process
log.configure("json", "info")
process.GRACE_SECONDS, process.FIRST_PAUSE_SECONDS = float(sys.argv[2]), 0.01
sys.exit(process.supervise({name: [sys.executable, "-c", code] for name, code in json.loads(sys.argv[1]).items()}, {}))
"""


class Tree:
    """A supervisor in a process of its own; `said` are its log events, in order."""

    def __init__(self, children: dict[str, str], grace_seconds: float = 9.0) -> None:
        command = [sys.executable, "-c", PARENT, json.dumps(children), str(grace_seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[dict[str, object]] = []

    def wait_for(self, event: str, **facts: object) -> dict[str, object]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(json.loads(line))
            if self.said[-1]["event"] == event and facts.items() <= self.said[-1].items():
                return self.said[-1]
        raise AssertionError(self.said)

    def heard(self, lines: int) -> set[str]:
        """What the children print once they can be ended politely."""
        assert self.process.stdout is not None
        return {self.process.stdout.readline().strip() for _ in range(lines)}

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


@pytest.fixture
def trees() -> Iterator[list[Tree]]:
    made: list[Tree] = []
    yield made
    for tree in made:
        tree.process.kill()
        tree.process.communicate()


def polite(*names: str) -> dict[str, str]:
    return {name: POLITE.format(name=name) for name in names}


def alive(pid: int) -> bool:
    """Say whether `pid` runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_children_cleanly(trees: list[Tree], number: int) -> None:
    trees.append(tree := Tree(polite("web", "worker")))
    assert tree.heard(2) == {"web", "worker"}
    assert tree.end(number) == 0


def test_a_child_that_dies_is_started_again(trees: list[Tree]) -> None:
    trees.append(tree := Tree(polite("worker")))
    assert tree.heard(1) == {"worker"}
    first = tree.wait_for("process started", name="worker")
    os.kill(int(str(first["pid"])), signal.SIGKILL)
    assert tree.wait_for("process died", name="worker")["status"] == -signal.SIGKILL
    second = tree.wait_for("process started", name="worker")
    assert second["pid"] != first["pid"]
    assert tree.heard(1) == {"worker"}
    assert tree.end() == 0


def test_a_child_that_refuses_its_settings_ends_everything(trees: list[Tree]) -> None:
    trees.append(tree := Tree({**polite("web"), "worker": "raise SystemExit(2)"}))
    assert tree.process.wait(15) == 2
    tree.wait_for("process refused its settings", name="worker")


def test_a_child_that_will_not_end_is_killed_in_time(trees: list[Tree]) -> None:
    trees.append(tree := Tree({**polite("web"), "deaf": DEAF}, grace_seconds=0.3))
    assert tree.heard(2) == {"web", "deaf"}
    pid = int(str(tree.wait_for("process started", name="deaf")["pid"]))
    assert tree.end() == 1
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_no_child_outlives_a_killed_parent(trees: list[Tree]) -> None:
    trees.append(tree := Tree({**polite("web"), "deaf": DEAF}))
    assert tree.heard(2) == {"web", "deaf"}
    pids = [int(str(tree.wait_for("process started", name=name)["pid"])) for name in ("web", "deaf")]
    handles = [os.pidfd_open(pid) for pid in pids]
    tree.end(signal.SIGKILL)
    for handle in handles:
        assert select.select([handle], [], [], 10)[0]  # readable once the process is gone
        os.close(handle)


def test_a_child_that_dies_often_returns_later_each_time_and_a_steady_one_at_once() -> None:
    child = Child("worker", [sys.executable, "-c", "pass"])
    pauses = []
    for _ in range(9):
        child.start({}, now=0.0)
        assert child.process is not None
        child.process.wait()
        child.buried(now=1.0)
        pauses.append((child.starts_at or 0) - 1.0)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    child.start({}, now=0.0)
    assert child.process is not None
    child.process.wait()
    child.buried(now=1000.0)
    assert child.starts_at == 1000.5


def test_a_taken_port_is_said_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as another granian would hold it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"server\.port"):
            free_port("127.0.0.1", taken.getsockname()[1])
    assert free_port("127.0.0.1", 0) > 0


def test_the_service_has_as_many_sending_processes_as_the_settings_say() -> None:
    assert parts(Config()) == {"web": "web", "worker": "worker", "scheduler": "scheduler"}
    three = Config.model_validate({"push": {"workers": 3}})
    assert [name for name, part in parts(three).items() if part == "worker"] == ["worker", "worker-2", "worker-3"]


# --- The web workers, with the application


WEB = """
import sys
from pathlib import Path
from syndicator import log, serve
from syndicator.config import load_config
config = load_config(Path(sys.argv[1]))
log.configure("json", "info")
sys.exit(serve.run_web(Path(sys.argv[1]), config))
"""


class Web(NamedTuple):
    """Two web workers: their parent, and where they listen."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture
def web(config: Config, sqlite_url: str, tmp_path: Path) -> Iterator[Web]:
    """Web workers on a fresh database."""
    file = tmp_path / "config.toml"
    site = f'base_url = "http://127.0.0.1"\ndata_dir = "var"\nfeeds_dir = "{config.site.feeds_dir}"'
    file.write_text(f'[site]\n{site}\n[server]\nport = 0\nworkers = 2\n[database]\nurl = "{sqlite_url}"\n')
    process = subprocess.Popen([sys.executable, "-c", WEB, str(file)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = ""
    while not url:
        line = json.loads(process.stderr.readline())
        url = line.get("url", "") if line["event"] == "listening" else ""
    for _ in range(500):
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=10).close()
            break
        except (ConnectionError, urllib.error.URLError):
            wait_briefly(process)
    yield Web(process, url)
    process.kill()
    process.communicate()


def wait_briefly(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(process.communicate())


def ask(url: str, method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/feeds/latest.rss", headers={name.replace("_", "-"): value for name, value in fields.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_a_poll_over_the_real_server_gets_the_bytes_of_the_document(web: Web, tmp_path: Path) -> None:
    folder = public_folder(tmp_path / "var")
    document = Document("application/rss+xml", b"<rss/>" * 500, (), datetime(2026, 1, 1, tzinfo=UTC), 60, False, False)
    write_document(folder, "latest.rss", document)
    stored = read_document(folder / "latest.rss")
    for coding, body in stored.bodies.items():
        status, headers, got = ask(web.url, Accept_Encoding=coding)
        assert (status, got, headers["etag"]) == (200, body, stored.etags[coding])
        status, head, got = ask(web.url, "HEAD", Accept_Encoding=coding)
        assert (status, got, head["content-length"]) == (200, b"", str(len(body)))
        assert {**head, "date": ""} == {**headers, "date": ""}
        status, headers, got = ask(web.url, Accept_Encoding=coding, If_None_Match=f'"x", {stored.etags[coding]}')
        assert (status, got, headers["etag"]) == (304, b"", stored.etags[coding])
        assert "content-length" not in headers
        assert {"date", "vary", "cache-control"} <= set(headers)


def test_every_web_process_shows_a_story_before_its_first_push_leaves(web: Web, config: Config, sqlite_url: str) -> None:
    house = open_house(config.model_copy(update={"database": Database(url=sqlite_url)}))
    desk, engine = Desk(house), create_engine(house)
    engine.drain_due()
    shown: list[bool] = []

    def look(request: Received) -> Reply:
        shown.extend(b"river gauges" in ask(web.url)[2].lower() for _ in range(20))  # each connection comes to either process
        return Reply()

    with Receiver(look) as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        assert not any(b"river gauges" in ask(web.url)[2].lower() for _ in range(20))
        desk.publish()
        engine.drain_due()
    assert shown == [True] * 20
    engine.close()


def test_a_thousand_slow_headers_and_bodies_do_not_hold_up_polls_or_pages(web: Web, tmp_path: Path) -> None:
    document = Document("application/rss+xml", b"<rss/>", (), datetime(2026, 1, 1, tzinfo=UTC), 60, False, False)
    write_document(public_folder(tmp_path / "var"), "latest.rss", document)
    host, _, port = web.url.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        for number in range(2000):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            slow.sendall(b"POST /hub HTTP/1.1\r\nHost: x\r\n" + (b"X-" if number % 2 else b"Content-Length: 99\r\n\r\nhub"))
        took = []
        for _ in range(80):
            began = time.monotonic()
            assert ask(web.url)[0] == 200
            with urllib.request.urlopen(f"{web.url}/license", timeout=10) as page:
                assert page.status == 200
            took.append(time.monotonic() - began)
        print(f"slowest of 80 polls and pages: {max(took):.3f} s")


def test_web_workers_answer_and_end_within_ten_seconds(web: Web) -> None:
    process, url = web
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        assert answer.status == 200
    process.terminate()
    assert process.wait(10) == 0


def test_web_workers_do_not_outlive_a_killed_parent(web: Web) -> None:
    process, _ = web
    process.kill()
    assert process.stderr is not None
    process.stderr.read()  # the workers hold its other end, so this returns when they are gone
