"""How HTTP answers from a finished feed document: whole, or that nothing has changed.

Conditions, content codings, caching and what browsers on other sites may read (RFC 9110 sections 8, 9, 12.5.3, 13). No file, no
clock, no Flask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from werkzeug.datastructures import Accept
from werkzeug.http import http_date, parse_accept_header, parse_date, parse_etags

from syndicator.documents import CODINGS, Stored

SHARED_SECONDS = 30  # how long a cache of many may keep a document, so that a kill is seen; readers' own keep it as long as `ttl`
STALE_SECONDS = 30  # and how much longer it may show the old one while it fetches the new one (RFC 5861)
MAX_FIELD_BYTES = 8192  # a longer request header field is read as if it were not there
MAX_CODINGS_BYTES = 512  # of Accept-Encoding: each name in it is parsed, and nobody knows a dozen
_METHODS = "GET, HEAD, OPTIONS"


class Answer(NamedTuple):
    """An HTTP answer; `body` is empty where the method or status forbids one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def answer(stored: Stored, method: str, environ: Mapping[str, Any], *, private: bool) -> Answer:
    """Answer a request for `stored` (RFC 9110 sections 8, 9, 12.5.3, 13); `environ` is WSGI's. Raises nothing, whatever is sent.

    `private`: the asker had to show who it is, so no shared cache may keep the answer and no hub is named.
    """
    if method == "OPTIONS":
        return Answer(204, [("Allow", _METHODS), *_preflight(stored)], b"")
    if method not in {"GET", "HEAD"}:
        return Answer(405, [("Allow", _METHODS), ("Content-Length", "0"), ("Cache-Control", "no-store")], b"")
    coding = choose_coding(_field(environ, "HTTP_ACCEPT_ENCODING", MAX_CODINGS_BYTES))
    if _unmodified(stored, coding, environ):
        return Answer(304, _common_headers(stored, coding, private), b"")
    body = stored.bodies[coding]
    return Answer(200, _full_headers(stored, coding, private), b"" if method == "HEAD" else body)


def choose_coding(accepted: str | None) -> str:
    """Choose the content coding for an Accept-Encoding value (RFC 9110 section 12.5.3), None when there is no such field.

    The highest q wins, then our own order; identity is what remains, also where it was refused: a 406 helps no reader. `*` asks
    for gzip, which everybody who writes it can read; br must be asked for by name.
    """
    if not accepted:
        return "identity"
    wishes: dict[str, float] = {}
    for name, quality in parse_accept_header(accepted.lower(), Accept):
        coding = "gzip" if name == "x-gzip" else name
        wishes[coding] = max(wishes.get(coding, 0.0), quality)
    others = wishes.get("*", 0.0)
    weights = {"br": wishes.get("br", 0.0), "gzip": wishes.get("gzip", others), "identity": wishes.get("identity", others)}
    best = max(CODINGS, key=lambda coding: weights[coding])  # the first of equals
    return best if weights[best] > 0 else "identity"


def _unmodified(stored: Stored, coding: str, environ: Mapping[str, Any]) -> bool:
    """Say whether the asker's copy is still good (RFC 9110 sections 13.1.2, 13.1.3); If-None-Match alone decides when it is sent.

    Only the tag of the chosen coding counts: told "your gzip copy is good", a cache would give gzip to one who cannot read it.
    A date that an earlier document told as well proves nothing (section 8.8.2.2).
    """
    if "HTTP_IF_NONE_MATCH" in environ:
        tags = _field(environ, "HTTP_IF_NONE_MATCH")
        return parse_etags(tags).contains_weak(stored.etags[coding][1:-1])
    since = _field(environ, "HTTP_IF_MODIFIED_SINCE")
    try:
        when = parse_date(since)
    except (OverflowError, IndexError):  # a year or zone beyond what a datetime holds
        return False
    return when is not None and stored.has_own_date and stored.updated <= when


def _field(environ: Mapping[str, Any], name: str, most: int = MAX_FIELD_BYTES) -> str | None:
    value = environ.get(name)
    return value if isinstance(value, str) and len(value) <= most else None


def _full_headers(stored: Stored, coding: str, private: bool) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", stored.content_type),
        ("Content-Length", str(len(stored.bodies[coding]))),
        ("X-Content-Type-Options", "nosniff"),
        *_common_headers(stored, coding, private),
    ]
    if stored.has_own_date:  # else a cache in between would answer by it
        headers.append(("Last-Modified", http_date(stored.updated)))
    if coding != "identity":
        headers.append(("Content-Encoding", coding))
    links = [link for link in stored.links if not (private and 'rel="hub"' in link)]
    if links:
        headers.append(("Link", ", ".join(links)))
    return headers


def _common_headers(stored: Stored, coding: str, private: bool) -> list[tuple[str, str]]:
    """What a 304 repeats of the 200 (RFC 9110 section 15.4.5), and what guards either."""
    headers = [("ETag", stored.etags[coding]), ("Cache-Control", _cache_control(stored, private))]
    if private:
        headers += [("Vary", "Accept-Encoding, Authorization"), ("Referrer-Policy", "no-referrer"), ("X-Robots-Tag", "noindex")]
    else:
        headers.append(("Vary", "Accept-Encoding"))
    if stored.cors:
        headers += [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "ETag, Last-Modified, Link")]
    return headers


def _cache_control(stored: Stored, private: bool) -> str:
    """How long a copy may be used. Nothing stale on errors: behind a shared cache a kill is seen within a minute.

    `immutable` (RFC 8246) speaks of the time that a copy is fresh, so a kill is seen in an archive as soon as elsewhere.
    """
    if private:
        return "private, no-store"
    shared = min(SHARED_SECONDS, stored.max_age_seconds)
    times = f"public, max-age={stored.max_age_seconds}, s-maxage={shared}, stale-while-revalidate={STALE_SECONDS}"
    return f"{times}, immutable" if stored.immutable else times


def _preflight(stored: Stored) -> list[tuple[str, str]]:
    """The answer to a browser that asks before it sends our validators (Fetch standard, CORS preflight)."""
    if not stored.cors:
        return []
    return [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", "If-None-Match, If-Modified-Since"),
        ("Access-Control-Max-Age", "86400"),
    ]
