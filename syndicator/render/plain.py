"""Values as any format can carry them: characters XML allows, the words of a piece of HTML, dates, members that say something.

What is forbidden by XML 1.0 (section 2.2) makes lxml refuse a whole document, so one bad story would take a feed down. Intake
removes such characters too; this is the second lock. No format is known here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from lxml import etree

from syndicator.render.entry import Entry, Terms

T = TypeVar("T")

SUMMARY_LENGTH = 300  # characters of an excerpt, when a story brings no summary

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_PARTS = ("address", "article", "aside", "blockquote", "div", "figcaption", "figure", "footer", "header", "p", "pre", "section")
_BLOCKS = frozenset({*_HEADINGS, *_PARTS, "dd", "dl", "dt", "hr", "ol", "table", "tr", "ul"})


def cleaned(value: T) -> T:
    """Return `value`, a string or a dataclass, tuple or dict of such, without the characters that XML forbids."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    """Clean `value`; what is clean already, as nearly everything is, comes back as the same object, enum members too.

    Every format asks for it several times of each story, so what has been looked through says so: it never changes.
    """
    if isinstance(value, str):
        return _FORBIDDEN.sub("", value) if _FORBIDDEN.search(value) else value
    if isinstance(value, tuple):
        items = tuple(map(_cleaned, value))
        return value if all(map(operator.is_, items, value)) else items
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if not is_dataclass(value) or isinstance(value, type) or getattr(value, "clean", False):
        return value
    pairs = [(field.name, getattr(value, field.name)) for field in fields(value)]
    changed = {name: new for name, old in pairs if (new := _cleaned(old)) is not old}
    clean = replace(value, **changed) if changed else value
    if isinstance(clean, Entry | Terms):
        object.__setattr__(clean, "clean", True)
    return clean


def one_line(text: str) -> str:
    """Return `text` trimmed, every run of white space one space."""
    return " ".join(text.split())


def plain_text(html: str) -> str:
    """Return the words of `html`: paragraphs parted by a blank line, list items led by a hyphen, no markup."""
    joined = "".join(_pieces(html))
    return re.sub(r" ?\n ?", "\n", re.sub(r" ?\n[ \n]*\n ?", "\n\n", joined)).strip()


def links_of(html: str) -> list[tuple[str, str]]:
    """Return words and address of each link of `html`, in order, each address once."""
    found: dict[str, str] = {}
    for anchor in html_tree(html).iter("a"):
        href = (anchor.get("href") or "").strip()
        if href and not href.startswith("#"):
            found.setdefault(href, one_line("".join(anchor.itertext())))
    return [(words, href) for href, words in found.items()]


def excerpt(text: str, length: int = SUMMARY_LENGTH) -> str:
    """Return the beginning of `text` in one line, cut between words, at most `length` characters."""
    line = one_line(text)
    if len(line) <= length:
        return line
    return line[: length - 1].rsplit(" ", 1)[0].rstrip(" ,;:–—-") + "…"


def summary_of(entry: Entry) -> str:
    """Return the story's summary in one line of plain text, else the beginning of its body, else its headline."""
    return one_line(entry.summary) or excerpt(plain_text(_beginning(entry.body_html))) or one_line(entry.headline)


def whole_second(instant: datetime) -> datetime:
    """Return `instant` in UTC without its fraction: readers compare dates across formats, and RSS has no fractions."""
    return instant.astimezone(UTC).replace(microsecond=0)


def rfc3339(instant: datetime) -> str:
    """Write `instant` as RFC 3339 in UTC, in whole seconds, ending in Z."""
    return whole_second(instant).isoformat().replace("+00:00", "Z")


def present(value: Any) -> Any:
    """Return `value`, made for JSON, without members that say nothing."""
    if isinstance(value, dict):
        kept = {key: present(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", [], {})}
    return [present(item) for item in value] if isinstance(value, list) else value


def _beginning(html: str, length: int = 10 * SUMMARY_LENGTH) -> str:
    """Return enough of `html` for an excerpt, cut before a tag: parsing whole bodies would double the time a feed takes."""
    return html if len(html) <= length else html[:length].rpartition("<")[0] or html[:length]


def html_tree(html: str) -> Any:
    """Parse `html`, a fragment, however broken, and return the `body` it stands in; comments are dropped."""
    parser = etree.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    root = etree.fromstring(f"<div>{_cleaned(html)}</div>", parser)
    body = root.find("body")
    return root if body is None else body


def _pieces(html: str) -> Iterator[str]:
    for event, element in etree.iterwalk(html_tree(html), events=("start", "end")):
        starts = event == "start"
        if element.tag == "br" and starts:
            yield "\n"
        elif element.tag == "li":
            yield "\n- " if starts else "\n"
        elif element.tag in _BLOCKS:
            yield "\n\n"
        if text := element.text if starts else element.tail:
            yield re.sub(r"\s+", " ", text)
