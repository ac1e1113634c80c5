"""WebSub channel (W3C Recommendation, 23 January 2018), and the hub's rules that need no database.

A delivery is a feed document of the topic's own content type with just the entries that changed. The hub's part here: read a
`hub.*` form, build the address by which a callback is asked or told, judge what it says. Who may subscribe to what is decided
elsewhere. Raises nothing for what a subscriber does. Knows no Flask.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

from syndicator import config
from syndicator.border import CheckedUrl
from syndicator.channels import Answer, Outcome, Parcel, Request
from syndicator.channels.answers import read_answer
from syndicator.domain.feeds import CONTENT_TYPES
from syndicator.errors import AddressRefused, InvalidRequest
from syndicator.render.atom import render_atom
from syndicator.render.entry import Feed
from syndicator.render.jsonfeed import render_json
from syndicator.render.rss import render_rss

SECRET_BYTES = 199  # "less than 200 bytes in length" (5.1)
# So that the callback with topic and challenge appended is still an address that border.py takes.
CALLBACK_CHARACTERS = 1024
TOPIC_CHARACTERS = 512
REASON_CHARACTERS = 120
FIELDS = ("hub.mode", "hub.topic", "hub.callback", "hub.secret", "hub.lease_seconds")
RENDERERS: dict[str, Callable[[Feed], bytes]] = {"rss": render_rss, "atom": render_atom, "json": render_json}
CheckUrl = Callable[[str], CheckedUrl]


class WebSub:
    """A PostChannel. Its parcels carry `feed` and `topic`, and one secret or none. All who take a change get the same bytes,
    rendered for the first of them."""

    def __init__(self) -> None:
        self._rendered: dict[str, tuple[Feed, bytes]] = {}  # by format: the frame last sent

    def request(self, parcel: Parcel, at: datetime) -> Request:
        """Build the POST of the changed entries to the callback (7), signed when a secret was given (7.1)."""
        if parcel.feed is None:
            raise ValueError(f"delivery {parcel.delivery_id} has no feed to send")
        body = self._body(topic_format(parcel.topic), parcel.feed)
        return _distribution(parcel.endpoint, parcel.topic, parcel.feed, body, parcel.secrets)

    def read(self, answer: Answer, at: datetime) -> Outcome:
        return read_answer(answer, at)

    def _body(self, form: str, feed: Feed) -> bytes:
        frame, body = self._rendered.get(form, (None, b""))
        if frame is not feed:  # the same object, as the parcels of one claim share it
            body = RENDERERS[form](feed)
            self._rendered[form] = feed, body
        return body


def trial_request(callback: str, topic: str, feed: Feed, secrets: tuple[str, ...]) -> Request:
    """Build the test that an owner asked for: a content distribution request (7) like any other. What `feed` may hold is decided
    elsewhere; a subscriber cannot tell it from news, so it must be nothing but that."""
    return _distribution(callback, topic, feed, RENDERERS[topic_format(topic)](feed), secrets)


def _distribution(callback: str, topic: str, feed: Feed, body: bytes, secrets: tuple[str, ...]) -> Request:
    hub = feed.hub_url or f"{feed.terms.base_url}/hub"
    headers = [("Content-Type", CONTENT_TYPES[topic_format(topic)]), ("Link", f'<{hub}>; rel="hub", <{topic}>; rel="self"')]
    if secrets:
        headers.append(("X-Hub-Signature", hub_signature(body, secrets[0])))
    return Request(url=callback, headers=tuple(headers), pieces=(body,))


@dataclass(frozen=True, slots=True, kw_only=True)
class HubForm:
    """What a subscriber asks of the hub. `lease_seconds` is within our bounds; 0 when unsubscribing."""

    mode: str  # subscribe or unsubscribe
    topic: str
    callback: str  # canonical host; path and query as written
    secret: str | None = field(repr=False)
    lease_seconds: int


def parse_hub_request(form: Iterable[tuple[str, str]], leases: config.WebSub, check_url: CheckUrl) -> HubForm:
    """Read a subscription request (5.1); raises InvalidRequest that names the field. Unknown fields are ignored.

    `check_url` is Border's. The lease is brought within our bounds, as the verification tells.
    """
    fields = _known_fields(form)
    mode = _required(fields, "hub.mode")
    if mode not in {"subscribe", "unsubscribe"}:
        raise InvalidRequest("hub.mode must be subscribe or unsubscribe", "hub.mode")
    topic = _required(fields, "hub.topic")
    if len(topic) > TOPIC_CHARACTERS:
        raise InvalidRequest("hub.topic is too long to be one of ours", "hub.topic")
    subscribing = mode == "subscribe"
    return HubForm(
        mode=mode,
        topic=topic,
        callback=_callback(_required(fields, "hub.callback"), check_url),
        secret=_secret(fields) if subscribing else None,
        lease_seconds=_lease_seconds(fields, leases) if subscribing else 0,
    )


def verification_url(callback: str, mode: str, topic: str, challenge: str, lease_seconds: int | None) -> str:
    """Return the address by which a callback is asked whether it wants this (5.3); a lease is told when it subscribes."""
    asked = {"hub.mode": mode, "hub.topic": topic, "hub.challenge": challenge}
    if lease_seconds is not None:
        asked["hub.lease_seconds"] = str(lease_seconds)
    return _with_parameters(callback, asked)


def denial_url(callback: str, topic: str, reason: str) -> str:
    """Return the address by which a callback is told that it is not, or no longer, subscribed (5.2)."""
    return _with_parameters(callback, {"hub.mode": "denied", "hub.topic": topic, "hub.reason": reason[:REASON_CHARACTERS]})


def challenge_echoed(answer: Answer, challenge: str) -> bool:
    """Say whether a callback confirmed: any 2xx with exactly the challenge as its body (5.3.1)."""
    return 200 <= answer.status < 300 and hmac.compare_digest(answer.body, challenge.encode())


def hub_signature(body: bytes, secret: str) -> str:
    """Return the value of X-Hub-Signature; SHA-256, since SHA-1 is only what old hubs do (8.3)."""
    return f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"


def topic_format(topic: str) -> str:
    """Return rss, atom or json, as the topic's path ends; raises ValueError for what is no topic of ours."""
    form = urlsplit(topic).path.rpartition(".")[2]
    if form not in RENDERERS:
        raise ValueError(f"{topic!r} is not the address of a feed document")
    return form


