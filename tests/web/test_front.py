"""The front of a web process, over the real server: what goes in and out on the wire, and what happens to work under way."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import answers, end, free_port, start, wait_for

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from syndicator.web.front import Front

MOST = 10_000
SERVER = """
import sys
from syndicator.serve import web_server
web_server("tests.web.test_front:front", "127.0.0.1", int(sys.argv[1]), 1).serve()
"""


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tell what was asked; or what the path says."""
    path = environ["PATH_INFO"]
    if path == "/broken":
        raise RuntimeError("a bug")
    if path == "/slow":
        folder().joinpath("begun").write_text("opened only when somebody reads it")
        folder().joinpath("end").read_text()
    if path in {"/short-stream", "/long-stream", "/stream-that-breaks"}:
        return pieces(path, start_response)
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps(told | {"body": environ["wsgi.input"].read().decode("latin-1")}).encode()
    start_response("201 Created", [("Content-Length", str(len(body))), ("X-Two", "a"), ("X-Two", "b")])
    return [body]


def folder() -> Path:
    """Where the test and the server that it started meet."""
    return Path(os.environ["TEST_FOLDER"])


def pieces(path: str, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begin"
    if path == "/stream-that-breaks":
        raise RuntimeError("a bug")
    yield from [b"x" * 1000] * (3000 if path == "/long-stream" else 1)
    yield b"end"


def __getattr__(name: str) -> Front:
    """The application that the server's worker asks this module for."""
    if name != "front":
        raise AttributeError(name)
    from syndicator.web.byte_layer import ByteLayer
    from syndicator.web.front import Front
    from syndicator.web.load import Room
    from syndicator.web.reception import Reception

    layer = ByteLayer(folder() / "public")
    return Front(application, layer, Room(running=1, waiting=0, seconds=0.1), Reception(MOST), trusted_proxies=1)


class Server:
    """The front in one web process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        for name in ("begun", "end"):
            os.mkfifo(folder / name)
        log = folder / "log"
        command = [sys.executable, "-c", SERVER, str(self.port)]
        with log.open("wb") as words:
            self.process = start(command, words, signal.SIGTERM, os.environ | {"TEST_FOLDER": str(folder)})
        wait_for(self.process, lambda: answers(self.port), log)

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def told(self, raw: bytes) -> dict[str, str]:
        """Send `raw`, which asks for the connection to be closed, and return what the application was told."""
        head, _, body = self.sent(raw).partition(b"\r\n\r\n")
        assert head[8:12] == b" 201", head
        found: dict[str, str] = json.loads(body)
        return found

    def sent(self, raw: bytes, *, half: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(raw)
            if half:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("front"))
    yield started
    end(started.process, signal.SIGTERM)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path)
    yield started
    end(started.process, signal.SIGTERM)


def test_the_application_is_asked_in_the_words_of_wsgi(server: Server) -> None:
    told = server.told(
        b"POST /a%20b/%C3%A4?x=1&y=%20 HTTP/1.1\r\nHost: example.org:81\r\nContent-Type: text/x\r\nContent-Length: 5\r\n"
        b"X-Twice: 1\r\nX-Twice: 2\r\nCookie: a=1\r\nCookie: b=2\r\n"
        b"X_Forwarded_For: 203.0.113.9\r\nConnection: close\r\n\r\nhello"
    )
    assert told.pop("SERVER_PORT") == str(server.port)
    assert told == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa4",
        "QUERY_STRING": "x=1&y=%20",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "5",
        "HTTP_HOST": "example.org:81",
        "HTTP_X_TWICE": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_CONNECTION": "close",
        "wsgi.url_scheme": "http",
        "body": "hello",
    }


def test_odd_requests_are_asked_or_refused_and_never_a_fault(server: Server) -> None:
    assert server.told("GET /ä?q=€ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())["QUERY_STRING"] == "q=\xe2\x82\xac"
    assert server.told(b"GET /%ff%00 HTTP/1.0\r\nConnection: close\r\n\r\n")["HTTP_HOST"] == ""
    for length in (b"5, 5", b"5\r\nContent-Length: 5", b"+5", b"5.0", b"9" * 30, b"5\r\nTransfer-Encoding: chunked", b"\xb2"):
        raw = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %b\r\n\r\nhello" % length
        assert server.sent(raw)[:12] in {b"HTTP/1.1 201", b"HTTP/1.1 400"}, raw


def test_a_body_in_chunks_comes_with_its_length(server: Server) -> None:
    told = server.told(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    assert (told["body"], told["CONTENT_LENGTH"]) == ("hello", "5")
    assert "HTTP_TRANSFER_ENCODING" not in told


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    ],
)
def test_a_sender_that_breaks_off_is_not_believed(server: Server, raw: bytes) -> None:
    assert b"201 Created" not in server.sent(raw, half=True)


def test_too_long_bodies_are_left_to_the_application_by_their_length(server: Server) -> None:
    told = server.told(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\nConnection: close\r\n\r\n")
    assert (told["CONTENT_LENGTH"], told["body"]) == ("10001", "")
    told = json.loads(server.ask("/", "POST", iter([b"x" * 9000] * 3))[1])
    assert int(told["CONTENT_LENGTH"]) > MOST


def test_a_field_that_is_not_plain_text_is_there_and_empty(server: Server) -> None:
    told = server.told(b"GET / HTTP/1.1\r\nHost: x\r\nIf-Match: \xff\r\nConnection: close\r\n\r\n")
    assert told["HTTP_IF_MATCH"] == ""


def test_who_hides_where_it_comes_from_is_not_taken_for_our_proxy(server: Server) -> None:
    for line, status in ((b"\xff, 203.0.113.9", b"400"), (b"203.0.113.9", b"201"), (b"", b"400")):
        raw = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: %b\r\n\r\n" % line
        assert server.sent(raw)[9:12] == status


def test_answers_come_out_as_they_were_made(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers.get_all("X-Two")) == (201, ["a", "b"])
        assert json.loads(answer.read())["PATH_INFO"] == "/"
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"")
        assert int(answer.headers["Content-Length"]) > 100
        connection.request("GET", "/long-stream")
        answer = connection.getresponse()
        whole = b"begin" + b"x" * 3_000_000 + b"end"
        assert (answer.headers["Content-Length"], answer.read()) == (str(len(whole)), whole)
    assert server.ask("/short-stream") == (200, b"begin" + b"x" * 1000 + b"end")


def test_a_fault_is_an_error_and_never_half_an_answer(server: Server) -> None:
    for path in ("/broken", "/stream-that-breaks"):
        status, body = server.ask(path)
        assert (status, json.loads(body)["status"]) == (500, 500)
    assert server.ask("/")[0] == 201


def test_work_under_way_is_finished_before_the_process_ends_and_who_watches_is_answered_meanwhile(own_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", own_server.port), timeout=20) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        own_server.folder.joinpath("begun").read_text()
        assert own_server.ask("/healthz")[0] == 201
        refused = own_server.sent(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").lower().split(b"\r\n")
        assert refused[0] == b"http/1.1 503 service unavailable"
        assert {b"retry-after: 5", b"cache-control: no-store"} <= set(refused)
        own_server.process.terminate()
        own_server.folder.joinpath("end").write_text("now")
        assert b"HTTP/1.1 201" in b"".join(iter(lambda: connection.recv(65_536), b""))
    assert own_server.process.wait(10) == 0
