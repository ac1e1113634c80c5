"""A WebSub subscriber: a real server on loopback that confirms and takes what it is told to, and the form it sends to the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from syndicator.sending import create_engine
from tests.desk import Desk
from tests.receiver import Received, Receiver, Reply


def hub_form(desk: Desk, callback_url: str, **changes: str) -> dict[str, str]:
    topic = f"{desk.house.config.site.base_url}/feeds/latest.atom"
    return {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": callback_url} | {
        f"hub.{name}": value for name, value in changes.items()
    }


def echo(request: Received) -> Reply:
    return Reply(body=query_of(request).get("hub.challenge", [""])[0].encode())


def query_of(request: Received) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.target).query, keep_blank_values=True)


class HubReader:
    """`confirms` answers the hub's questions and `takes` its deliveries."""

    def __init__(self, desk: Desk, client: FlaskClient) -> None:
        self.confirms: Callable[[Received], Reply] = echo
        self.takes: Callable[[Received], Reply] = lambda request: Reply()
        self.server = Receiver(lambda request: self.confirms(request) if request.method == "GET" else self.takes(request))
        self.callback = f"{self.server.url}/cb"
        self._desk, self._client = desk, client
        self._engine = create_engine(desk.house)

    def ask(self, **changes: str) -> TestResponse:
        """Send a request to the hub, a subscription to the newest stories unless told otherwise."""
        return self._client.post("/hub", data=hub_form(self._desk, self.callback, **changes))

    def subscribe(self, **changes: str) -> None:
        """Subscribe, confirmed."""
        assert self.ask(**changes).status_code == 202
        self.work()

    def work(self) -> None:
        """Let the hub do all that is due."""
        self._engine.drain_due()

    @property
    def asked(self) -> list[Received]:
        return [request for request in self.server.received if request.method == "GET"]

    @property
    def pushed(self) -> list[Received]:
        return [request for request in self.server.received if request.method == "POST"]

    def close(self) -> None:
        self._engine.close()
        self.server.close()


@contextmanager
def a_reader(desk: Desk, client: FlaskClient) -> Iterator[HubReader]:
    made = HubReader(desk, client)
    try:
        yield made
    finally:
        made.close()
