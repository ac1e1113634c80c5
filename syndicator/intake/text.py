"""Plain text from outside: characters that may not stay, and finding the notice however it is dressed.

The notice is found by its letters and digits alone: markup, spacing, quotation marks, case, accents and invisible characters do
not hide it. Knows no HTML but `text_of_html`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

import lxml.html
from lxml import etree

from syndicator.errors import InvalidRequest

# Controls, lone surrogates, noncharacters, direction marks and overrides, invisible letters and tags. The joiners U+200C and
# U+200D stay, since Persian, Indic scripts and emoji are misspelled without them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)
_UNFOLDED = re.compile(r" \s+|[^\S ]\s*")  # any whitespace but a single space
_SHORTEST_NOTICE = 20  # letters; anything shorter would cut ordinary prose
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+[^\s@.,;]")


def fold(text: str) -> str:
    """Return `text` without unwanted characters, each stretch of whitespace one space, the ends kept."""
    return _UNFOLDED.sub(" ", _UNWANTED.sub("", text))


def visible(text: str) -> str:
    """Return `text` without unwanted characters, whitespace kept as it is."""
    return _UNWANTED.sub("", text)


def plain(text: str, limit: int) -> str:
    """Return one trimmed line of at most `limit` characters."""
    return fold(text).strip()[:limit].rstrip()


def text_of_html(markup: str) -> str:
    """Return the words of a small piece of HTML, such as a title: tags dropped, entities decoded, whitespace folded."""
    if "<" not in markup and "&" not in markup:
        return fold(markup).strip()
    root = parse_html(markup)
    etree.strip_elements(root, "script", "style", "template", "noscript", "iframe", with_tail=False)
    return fold("".join(str(piece) for piece in root.itertext())).strip()


def parse_html(markup: str) -> lxml.html.HtmlElement:
    """Parse a fragment or document; comments are left out. libxml2 stops nesting at 2,048, so time stays linear."""
    parser = lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    return lxml.html.document_fromstring(b"<html><body>" + visible(markup).encode() + b"\n</body></html>", parser=parser)


def letters(text: str) -> str:
    """Return what the notice is compared by: letters and digits, decomposed and case-folded.

    The same for a text as for its characters one by one, since all that a decomposition may reorder is dropped.
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()))


def notice_keys(notice_texts: Sequence[str]) -> tuple[str, ...]:
    """Return the letters to look for, longest first: each wording whole, with its address hidden from harvesters, and without."""
    wordings = {
        letters(variant)
        for text in notice_texts
        for variant in (text, _EMAIL.sub("[email protected]", text), _EMAIL.sub("", text))
    }
    return tuple(sorted((key for key in wordings if len(key) >= _SHORTEST_NOTICE), key=lambda key: (-len(key), key)))


def holds_notice(text: str, keys: Sequence[str]) -> bool:
    """Say whether any wording of the notice stands in `text`."""
    there = letters(text)
    return any(key in there for key in keys)


def cut_notice(runs: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the text runs of one document without the notice, which may reach over several of them or stand inside itself."""
    doomed = bytearray(sum(map(len, runs)))
    joined = "".join(runs)
    found = [(letter, at) for at, char in enumerate(joined) for letter in letters(char)]
    for key in keys:
        found = _without(found, key, doomed)
    for at, char in enumerate(joined[1:], start=1):
        if doomed[at - 1] and char in ".\u200c\u200d":  # its full stop, whatever markup stands before it
            doomed[at] = 1
    kept, start = [], 0
    for run in runs:
        marks = doomed[start : start + len(run)]
        kept.append(_mend(run, marks) if any(marks) else run)
        start += len(run)
    return kept


def without_begun_notice(line: str, keys: Sequence[str]) -> str:
    """Return an excerpt without the beginning of a notice at its end, where whoever made the excerpt cut it off."""
    for key in keys:
        words = letters(line)
        start = words.find(key[:_SHORTEST_NOTICE])
        if start >= 0 and key.startswith(words[start:]):
            counts = accumulate(len(letters(char)) for char in line)
            return without_begun_notice(line[: sum(count <= start for count in counts)].rstrip(), keys)
    return line


def _without(found: list[tuple[str, int]], key: str, doomed: bytearray) -> list[tuple[str, int]]:
    """Take every `key` out of the letters, also one that comes together only when another is gone, and doom its characters."""
    kept: list[tuple[str, int]] = []
    for letter in found:
        kept.append(letter)
        if letter[0] != key[-1] or len(kept) < len(key) or kept[-2][0] != key[-2] or kept[-3][0] != key[-3]:
            continue
        if "".join(c for c, _ in kept[-len(key) :]) == key:
            first, last = kept[-len(key)][1], kept[-1][1]
            doomed[first : last + 1] = b"\x01" * (last + 1 - first)
            del kept[-len(key) :]
    return kept


def _mend(run: str, marks: bytearray) -> str:
    """Drop the doomed characters, and a run that they leave without any letter."""
    pieces = []
    at = 0
    while at < len(run):
        if marks[at]:
            while at < len(run) and marks[at]:
                at += 1
            pieces.append(" ")
        else:
            pieces.append(run[at])
            at += 1
    rest = "".join(pieces)
    return rest if any(char.isalnum() for char in rest) else " "


def why_unread(error: Exception) -> str:
    """Say what reading one piece of a source's answer stumbled over, in words for the newsroom that runs the source."""
    if isinstance(error, InvalidRequest):
        return str(error)
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return "a part of it is not of the kind that belongs there"
