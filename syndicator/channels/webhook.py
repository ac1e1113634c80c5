"""Webhook channel: one signed POST per attempt (Standard Webhooks 1.0.0).

`webhook-id` is the delivery's and survives retries; `webhook-timestamp` (whole seconds since 1970, UTC) is the attempt's. The
body is a function of the parcel alone, so every attempt carries the same bytes. While a secret is being changed both sign.
Raises nothing for what a subscriber does. Knows no Flask and no database.
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook as Signer

from syndicator.channels import Answer, Outcome, Parcel, Request
from syndicator.channels.answers import read_answer
from syndicator.domain.stories import EventType
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.ninjs import render_ninjs
from syndicator.render.plain import rfc3339

SECRET_BYTES = 32  # the standard asks for 24 to 64


class Webhook:
    """A PostChannel."""

    def request(self, parcel: Parcel, at: datetime) -> Request:
        """Build the attempt made at the instant `at`."""
        if not parcel.secrets:
            raise ValueError(f"delivery {parcel.delivery_id} has no secret to sign with")
        pieces = webhook_pieces(parcel)
        headers = (
            ("Content-Type", "application/json"),
            *signature_headers(parcel.uid, b"".join(pieces), parcel.secrets, at, parcel.signing_key),
        )
        return Request(url=parcel.endpoint, headers=headers, pieces=pieces)

    def read(self, answer: Answer, at: datetime) -> Outcome:
        return read_answer(answer, at)


def webhook_pieces(parcel: Parcel) -> tuple[bytes, bytes, bytes]:
    """Return the event as JSON, UTF-8, in pieces; equal parcels give equal bytes."""
    before, after = _around_sequence(parcel.seq, parcel.event, parcel.at, parcel.feeds, parcel.reason, parcel.entry, parcel.terms)
    return before, b"%d" % parcel.sequence, after


@lru_cache(maxsize=32)
def _around_sequence(
    seq: int, event: EventType, at: datetime, feeds: tuple[str, ...], reason: str, entry: Entry, all_terms: Terms
) -> tuple[bytes, bytes]:
    """Return what stands before and after the only number in which an event's bodies differ: most of the work, done once."""
    terms = terms_beside(entry, all_terms)
    api = f"{terms.base_url}/v1/stories/{entry.public_id}"
    told: dict[str, Any] = {
        "notice": {"version": terms.notice_version, "text": terms.notice_text, "contact": terms.contact_email},
        "license": {"url": terms.license_url, "version": terms.license_version if terms.free else None},
        "feeds": list(feeds),
        "links": {"api": api, "html": entry.url, "receipt": f"{api}/receipts"},
        **({"reason": reason} if reason else {}),
        "story": render_ninjs(entry, terms),
    }
    before = _json({"type": f"story.{event}", "timestamp": rfc3339(at), "data": {"seq": seq}}).removesuffix("}}")
    after = _json(told).removeprefix("{")
    # "replace": a lone surrogate has no bytes, and one odd character must not stop a kill.
    return f'{before},"sequence":'.encode("utf-8", "replace"), f",{after}}}".encode("utf-8", "replace")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def signature_headers(
    uid: str, body: bytes, keys: tuple[str, ...], at: datetime, signing_key: str = ""
) -> tuple[tuple[str, str], ...]:
    """Sign `body`, which must be UTF-8, with every one of `keys` (`whsec_…`), the newest first, and with `signing_key` as v1a."""
    sent_at = at.astimezone(UTC)  # the library takes the clock's reading for UTC whatever its zone
    stamp = str(int(sent_at.timestamp()))
    signatures = [Signer(key).sign(uid, sent_at, body.decode()) for key in keys]
    if signing_key:
        signed = _private(signing_key).sign(f"{uid}.{stamp}.".encode() + body)
        signatures.append("v1a," + base64.b64encode(signed).decode())
    return (("webhook-id", uid), ("webhook-timestamp", stamp), ("webhook-signature", " ".join(signatures)))


def trial_request(endpoint: str, uid: str, keys: tuple[str, ...], signing_key: str, at: datetime, *, feed: str) -> Request:
    """Build the example that an owner asked for: signed like a delivery, of a type that no delivery has."""
    words = "This is an example. Your endpoint should check the signature and answer with a status of 2xx."
    body = _json({"type": "test", "timestamp": rfc3339(at), "data": {"feed": feed, "message": words}}).encode()
    headers = (("Content-Type", "application/json"), *signature_headers(uid, body, keys, at, signing_key))
    return Request(url=endpoint, headers=headers, pieces=(body,))


def new_signing_key() -> str:
    """Return a fresh Ed25519 key as Standard Webhooks writes it: `whsk_` and base64 of seed and public key."""
    key = Ed25519PrivateKey.generate()
    return "whsk_" + base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()


def public_key_of(signing_key: str) -> str:
    """Return what its owner verifies with, `whpk_…`."""
    return "whpk_" + base64.b64encode(_private(signing_key).public_key().public_bytes_raw()).decode()


def _private(signing_key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(signing_key.removeprefix("whsk_"))[:32])


def new_webhook_secret() -> str:
    """Return a fresh signing secret, `whsec_` and base64 of random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
