"""Superdesk's HTTP Push: ninjs 1.x as Superdesk writes it becomes a draft and a status; the signature is checked over raw bytes.

Superdesk signs with HMAC-SHA1 of the body; `sha256=` is taken too. A sender that adds `X-Superdesk-Timestamp` signs
`TIMESTAMP.BODY`, and is held to five minutes. Members that we have no place for are passed over. Pictures may be pushed too, as
assets; a rendition then names one instead of an address. Knows no Flask and no database.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syndicator.domain.stories import Image, PubStatus, Rights, StoryDraft
from syndicator.errors import InvalidRequest
from syndicator.intake.text import text_of_html
from syndicator.intake.wordpress import cleared

WINDOW_SECONDS = 300
_STATUSES = {
    "usable": PubStatus.USABLE,
    "withheld": PubStatus.WITHHELD,
    "canceled": PubStatus.CANCELED,
    "cancelled": PubStatus.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push says."""

    draft: StoryDraft
    status: PubStatus


def signature_holds(key: str, body: bytes, signature: str, timestamp: str, at: datetime) -> bool:
    """Say whether `signature` was made over these very bytes with `key`; without a key nothing holds."""
    algorithm, _, given = signature.strip().rpartition("=")
    digest = {"": hashlib.sha1, "sha1": hashlib.sha1, "sha256": hashlib.sha256}.get(algorithm.lower())
    if not key or digest is None or not given.isascii():
        return False
    if timestamp:
        in_time = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
        if not in_time or abs(int(timestamp) - at.timestamp()) > WINDOW_SECONDS:
            return False
        body = timestamp.encode() + b"." + body
    return hmac.compare_digest(hmac.new(key.encode(), body, digest).hexdigest(), given.lower())


def read_push(item: object, newsroom: str, address_of: Callable[[str], str] = lambda _media: "") -> Pushed:
    """Return the draft in a ninjs 1.x object; `address_of` tells where an asset that was pushed is to be had, if it was.

    Raises InvalidRequest naming the member that does not fit.
    """
    if not isinstance(item, dict):
        raise InvalidRequest("the body must be a ninjs object")
    guid = _text(item, "guid") or _text(item, "uri")
    if not guid:
        raise InvalidRequest("is missing", "guid")
    if _text(item, "type") not in {"", "text"}:
        raise InvalidRequest("only items of type text become stories", "type")
    status = _STATUSES.get(_text(item, "pubstatus") or "usable")
    if status is None:
        raise InvalidRequest("is none of usable, withheld, canceled", "pubstatus")
    extra = item.get("extra")
    draft = StoryDraft(
        external_id=guid[:500],
        headline=text_of_html(_text(item, "headline") or _text(item, "slugline")),
        body_html=_text(item, "body_html"),
        summary=_text(item, "description_text") or text_of_html(_text(item, "description_html")),
        byline=tuple(_byline(item)),
        section=next(_names(item, "service"), ""),
        tags=tuple(dict.fromkeys([*_strings(item, "keywords"), *_names(item, "subject")])),
        language=_text(item, "language").replace("_", "-"),
        canonical_url=_text(extra, "canonical_url") if isinstance(extra, dict) else "",
        published_at=_instant(item, "firstpublished") or _instant(item, "firstcreated"),
        embargoed_until=_instant(item, "embargoed"),
        expires_at=_instant(item, "expires"),
        ednote=_text(item, "ednote"),
        images=tuple(_pictures(item, newsroom, address_of)),
    )
    return Pushed(draft, status)


def _byline(item: dict[str, Any]) -> list[str]:
    stated = _text(item, "byline").strip()
    if stated:
        return [stated[3:] if stated.lower().startswith("by ") else stated]
    return list(_names(item, "authors"))


def _pictures(item: dict[str, Any], newsroom: str, address_of: Callable[[str], str]) -> Iterator[Image]:
    """Yield the pictures with their credits; one is cleared only when the credit is the newsroom's own."""
    associations = item.get("associations")
    for picture in associations.values() if isinstance(associations, dict) else []:
        if not isinstance(picture, dict) or picture.get("type") != "picture":
            continue
        renditions = picture.get("renditions")
        chosen = [renditions.get(name) for name in ("original", "baseImage", "viewImage")] if isinstance(renditions, dict) else []
        addresses = [address for each in chosen if isinstance(each, dict) for address in _addresses(each, address_of)]
        credit = _text(picture, "copyrightholder") or _text(picture, "byline")
        if addresses:
            rights = Rights.FREE if cleared(credit, newsroom) else Rights.NONE
            yield Image(url=addresses[0], caption=_text(picture, "description_text"), credit=credit, rights=rights)


def _addresses(rendition: dict[str, Any], address_of: Callable[[str], str]) -> list[str]:
    """Where a rendition is to be had: with us, if it was pushed, or else where Superdesk says."""
    media, href = (value if isinstance(value := rendition.get(name), str) else "" for name in ("media", "href"))
    return [address for address in (address_of(media) if media else "", href) if address]


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest("must be text", name)
    return value


def _strings(item: dict[str, Any], name: str) -> Iterator[str]:
    values = item.get(name)
    yield from (value for value in (values if isinstance(values, list) else []) if isinstance(value, str))


def _names(item: dict[str, Any], name: str) -> Iterator[str]:
    values = item.get(name)
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            yield value["name"]


def _instant(item: dict[str, Any], name: str) -> datetime | None:
    text = _text(item, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)  # Superdesk writes +0000
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("must be a time such as 2026-11-20T14:00:00+0000", name) from error
