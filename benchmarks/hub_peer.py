"""A hub built as flask-websub is: subscriptions in SQLite, a Celery task on Redis for each callback, `requests` in each task.

`python -m benchmarks.hub_peer DATABASE BROKER` is its worker, a process a core. Measures nothing. (flask-websub itself is
published as source only, which a hashed lock cannot install without fetching more than it names.)
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import sqlite3
import sys
from typing import Any

import requests
from celery import Celery

REQUEST_SECONDS = 3


class Peer:
    """The hub with its subscriptions in the file `database` and its tasks at `broker`."""

    def __init__(self, database: str, broker: str) -> None:
        self._database = database
        self.celery: Any = Celery("peer", broker=broker)
        self.celery.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)

        @self.celery.task(name="deliver")  # type: ignore[untyped-decorator]
        def deliver(callback: str, headers: dict[str, str], body: str) -> None:
            answer = requests.request("POST", callback, headers=headers, data=base64.b64decode(body), timeout=REQUEST_SECONDS)
            answer.raise_for_status()

        self._deliver: Any = deliver

    def subscribe(self, topic: str, callbacks: list[str], secret: str) -> None:
        with contextlib.closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute("CREATE TABLE hub (topic TEXT, callback TEXT, secret TEXT, PRIMARY KEY (topic, callback))")
            connection.executemany("INSERT INTO hub VALUES (?, ?, ?)", [(topic, callback, secret) for callback in callbacks])

    def tell(self, topic: str, body: bytes, media_type: str) -> None:
        """Have the change delivered to all who subscribed."""
        links = f'<https://hub.example/>; rel="hub", <{topic}>; rel="self"'
        encoded = base64.b64encode(body).decode()
        with contextlib.closing(sqlite3.connect(self._database)) as connection:
            for callback, secret in connection.execute("SELECT callback, secret FROM hub WHERE topic = ?", [topic]):
                signature = hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()
                headers = {"Content-Type": media_type, "Link": links, "X-Hub-Signature": f"sha512={signature}"}
                self._deliver.delay(callback, headers, encoded)


if __name__ == "__main__":
    Peer(*sys.argv[1:]).celery.worker_main(["worker", "--loglevel=error", "--without-gossip", "--without-mingle"])
