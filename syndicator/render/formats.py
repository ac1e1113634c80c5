"""The formats that a story is written to a file in: what it is called at the end, and the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from syndicator.render.entry import Entry, Terms
from syndicator.render.html import render_html
from syndicator.render.jsonld import render_jsonld
from syndicator.render.newsml import render_newsml
from syndicator.render.ninjs import render_ninjs
from syndicator.render.text import render_text

Render = Callable[[Entry, Terms], dict[str, Any] | str | bytes]
FILES: dict[str, tuple[str, Render]] = {
    "html": ("html", render_html),
    "text": ("txt", render_text),
    "ninjs": ("json", render_ninjs),
    "newsml": ("xml", render_newsml),
    "jsonld": ("jsonld", render_jsonld),
}


def render_file(name: str, entry: Entry, terms: Terms) -> tuple[str, bytes]:
    """Return the ending of a file in the format `name`, and its content; equal stories give equal bytes."""
    ending, render = FILES[name]
    found = render(entry, terms)
    if isinstance(found, dict):
        found = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    return ending, found if isinstance(found, bytes) else found.encode("utf-8", "replace")
