"""The formats of a story, by name and by media type, and which one a request asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import request
from werkzeug.datastructures import MIMEAccept

from syndicator.errors import InvalidRequest
from syndicator.render.entry import Entry, Terms
from syndicator.render.html import render_html
from syndicator.render.jsonfeed import render_item
from syndicator.render.jsonld import render_jsonld
from syndicator.render.newsml import render_newsml
from syndicator.render.ninjs import NinjsVersion, render_ninjs
from syndicator.render.text import render_text

# What a selection of members cannot leave out: which story it is, whether and when it may be used, and on what terms; in the
# editors' note stand embargo and correction. In lower case.
ALWAYS = frozenset(
    {
        *("uri", "standard", "$standard", "version", "pubstatus", "usageterms", "rightsinfo"),
        *("embargoed", "embargoeduntil", "expires", "ednote"),
    }
)


@dataclass(frozen=True, slots=True)
class Format:
    """`render` returns an object for JSON, text or bytes. `members` says whether single members can be asked for."""

    media_type: str
    render: Callable[[Entry, Terms], dict[str, Any] | str | bytes]
    members: bool = False


def _ninjs(version: NinjsVersion) -> Format:
    return Format("application/json", partial(render_ninjs, version=version), members=True)


NINJS: dict[str, Format] = {"3.1": _ninjs("3.1"), "2.2": _ninjs("2.2"), "1.6": _ninjs("1.6")}
FORMATS: dict[str, Format] = {
    "ninjs": NINJS["3.1"],
    "newsml": Format("application/vnd.iptc.g2.newsitem+xml", render_newsml),
    "jsonld": Format("application/ld+json", render_jsonld),
    "jsonfeed": Format("application/feed+json", render_item),
    "html": Format("text/html; charset=utf-8", render_html),
    "text": Format("text/plain; charset=utf-8", render_text),
}
MEDIA_TYPES = {name: found.media_type.partition(";")[0] for name, found in FORMATS.items()}
_OFFERED = {
    **{media_type: FORMATS[name] for name, media_type in MEDIA_TYPES.items()},
    **{f"application/json; version={version}": found for version, found in NINJS.items()},
}


def wanted_format(name: str | None, version: str | None) -> Format:
    """Return the format asked for by name, else by `Accept`, else ninjs. `version` is of ninjs."""
    if name not in (None, "ninjs") and version is not None:
        raise InvalidRequest("is for ninjs alone", "version")
    if version is not None:
        return NINJS[version]
    return FORMATS[name] if name is not None else _accepted(request.accept_mimetypes)


def _accepted(accept: MIMEAccept) -> Format:
    return _OFFERED[accept.best_match(list(_OFFERED), default="application/json")]


def select_members(document: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return just these members of a ninjs document, case aside, with those that are never left out."""
    kept = {name.lower() for name in names} | ALWAYS
    return {name: value for name, value in document.items() if name.lower() in kept}
