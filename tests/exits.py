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

from syndicator.app import create_app
from syndicator.documents import public_folder
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.hub import websub_key
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.subscriptions import subscribe
from syndicator.outbound import open_outbound
from syndicator.sending import create_engine
from syndicator.web.byte_layer import ByteLayer
from tests.channels.sshd import Sshd
from tests.channels.wordpress_target import PASSWORD, WordPressTarget
from tests.desk import Desk
from tests.mailbox import read_message
from tests.polled import polled
from tests.receiver import Receiver
from tests.web.callers import key_of, token_of

ATOM = "{http://www.w3.org/2005/Atom}"
API_FORMATS = ("ninjs", "newsml", "html", "text", "jsonld", "jsonfeed")


class Exits:
    """A house with an approved publisher that takes stories in every way there is."""

    def __init__(self, desk: Desk, receiver: Receiver, wordpress: WordPressTarget, sshd: Sshd) -> None:
        self.house: House = desk.house
        app = create_app(desk.house.config, desk.house)
        app.wsgi_app = polled(ByteLayer(public_folder(desk.house.config.data_dir)), app.wsgi_app)  # type: ignore[assignment, method-assign]
        self.client: FlaskClient = app.test_client()
        self.engine = create_engine(desk.house)
        self.receiver = receiver
        publisher = desk.publisher()
        self.key = key_of(desk.house, publisher)
        _, self.token = token_of(desk.house, publisher)
        desk.subscription(publisher, endpoint=f"{receiver.url}/webhook")
        for fmt in ("rss", "atom", "json"):
            self._subscribe_websub(fmt)
        self.wordpress, self.folder = wordpress, desk.house.config.data_dir / "dropped"
        self.folder.mkdir()
        self._subscribe(publisher, ChannelKind.EMAIL, publisher.email)
        there = {"user": sshd.user, "host_key": sshd.fingerprint, "folder": str(self.folder), "format": "html"}
        self._subscribe(publisher, ChannelKind.SFTP, sshd.url, sshd.private_key, there)
        account = {"user": "desk", "status": "publish", "on_kill": "draft"}
        self._subscribe(publisher, ChannelKind.WORDPRESS, wordpress.url, PASSWORD, account)

    def pushed(self) -> dict[str, str]:
        """Send what is due; returns the newest body that came to each endpoint, {} when nothing came."""
        before, arrived = len(self.receiver.received), self._arrived()
        self.engine.drain_due()
        new = {request.target: request.body.decode() for request in self.receiver.received[before:]}
        return new | {path.partition(" ")[0]: text for path, text in self._arrived().items() if arrived.get(path) != text}

    def _arrived(self) -> dict[str, str]:
        """What lies in the mailbox, the folder and the site of those we converse with, by a name that begins with the way."""
        found = {f"sftp {file.name}": file.read_text() for file in sorted(self.folder.iterdir())}
        for file in sorted((self.house.config.data_dir / "outbox").glob("*.eml")):
            text, html = read_message(file.read_bytes()).iter_parts()
            found |= {f"mail-text {file.name}": text.get_content(), f"mail-html {file.name}": html.get_content()}
        for number, post in self.wordpress.posts.items():
            found[f"wordpress {number}"] = json.dumps({name: post[name] for name in ("title", "content", "excerpt")})
        return found

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

    def _subscribe(
        self,
        publisher: Publisher,
        channel: ChannelKind,
        endpoint: str,
        credential: str = "",
        options: dict[str, Any] | None = None,
    ) -> None:
        with self.house.sessions.begin() as session:
            subscribe(
                session,
                self.house,
                open_outbound(self.house.config),
                session.get_one(Publisher, publisher.id),
                feed="latest",
                channel=channel,
                endpoint=endpoint,
                options=options,
                credential=credential,
                actor="test",
                at=self.house.clock(),
            )

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
def exits_of(desk: Desk, sshd: Sshd) -> Iterator[Exits]:
    with Receiver() as receiver, WordPressTarget().running() as wordpress:
        exits = Exits(desk, receiver, wordpress, sshd)
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