def _known_fields(form: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in form:
        if name in FIELDS:
            if name in fields:
                raise InvalidRequest(f"{name} is given more than once", name)
            fields[name] = value
    return fields


def _required(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise InvalidRequest(f"{name} is missing", name)
    return fields[name]


def _callback(written: str, check_url: CheckUrl) -> str:
    if len(written) > CALLBACK_CHARACTERS:
        raise InvalidRequest(f"hub.callback is longer than {CALLBACK_CHARACTERS} characters", "hub.callback")
    try:
        callback = check_url(written).url
    except AddressRefused as error:
        raise InvalidRequest(f"hub.callback: {error}", "hub.callback") from error
    if len(callback) > CALLBACK_CHARACTERS:
        raise InvalidRequest(f"hub.callback is longer than {CALLBACK_CHARACTERS} characters", "hub.callback")
    return callback


def _secret(fields: Mapping[str, str]) -> str | None:
    secret = fields.get("hub.secret", "")
    try:
        size = len(secret.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest("hub.secret is not UTF-8", "hub.secret") from error
    if size > SECRET_BYTES:
        raise InvalidRequest("hub.secret must be shorter than 200 bytes", "hub.secret")
    return secret or None


def _lease_seconds(fields: Mapping[str, str], leases: config.WebSub) -> int:
    written = fields.get("hub.lease_seconds", "")
    if not written:
        return leases.default_lease_seconds
    if not re.fullmatch(r"[0-9]{1,18}", written):
        raise InvalidRequest("hub.lease_seconds must be a whole number of seconds", "hub.lease_seconds")
    return min(max(int(written), leases.min_lease_seconds), leases.max_lease_seconds)


def _with_parameters(callback: str, parameters: Mapping[str, str]) -> str:
    """Append to the callback's own query, of which not a byte is changed (5.1.1)."""
    joint = "" if callback.endswith(("?", "&")) else "&" if "?" in callback else "?"
    return f"{callback}{joint}{urlencode(parameters, quote_via=quote, safe=':/')}"
