"""Few threads serve many, since no slow client holds one for long."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.test import Client, create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

from syndicator.web.slow_clients import SlowClientGuard

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return Response(Request(environ).get_data())(environ, start_response)


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"one"
    yield b"two"


class Hanging:
    """A body that does not come."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def read(self, _size: int) -> bytes:
        self.asked.set()
        self.go_on.wait()
        return b"late"


def guard(app: Any = echo, slots: int = 1) -> SlowClientGuard:
    return SlowClientGuard(app, slots=slots, max_body_bytes=100)


def send_chunked(door: SlowClientGuard, stream: Any) -> tuple[str, bytes]:
    """Send a body that does not say its length, as granian hands it over."""
    environ = create_environ(method="POST") | {
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.input": stream,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
    }
    parts, status, _ = run_wsgi_app(door, environ)
    return status, b"".join(parts)


def test_the_application_gets_the_body_whole() -> None:
    assert Client(guard()).post("/", data=b"hello").data == b"hello"
    assert Client(guard()).get("/").data == b""


def test_a_body_in_chunks_is_received_with_its_length() -> None:
    assert send_chunked(guard(), BytesIO(b"hello")) == ("200 OK", b"hello")


def test_a_body_that_is_too_long_is_not_received_but_left_to_the_application() -> None:
    lengths: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        lengths.append(environ["CONTENT_LENGTH"])
        return Response("too long", 413)(environ, start_response)

    assert Client(guard(app)).post("/", data=b"x" * 101).status_code == 413
    assert send_chunked(guard(app), BytesIO(b"x" * 500))[0].startswith("413")
    assert lengths == ["101", "101"]


def test_with_all_slots_taken_bodies_are_refused_and_pollers_are_served() -> None:
    door, body = guard(), Hanging()
    slow = threading.Thread(target=send_chunked, args=(door, body))
    slow.start()
    assert body.asked.wait(10)
    refused = Client(door).post("/", data=b"x", environ_overrides={"REMOTE_ADDR": "192.0.2.2"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert Client(door).get("/").status_code == 200
    body.go_on.set()
    slow.join()
    assert Client(door).post("/", data=b"x").status_code == 200


def test_one_address_takes_half_of_the_slots_however_slow_it_is() -> None:
    door, bodies = guard(slots=4), [Hanging() for _ in range(2)]
    slow = [threading.Thread(target=send_chunked, args=(door, body)) for body in bodies]
    for thread, body in zip(slow, bodies, strict=True):
        thread.start()
        assert body.asked.wait(10)
    for address, status in (("192.0.2.1", 503), ("192.0.2.2", 200), ("192.0.2.3", 200)):
        sent = Client(door).post("/", data=b"x", environ_overrides={"REMOTE_ADDR": address})
        assert sent.status_code == status
    for thread, body in zip(slow, bodies, strict=True):
        body.go_on.set()
        thread.join()
    assert Client(door).post("/", data=b"x", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200


def test_an_answer_of_known_length_is_one_list_and_a_stream_stays_one() -> None:
    environ = {"REQUEST_METHOD": "GET"}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        return None

    assert isinstance(guard()(environ | {"wsgi.input": BytesIO()}, start_response), list)
    assert not isinstance(guard(stream)(environ, start_response), list)
