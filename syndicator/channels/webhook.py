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

from standardwebhooks import Webhook as Signer

from syndicator.channels import Answer, Outcome, Parcel, Request
from syndicator.channels.answers import read_answer
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
        body = webhook_body(parcel)
        headers = (("Content-Type", "application/json"), *signature_headers(parcel.uid, body, parcel.secrets, at))
        return Request(url=parcel.endpoint, headers=headers, body=body)

    def read(self, answer: Answer, at: datetime) -> Outcome:
        return read_answer(answer, at)


def webhook_body(parcel: Parcel) -> bytes:
    """Return the event as JSON, UTF-8; equal parcels give equal bytes."""
    entry, terms = parcel.entry, terms_beside(parcel.entry, parcel.terms)
    api = f"{terms.base_url}/v1/stories/{entry.public_id}"
    told: dict[str, Any] = {
        "seq": parcel.seq,
        "sequence": parcel.sequence,
        "notice": {"version": terms.notice_version, "text": terms.notice_text, "contact": terms.contact_email},
        "license": {"url": terms.license_url, "version": terms.license_version if terms.free else None},
        "feeds": list(parcel.feeds),
        "links": {"api": api, "html": entry.url, "receipt": f"{api}/receipts"},
    }
    if parcel.reason:
        told["reason"] = parcel.reason
    event = _json({"type": f"story.{parcel.event}", "timestamp": rfc3339(parcel.at), "data": told})
    body = f'{event[:-2]},"story":{_story_json(entry, terms)}}}}}'
    # "replace": a lone surrogate has no bytes, and one odd character must not stop a kill.
    return body.encode("utf-8", "replace")


@lru_cache(maxsize=32)
def _story_json(entry: Entry, terms: Terms) -> str:
    """The story is the same for all who get it, and most of the work."""
    return _json(render_ninjs(entry, terms))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def signature_headers(uid: str, body: bytes, keys: tuple[str, ...], at: datetime) -> tuple[tuple[str, str], ...]:
    """Sign `body`, which must be UTF-8, with every one of `keys` (`whsec_…`), the newest first."""
    sent_at = at.astimezone(UTC)  # the library takes the clock's reading for UTC whatever its zone
    signatures = (Signer(key).sign(uid, sent_at, body.decode()) for key in keys)
    return (
        ("webhook-id", uid),
        ("webhook-timestamp", str(int(sent_at.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    )


def new_webhook_secret() -> str:
    """Return a fresh signing secret, `whsec_` and base64 of random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
