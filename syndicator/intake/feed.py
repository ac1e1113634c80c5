"""RSS, Atom and JSON Feed as a source: full content wanted, an excerpt refused.

A poll is conditional (ETag, Last-Modified). The document is parsed in a child process (`apart.py`); document types are refused,
and bytes, entries and attributes are bounded, since feedparser is quadratic in the last two.
"""

from __future__ import annotations

import io
import re
from calendar import timegm
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any

from syndicator.domain.stories import Image, StoryDraft
from syndicator.errors import IntakeError, InvalidRequest
from syndicator.intake.apart import Parsed, parse_apart
from syndicator.intake.body import safe_url
from syndicator.intake.document import read_json
from syndicator.intake.pulling import Auth, Get, Pull, SourceFailed, ask
from syndicator.intake.text import text_of_html, why_unread

MAX_FEED_BYTES = 16_000_000
MAX_ENTRIES = 1000
MAX_CATEGORIES = 5000
MAX_ATTRIBUTES = 200  # of one element
ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, application/json;q=0.8, */*;q=0.5"
)
_EXCERPT = re.compile(r"(\[(…|\.\.\.)\]|…|continue reading.{0,200}|read more)\W*$", re.I)
_SURROGATE = re.compile(
    rb"&#(?:[xX]0*[dD][89a-fA-F][0-9a-fA-F]{2}|0*(?:5529[6-9]|55[3-9]\d\d|56\d{3}|57[0-2]\d\d|573[0-3]\d|5734[0-3]));"
)
_APPEARED = re.compile(r"<p>\s*The post <a [^<]{0,2000}</a> (?:first )?appeared (?:first )?on <a [^<]{0,2000}</a>\.?\s*</p>\s*$")


def pull(get: Get, address: str, cursor: dict[str, Any], *, auth: Auth, at: datetime, parse_seconds: float) -> Pull:
    """Return what the feed holds now, nothing when it has not changed. Raises SourceFailed, also for a feed of nothing but
    excerpts, which would else look like one without news; the cursor then stays."""
    known = {"if-none-match": cursor.get("etag"), "if-modified-since": cursor.get("last_modified")}
    headers = {"accept": ACCEPT} | {name: value for name, value in known.items() if value}
    answer = ask(get, address, at, headers, auth)
    if answer.status == 304:
        return Pull(cursor=cursor)
    if answer.status != 200:
        raise SourceFailed(address, f"answered {answer.status}")
    parsed = parse_apart("feed", answer.body, answer.url, parse_seconds)
    if parsed.problems and not parsed.drafts:
        raise SourceFailed(address, f"none of its stories can be taken; {parsed.problems[0]}")
    validators = {"etag": answer.headers.get("etag"), "last_modified": answer.headers.get("last-modified")}
    seen = {name: value for name, value in validators.items() if value and len(value) <= 500}
    return Pull(drafts=parsed.drafts, problems=parsed.problems, cursor=seen)


def read_feed(content: bytes, origin: str) -> Parsed:
    """Read a feed document; a bad entry is a problem and leaves the others. Raises IntakeError for what is no feed."""
    if len(content) > MAX_FEED_BYTES:
        raise IntakeError(origin, f"larger than {MAX_FEED_BYTES} bytes")
    drafts: dict[str, StoryDraft] = {}
    problems = []
    is_json = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    entries, read = (_json_items(content, origin), _json_draft) if is_json else (_xml_entries(content, origin), _xml_draft)
    for number, entry in enumerate(entries, start=1):
        try:
            draft = read(entry)
            drafts.setdefault(draft.external_id, draft)
        except (InvalidRequest, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            problems.append(f"entry {number}: {why_unread(error)}")
    return Parsed(tuple(drafts.values()), tuple(problems))


def _xml_entries(content: bytes, origin: str) -> list[Any]:
    import feedparser

    _refuse_bombs(content, origin)
    try:
        parsed = feedparser.parse(io.BytesIO(_without_surrogates(content)), sanitize_html=False, resolve_relative_uris=False)
    except Exception as error:  # its handlers stumble over broken documents in any number of ways
        raise IntakeError(origin, "this feed is broken beyond reading") from error
    if not parsed.get("version") and not parsed.entries:
        raise IntakeError(origin, "this is no RSS, Atom or JSON feed")
    return list(parsed.entries[:MAX_ENTRIES])


def _refuse_bombs(content: bytes, origin: str) -> None:
    plain = content.replace(b"\x00", b"")  # UTF-16 and UTF-32 read as ASCII
    if re.search(rb"<!(DOCTYPE|ENTITY)", plain, re.I) and _before_root(plain):
        raise IntakeError(origin, "document types and entities are refused")
    if len(re.findall(rb"<(?:\w{1,20}:)?(?:item|entry)[\s>]", plain)) > MAX_ENTRIES:
        raise IntakeError(origin, f"more than {MAX_ENTRIES} entries")
    if len(re.findall(rb"<(?:\w{1,20}:)?(?:category|subject|link|author|creator|enclosure|content|thumbnail)[\s>]", plain)) > (
        MAX_CATEGORIES * 4
    ):
        raise IntakeError(origin, "too many elements")
    if any(tag.count(b"=") > MAX_ATTRIBUTES for tag in re.findall(rb"<\w[^<>]{2000,}", plain)):
        raise IntakeError(origin, f"an element has more than {MAX_ATTRIBUTES} attributes")


def _without_surrogates(content: bytes) -> bytes:
    """Drop references such as &#xD800; that stand for no character: one of them would cost us the whole feed."""
    return _SURROGATE.sub(b"", content)


def _before_root(plain: bytes) -> bool:
    """Say whether a declaration stands where XML allows one; inside CDATA, as part of an article, it does no harm."""
    root = re.search(rb"<[A-Za-z]", plain)
    declaration = re.search(rb"<!(DOCTYPE|ENTITY)", plain, re.I)
    return declaration is not None and (root is None or declaration.start() < root.start())


def _xml_draft(entry: Any) -> StoryDraft:
    link = safe_url(entry.get("link") or "") or ""
    external_id = entry.get("id") or link
    if not external_id:
        raise InvalidRequest("it has neither an id nor a link", "external_id")
    contents = [_markup(each) for each in entry.get("content", []) if each.get("value")]
    summary = _markup(entry["summary_detail"]) if entry.get("summary_detail") else ""
    body = max(contents, key=len, default="") or _whole(summary)
    if not body:
        raise InvalidRequest("it carries an excerpt only, not the story", "body_html")
    base = entry.get("content", [{}])[0].get("base") or "" if contents else ""
    return StoryDraft(
        external_id=external_id,
        headline=text_of_html(entry.get("title") or ""),
        body_html=_APPEARED.sub("", body),
        summary=_shortened(text_of_html(summary)) if contents and summary not in contents else "",
        byline=tuple(name for each in entry.get("authors", []) if (name := _name(each.get("name") or each.get("email") or ""))),
        tags=tuple(text_of_html(each.get("term") or "") for each in entry.get("tags", [])),
        language=entry.get("language") or "",
        canonical_url=link or safe_url(base) or "",
        published_at=_instant(_own(entry, "published_parsed") or _own(entry, "updated_parsed")),
        images=tuple(Image(url=url) for url in _pictures(entry)),
    )


def _markup(detail: Any) -> str:
    """Return a text construct as HTML; Atom also knows plain text (RFC 4287 section 3.1.1.1)."""
    value = str(detail.get("value") or "")
    return paragraphs(value) if detail.get("type") == "text/plain" else value


def paragraphs(text: str) -> str:
    """Return plain text as HTML; a blank line parts paragraphs."""
    parts = (escape(part.strip(), quote=False) for part in re.split(r"\n[ \t\r]*\n", text))
    return "".join(f"<p>{part}</p>" for part in parts if part)


def _whole(summary: str) -> str:
    return "" if _EXCERPT.search(text_of_html(summary)[-300:]) else summary


def _shortened(summary: str) -> str:
    return summary[:-300] + _EXCERPT.sub("…", summary[-300:])


def _name(text: str) -> str:
    """RSS writes `someone@example.org (Jane Roe)`; an address alone is nobody's byline."""
    named = re.fullmatch(r"\s*\S+@\S+\s+\((.+)\)\s*", text[:500])
    name = text_of_html(named[1] if named else text[:500])
    return "" if "@" in name else name


def _pictures(entry: Any) -> Iterator[str]:
    for each in [*entry.get("media_content", []), *entry.get("enclosures", []), *entry.get("media_thumbnail", [])][:20]:
        kind = str(each.get("type") or each.get("medium") or "image")
        url = safe_url(each.get("url") or each.get("href") or "")
        if url and kind.startswith("image"):
            yield url


def _own(entry: Any, name: str) -> Any:
    """Return what the entry itself has; feedparser would answer with another field's value, and warn."""
    return dict.get(entry, name)


def _instant(parsed: Any) -> datetime | None:
    """feedparser has brought the time to UTC."""
    return datetime.fromtimestamp(timegm(parsed), UTC) if parsed else None


def _json_items(content: bytes, origin: str) -> list[Any]:
    feed = read_json(content)
    if not isinstance(feed, dict) or "jsonfeed.org" not in str(feed.get("version")) or not isinstance(feed.get("items"), list):
        raise IntakeError(origin, "this is no RSS, Atom or JSON feed")
    return list(feed["items"][:MAX_ENTRIES])


def _json_draft(item: dict[str, Any]) -> StoryDraft:
    """Read one item of a JSON Feed 1.1 (jsonfeed.org)."""
    body = str(item.get("content_html") or "") or paragraphs(str(item.get("content_text") or ""))
    if not body:
        raise InvalidRequest("it carries an excerpt only, not the story", "body_html")
    authors = item.get("authors") or [item.get("author") or {}]
    published = item.get("date_published") or item.get("date_modified")
    return StoryDraft(
        external_id=str(item.get("id") or item["url"]),
        headline=str(item.get("title") or ""),
        body_html=body,
        summary=str(item.get("summary") or ""),
        byline=tuple(str(author.get("name") or "") for author in authors),
        tags=tuple(map(str, item.get("tags") or [])),
        language=str(item.get("language") or ""),
        canonical_url=str(item.get("url") or ""),
        published_at=datetime.fromisoformat(published) if published else None,
        images=tuple(Image(url=str(item[name])) for name in ("image",) if item.get(name)),
    )
