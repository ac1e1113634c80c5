"""Ways out. One module per channel; all end in an Outcome.

Webhook and WebSub build a Request and read an Answer, and the sender moves the bytes, many at a time. E-mail, SFTP and WordPress
hold a conversation of their own: `deliver`. What a subscriber does wrong is an Outcome; an exception means that we have a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from syndicator.domain.stories import EventType
from syndicator.render.entry import Entry, Feed, Terms


@dataclass(frozen=True, slots=True)
class Accepted:
    """The subscriber has it. `done` says what there is now, such as which file, to whoever asked for a test."""

    done: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; to be tried again on the schedule, or not before `retry_after_seconds`. `throttled`: the endpoint asked that
    nothing at all be sent meanwhile. `needs_person`: trying again does harm until somebody has looked, so it is paused. `ours`:
    we could not send anything, so it uses up no try and counts against no endpoint."""

    reason: str
    retry_after_seconds: float | None = None
    throttled: bool = False
    needs_person: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never; `ends_subscription` when the endpoint said that it is gone."""

    reason: str
    ends_subscription: bool = False


Outcome = Accepted | Deferred | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Everything a channel needs to send one delivery once. Secrets are plain here, and only here."""

    delivery_id: int
    subscription_id: int
    uid: str  # what the receiver sees: equal for all attempts
    channel: str
    endpoint: str
    options: Mapping[str, Any]
    secrets: tuple[str, ...] = field(repr=False)  # the newest first; all sign
    signing_key: str = field(default="", repr=False)  # Ed25519, for those who verify with a public key
    seq: int
    sequence: int  # the how-manieth delivery of its subscription: whoever misses one sees the gap
    urgent: bool = False  # goes before all that waits
    event: EventType
    at: datetime  # of the event
    feeds: tuple[str, ...]
    entry: Entry
    terms: Terms
    feed: Feed | None = None  # WebSub: the topic's frame with just the entries that changed
    topic: str = ""
    reason: str = ""
    subscribed: str = ""  # the feed that the subscription is to


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request to an address somebody else chose. Of the `pieces` of its body, which is put together when it leaves,
    many requests that wait share the same."""

    url: str
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...] = field(default=(), repr=False)
    method: Literal["GET", "POST"] = "POST"  # GET: to verify a WebSub callback

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `status` 0: no HTTP answer, and `error` is a fixed word such as timeout or connect."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    duration_ms: int = 0

    @property
    def tried(self) -> bool:
        """Whether the request left: the sender may have had no room for it, or have been told to stop."""
        return self.error not in {"busy", "not-started"}


class PostChannel(Protocol):
    """Webhook and WebSub."""

    def request(self, parcel: Parcel, at: datetime) -> Request: ...
    def read(self, answer: Answer, at: datetime) -> Outcome: ...


class ConversationChannel(Protocol):
    """E-mail, SFTP, WordPress. `deliver` takes its time, and is called in a thread of its own."""

    def party(self, parcel: Parcel) -> str:
        """Whom the conversation is with; there is one at a time with each."""

    def deliver(self, parcel: Parcel, at: datetime) -> Outcome: ...
