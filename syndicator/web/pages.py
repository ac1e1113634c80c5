"""What every page shares: words for dates, hashed static files, security headers, conditional answers and error pages.

No page of its own and no query. `furnish(app)` puts all of it into the application, once. Whatever a view sets itself stays:
headers here are only defaults. Scripts and styles come from our own files alone, so the policy needs no `unsafe-inline`.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import brotli
from flask import Flask, Response, abort, make_response, redirect, render_template, request
from jinja2 import StrictUndefined
from markupsafe import Markup, escape
from werkzeug.routing import RequestRedirect

from syndicator.channels.answers import in_words
from syndicator.house import House
from syndicator.reasons import Reason

STATIC_FOLDER = Path(__file__).parent / "static"
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ONE_YEAR = "max-age=31536000"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' https: data:",  # a cleared picture stays on the server of the newsroom that took it
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file by content coding, compressed once. Its name carries its hash, so a copy may be kept for ever."""

    name: str
    media_type: str
    bodies: dict[str, bytes]


@cache
def read_assets(folder: Path) -> dict[str, Asset]:
    """Read every file of `folder`, by its plain name such as `site.css`, once in a process."""
    return {file.name: _read_asset(file) for file in sorted(folder.iterdir()) if file.is_file()}


def _read_asset(file: Path) -> Asset:
    plain = file.read_bytes()
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset(
        name=f"{file.stem}.{hashlib.sha256(plain).hexdigest()[:12]}{file.suffix}",
        media_type="text/javascript" if file.suffix == ".js" else media_type,
        bodies={"br": brotli.compress(plain), "gzip": gzip.compress(plain, mtime=0), "identity": plain},
    )


def furnish(app: Flask, house: House) -> None:
    """Give `app` the filters, the static files at /assets/NAME, the security headers, and what templates may name."""
    zone = ZoneInfo(house.config.site.timezone)
    assets = read_assets(STATIC_FOLDER)
    app.jinja_env.undefined = StrictUndefined  # a misspelt name is a fault to see, not an empty place on a page
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {"moment": partial(moment, zone=zone), "brief": partial(brief, zone=zone), "in_words": in_words}
    app.jinja_env.globals |= {
        "house_site": house.config.site,
        "terms": house.terms,
        "feeds_in_head": [feed for feed in house.catalogue if feed.public],
        "feed_title": lambda name: feed.title if (feed := house.catalogue.find(name)) else name,
        "today": lambda: weekday(house.clock(), zone),
        "asset": lambda name: f"/assets/{assets[name].name}",
    }
    app.add_url_rule("/assets/<name>", "asset", partial(_serve_asset, {asset.name: asset for asset in assets.values()}))
    app.after_request(_redirect_within)
    app.after_request(partial(_guard, secure=house.config.site.base_url.startswith("https:")))


def _serve_asset(assets: dict[str, Asset], name: str) -> Response:
    asset = assets.get(name) or abort(404)
    coding = next((each for each in ("br", "gzip") if request.accept_encodings[each] > 0), "identity")
    response = Response(asset.bodies[coding], content_type=f"{asset.media_type}; charset=utf-8")
    response.headers["Cache-Control"] = f"public, {ONE_YEAR}, immutable"
    response.vary.add("Accept-Encoding")
    if coding != "identity":
        response.content_encoding = coding
    response.set_etag(f"{name}-{coding}")
    response.make_conditional(request)
    return response


def _redirect_within(response: Response) -> Response:
    """Lead to a final slash by a path alone: werkzeug writes the host that was asked, whoever's it is, into such redirects."""
    if not isinstance(request.routing_exception, RequestRedirect):
        return response
    query = request.query_string.decode("latin-1")
    return make_response(redirect(f"{quote(request.path)}/{'?' if query else ''}{query}", response.status_code))


def _guard(response: Response, *, secure: bool) -> Response:
    """Set the headers that ask the browser for caution (OWASP ASVS 5.0, 3.4.1 to 3.4.6)."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        headers.setdefault("X-Frame-Options", "DENY")
    if secure:
        headers.setdefault("Strict-Transport-Security", f"{ONE_YEAR}; includeSubDomains")
    return response


def cacheable(response: Response, *, seconds: int) -> Response:
    """Let shared caches keep this answer for `seconds`; a page whose ETag the caller has already is not sent again.

    Conditions count for 200 alone (RFC 9110, 13.2.1): `If-None-Match: *` must not hide that a story is gone.
    """
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    if response.status_code == 200:
        response.add_etag()
        response.make_conditional(request)
    return response


def error_page(status: int, reason: Reason, detail: str) -> Response:
    """Answer `status` with a page that says what happened in words a reader understands, and where to go next.

    For a status that we have words for, `detail` stays unsaid: an embargoed story and an unknown one answer with equal bytes.
    """
    title, words = STATUS_WORDS.get(status, ("That did not work", detail or reason.words))
    response = make_response(render_template("error.html", status=status, title=title, words=words), status)
    response.headers["Cache-Control"] = "no-store"
    return response


STATUS_WORDS = {
    400: ("That request made no sense to us", "Something in the address or the form was not as we expect it."),
    404: ("There is nothing here", "The address may be mistyped, or what it named has not been published."),
    405: ("That cannot be done here", "This address does not take that kind of request."),
    413: (
        "That is too large",
        "What you sent is larger than we take, and nothing of it was kept. Please go back, and send less.",
    ),
    429: ("A little slower, please", "Too many requests came from your address. Wait a minute and try again."),
    500: ("Something broke on our side", "It has been written to our log. Please try again in a while."),
    503: ("Back in a moment", "The service cannot answer just now. Please try again in a while."),
}


def moment(at: datetime, zone: ZoneInfo) -> Markup:
    """Write an instant as people of the newsroom's zone say it, in a <time> that machines can read."""
    return _time(at, f"{_said(at.astimezone(zone))} {at.astimezone(zone).tzname()}")


def brief(at: datetime, zone: ZoneInfo) -> Markup:
    """Write an instant as `moment` does, without the zone, for lists."""
    return _time(at, _said(at.astimezone(zone)))


def weekday(at: datetime, zone: ZoneInfo) -> str:
    """Write the date line of the masthead."""
    local = at.astimezone(zone)
    return f"{WEEKDAYS[local.weekday()]}, {MONTHS[local.month - 1]} {local.day}, {local.year}"


def _said(local: datetime) -> str:
    half = "a.m." if local.hour < 12 else "p.m."
    return f"{MONTHS[local.month - 1]} {local.day}, {local.year}, {local.hour % 12 or 12}:{local.minute:02} {half}"


def _time(at: datetime, words: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), escape(words))
