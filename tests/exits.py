"""Every way by which a story leaves, as text: what readers, partners and their machines would get just now.

A new exit belongs here; the promises in test_promises.py then hold for it too.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient
from lxml import etree

from syndicator.app import create_app, create_engine
from syndicator.documents import public_folder
from syndicator.domain.base import new_id
from syndicator.domain.stories import Story
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.hub import websub_key
from syndicator.operations.render_feeds import render_stale
from syndicator.web.byte_layer import ByteLayer
from tests.desk import Desk
from tests.receiver import Receiver
from tests.web.callers import key_of, token_of

ATOM = "{http://www.w3.org/2005/Atom}"
API_FORMATS = ("ninjs", "newsml", "html", "text", "jsonld", "jsonfeed")


class Exits:
    """A house with an approved publisher that takes stories in every way there is."""

    def __init__(self, desk: Desk, receiver: Receiver) -> None:
        self.house: House = desk.house
        app = create_app(desk.house.config, desk.house)
        app.wsgi_app = ByteLayer(app.wsgi_app, public_folder(desk.house.config.data_dir))  # type: ignore[method-assign]
        self.client: FlaskClient = app.test_client()
        self.engine = create_engine(desk.house)
        self.receiver = receiver
        publisher = desk.publisher()
        self.key = key_of(desk.house, publisher)
        _, self.token = token_of(desk.house, publisher)
        desk.subscription(publisher, endpoint=f"{receiver.url}/webhook")
        for fmt in ("rss", "atom", "json"):
            self._subscribe_websub(fmt)

    def pushed(self) -> dict[str, str]:
        """Send what is due; returns the newest body that came to each endpoint, {} when nothing came."""
        before = len(self.receiver.received)
        self.engine.drain_due()
        return {request.target: request.body.decode() for request in self.receiver.received[before:]}

    def served(self, story: Story) -> dict[str, str]:
        """Ask every address that could show `story`, as somebody who may have it."""
        render_stale(self.house)
        found = {f"/feeds/{feed}.{fmt}": "" for feed in ("latest", "headlines") for fmt in ("rss", "atom", "json")}
        found |= {f"/f/{self.token}/partners.{fmt}": "" for fmt in ("rss", "atom", "json")}
        found |= dict.fromkeys(("/", "/latest", "/news-sitemap.xml", "/v1/stories", "/v1/changes?limit=1000"), "")
        found |= {f"/stories/{story.public_id}{end}": "" for end in ("", "/copy/html", "/copy/text")}
        found |= {f"/v1/stories/{story.public_id}?format={name}": "" for name in API_FORMATS}
        found |= {f"/v1/stories/{story.public_id}/versions/1": ""}
        for path in found:
            headers = self.key if path.startswith("/v1/") else {}
            found[path] = self.client.get(path, headers=headers, follow_redirects=True).get_data(as_text=True)
        return found

    def representations(self, story: Story) -> dict[str, str]:
        """The texts that represent `story` itself, each cut out of what surrounds it."""
        served = self.served(story)
        cut: dict[str, str] = {}
        for path, text in served.items():
            if path.endswith(".json"):
                cut[path] = _one([item for item in json.loads(text)["items"] if item["id"] == story.uri])
            elif path.endswith((".rss", ".atom")):
                cut[path] = entry_text(text, story.uri)
            elif path == "/v1/stories":
                cut[path] = _one([item for item in json.loads(text)["stories"] if item["uri"] == story.uri])
            elif path.startswith(("/stories/", "/v1/stories/")):
                cut[path] = text
        return cut

    def _subscribe_websub(self, fmt: str) -> None:
        topic = f"{self.house.config.site.base_url}/feeds/latest.{fmt}"
        callback = f"{self.receiver.url}/websub-{fmt}"
        with self.house.sessions.begin() as session:
            session.add(
                Subscription(
                    public_id=new_id("sub_"),
                    feed="latest",
                    channel=ChannelKind.WEBSUB,
                    endpoint=callback,
                    options={"format": fmt},
                    state=SubscriptionState.ACTIVE,
                    topic=self.house.vault.lock(topic),
                    websub_key=websub_key(topic, callback),
                    created_at=self.house.clock(),
                )
            )


@contextmanager
def exits_of(desk: Desk) -> Iterator[Exits]:
    with Receiver() as receiver:
        exits = Exits(desk, receiver)
        try:
            yield exits
        finally:
            exits.engine.close()


def entry_text(document: str, uri: str) -> str:
    """Return the entry with the id `uri` of an RSS or Atom document, its own markup read once."""
    root: Any = etree.fromstring(document.encode())
    for entry in [*root.iter("item"), *root.iter(f"{ATOM}entry")]:
        if uri in {(entry.findtext("guid") or ""), (entry.findtext(f"{ATOM}id") or "")}:
            return "\n".join(entry.itertext())
    raise AssertionError(f"{uri} is not in the document")


def as_read(text: str) -> str:
    """What a person reads of a text: JSON decoded, markup gone, entities read, spaces folded."""
    if text.lstrip().startswith(("{", "[")):
        text = "\n".join(_strings(json.loads(text)))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


def _strings(values: Any) -> Iterator[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _strings(value)
    elif isinstance(values, list):
        for value in values:
            yield from _strings(value)


def _one(items: list[Any]) -> str:
    assert len(items) == 1
    return json.dumps(items[0], ensure_ascii=False)
