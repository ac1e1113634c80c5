"""The one sanitising door: every draft, whatever way it came in, passes `prepare` before it is stored.

Afterwards text fields are single trimmed lines without control or invisible characters, the body is the safe subset of `body.py`,
and the notice stands nowhere, since what leaves gets the current one. Preparing twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lxml.html import HtmlElement, tostring

from syndicator.domain.stories import Image, Rights, StoryDraft, label_key
from syndicator.errors import InvalidRequest, TooLarge
from syndicator.intake.body import reduce_body, safe_url
from syndicator.intake.text import cut_notice, fold, holds_notice, notice_keys, parse_html, plain, without_begun_notice

MAX_HEADLINE = 500
MAX_SUMMARY = 5_000
MAX_NAME = 200
MAX_BYLINES = 20
MAX_TAG = 100
MAX_TAGS = 40
MAX_IMAGES = 50
EARLIEST, LATEST = datetime(1800, 1, 1, tzinfo=UTC), datetime(2800, 1, 1, tzinfo=UTC)  # pages show times in any zone
_ROUNDS = 12  # a body that has not settled by then was built to defeat us


def prepare(draft: StoryDraft, *, notice_texts: Sequence[str], language: str, max_bytes: int) -> StoryDraft:
    """Return `draft` fit to be stored; `language` is for stories that do not say theirs, `max_bytes` the largest body.

    Raises InvalidRequest that names the field: no headline, no body, too large, nested too deep, a key that cannot be kept.
    """
    keys = notice_keys(notice_texts)
    external_id = source_key(draft.external_id)
    if not 0 < len(external_id) <= 500:
        raise InvalidRequest("a story needs a key of 1 to 500 characters at its source", "external_id")
    headline = _line(draft.headline, keys, MAX_HEADLINE)
    if not headline:
        raise InvalidRequest("a story needs a headline", "headline")
    canonical_url = safe_url(draft.canonical_url) or ""
    body_html, lifted = _settled_body(draft.body_html, keys, canonical_url, max_bytes)
    return replace(
        draft,
        external_id=external_id,
        headline=headline,
        body_html=body_html,
        summary=_excerpt(draft.summary, keys),
        byline=_lines(draft.byline, keys, MAX_NAME, MAX_BYLINES),
        section=_line(draft.section, keys, MAX_NAME),
        tags=_lines(draft.tags, keys, MAX_TAG, MAX_TAGS),
        language=draft.language if re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}", draft.language) else language,
        canonical_url=canonical_url if canonical_url.startswith("http") else "",
        published_at=_instant(draft.published_at, "published_at"),
        embargoed_until=_instant(draft.embargoed_until, "embargoed_until"),
        expires_at=_instant(draft.expires_at, "expires_at"),
        ednote=_line(draft.ednote, keys, MAX_SUMMARY),
        images=_images((*draft.images, *lifted), keys, canonical_url),
    )


def source_key(external_id: str) -> str:
    """Return the key of a story at its source as it is stored, and so must be looked for."""
    return fold(external_id).strip()


def _line(text: str, keys: Sequence[str], limit: int) -> str:
    line = fold(text[: limit * 10])
    while holds_notice(line, keys):
        line = fold(cut_notice([line], keys)[0])
    return plain(line, limit)


def _excerpt(text: str, keys: Sequence[str]) -> str:
    whole = without_begun_notice(plain(text, MAX_SUMMARY), keys)
    return without_begun_notice(_line(whole, keys, MAX_SUMMARY), keys)


def _lines(texts: Iterable[str], keys: Sequence[str], limit: int, most: int) -> tuple[str, ...]:
    """Return the first `most` different lines; case and spacing do not make a difference."""
    found: dict[str, str] = {}
    for text in texts:
        line = _line(text, keys, limit)
        if line and len(found) < most:
            found.setdefault(label_key(line), line)
    return tuple(found.values())


def _images(images: Iterable[Image], keys: Sequence[str], base: str) -> tuple[Image, ...]:
    found: dict[str, Image] = {}
    for image in images:
        url = safe_url(image.url, base)
        if url and url.startswith("http") and len(found) < MAX_IMAGES:
            caption, credit = _line(image.caption, keys, 2000), _line(image.credit, keys, MAX_NAME)
            found.setdefault(url, Image(url=url, caption=caption, credit=credit, rights=Rights(image.rights)))
    return tuple(found.values())


def _instant(value: datetime | None, field: str) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise InvalidRequest("a time needs its zone, such as 2026-11-20T14:00:00Z", field)
    if not EARLIEST <= value < LATEST:
        raise InvalidRequest(f"{field}: no story is of the year {value.year}", field)
    return value.astimezone(UTC)


def _settled_body(markup: str, keys: Sequence[str], base: str, max_bytes: int) -> tuple[str, list[Image]]:
    """Reduce and cut until nothing changes: taking one thing out may bring together another."""
    if len(markup) > max_bytes or len(markup.encode(errors="replace")) > max_bytes:
        raise TooLarge(f"the body is larger than {max_bytes} bytes", "body_html")
    images: list[Image] = []
    html = markup
    for _ in range(_ROUNDS):
        reduced, lifted = reduce_body(html, base, max_bytes)
        images.extend(lifted)
        reduced = _body_without_notice(reduced, keys)
        if reduced == html:
            break
        html = reduced
    else:
        raise InvalidRequest("the body keeps changing while it is cleaned", "body_html")
    if not html or not any(char.isalnum() for char in "".join(_words(html))):
        raise InvalidRequest("a story needs a body", "body_html")
    return html, images


def _words(html: str) -> list[str]:
    return [str(piece) for piece in parse_html(html).itertext()]


def _body_without_notice(html: str, keys: Sequence[str]) -> str:
    if not keys or not holds_notice("".join(_words(html)), keys):
        return html
    root = parse_html(html)
    slots = [slot for node in root for slot in _slots(node)]
    for (node, name), text in zip(slots, cut_notice([getattr(node, name) or "" for node, name in slots], keys), strict=True):
        setattr(node, name, text)
    return str(tostring(root, encoding="unicode"))


def _slots(node: HtmlElement) -> Iterator[tuple[HtmlElement, str]]:
    """Yield where text stands, in reading order. Nesting is bounded, since the body has been reduced."""
    yield node, "text"
    for child in node:
        yield from _slots(child)
        yield child, "tail"
