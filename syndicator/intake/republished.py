"""Looking at a page that republishes a story: is it there, with byline, notice, its origin, and the words as they stand now?

Values in, findings out: no network, no database. What cannot be told is None, never a reproach.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from syndicator.intake.text import fold, holds_notice, letters, notice_keys, parse_html

RUN = 5  # words in a row that count as the same passage
CLOSE = 0.6  # of the story's passages: shortened, but the story
TRACE = 0.2  # fewer than this: the story is not on the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The story as it stands now."""

    usable: bool
    body_text: str
    byline: tuple[str, ...]
    notice: str
    origins: tuple[str, ...]  # addresses that a canonical link may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one look found. `fine` sums up: what is to be there is there, or what is to be gone is gone."""

    status: int
    present: bool
    fine: bool
    byline: bool | None = None
    notice: bool | None = None
    origin: bool | None = None  # canonical to the origin, or noindex
    share: float | None = None  # of the story's passages found on the page
    words: str = ""

    def record(self) -> dict[str, Any]:
        return asdict(self)


def examine(status: int, content: bytes, content_type: str, robots_header: str, wanted: Wanted) -> Findings:
    """Judge an answer; `wanted` is the current version, or what was withdrawn."""
    if status in {404, 410}:
        return Findings(status=status, present=False, fine=not wanted.usable, words="The page is gone.")
    if status != 200 or "html" not in content_type:
        return Findings(status=status, present=False, fine=False, words="The page could not be read.")
    page = parse_html(_decoded(content, content_type))
    noindex = "noindex" in robots_header.lower() or _noindex(page)
    origin = noindex or any(_same_page(_canonical(page), address) for address in wanted.origins)
    etree.strip_elements(page, "script", "style", "noscript", "template", with_tail=False)
    text = fold(" ".join(str(piece) for piece in page.itertext()))
    share = passages_found(wanted.body_text, text)
    present = share >= TRACE
    if not wanted.usable:
        words = "The withdrawn story is still there." if present else "The story is no longer on the page."
        return Findings(status=status, present=present, fine=not present, share=share, words=words)
    byline = not wanted.byline or all(letters(name) in letters(text) for name in wanted.byline)
    notice = holds_notice(text, notice_keys((wanted.notice,)))
    faults = {
        "the story's words are not there": not present,
        "its words differ from the current version": present and share < CLOSE,
        "the byline is missing": not byline,
        "the notice is missing": not notice,
        "neither a canonical link to the origin nor noindex": not origin,
    }
    found = [fault for fault, there in faults.items() if there]
    words = "; ".join(found).capitalize() or "All as agreed."
    return Findings(
        status=status, present=present, fine=not found, byline=byline, notice=notice, origin=origin, share=share, words=words
    )


def _decoded(content: bytes, content_type: str) -> str:
    """Decode as the answer declares, else as the page does, else as UTF-8."""
    declared = re.search(r"charset=[\"']?([\w-]{1,40})", f"{content_type} {content[:4096].decode('ascii', 'replace')}", re.I)
    try:
        return content.decode(declared[1] if declared else "utf-8", "replace")
    except LookupError:  # no such encoding
        return content.decode("utf-8", "replace")


def passages_found(story: str, page: str) -> float:
    """Return which share of the passages of `story`, runs of five words, stands in `page`, to two places; 1 for no words."""
    wanted, there = _runs(story), _runs(page)
    return round(len(wanted & there) / len(wanted), 2) if wanted else 1.0


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())[:50_000]
    size = min(RUN, len(words))
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)} if words else set()


def _canonical(page: Any) -> str:
    found = page.xpath('//link[translate(@rel, "CANONICL", "canonicl")="canonical"]/@href')
    return str(found[0]).strip() if found else ""


def _noindex(page: Any) -> bool:
    named = page.xpath('//meta[translate(@name, "ROBTS", "robts")="robots"]/@content')
    return any("noindex" in str(content).lower() for content in named)


def _same_page(one: str, other: str) -> bool:
    try:
        left, right = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    hosts = [(each.hostname or "").removeprefix("www.") for each in (left, right)]
    return bool(hosts[0]) and hosts[0] == hosts[1] and left.path.rstrip("/") == right.path.rstrip("/")
