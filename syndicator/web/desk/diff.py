"""The difference between two texts as marked-up words: what went is struck out, what came is underlined. Pure, and bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from markupsafe import Markup, escape

MOST_WORDS = 4000  # of one passage; beyond that whole passages are compared
TAGS = {"del": Markup("<del>{}</del>"), "ins": Markup("<ins>{}</ins>")}
_PIECES = re.compile(r"\s+|[^\s]+")


def marked_difference(old: str, new: str) -> Markup:
    """Return `new` beside `old`, paragraph by paragraph, as safe HTML with <del> and <ins>."""
    before, after = old.split("\n"), new.split("\n")
    passages: list[Markup] = []
    for how, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if how == "equal":
            passages += [Markup("<p>{}</p>").format(line) for line in after[c:d] if line.strip()]
        else:
            passages.append(Markup("<p>{}</p>").format(_words("\n".join(before[a:b]), "\n".join(after[c:d]))))
    return Markup("").join(passages)


def _words(old: str, new: str) -> Markup:
    before, after = _PIECES.findall(old), _PIECES.findall(new)
    if max(len(before), len(after)) > MOST_WORDS:
        return _tagged("del", old) + _tagged("ins", new)
    return Markup("").join(_changes(before, after))


def _changes(before: list[str], after: list[str]) -> Iterator[Markup]:
    for how, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if how == "equal":
            yield escape("".join(after[c:d]))
        else:
            yield _tagged("del", "".join(before[a:b])) + _tagged("ins", "".join(after[c:d]))


def _tagged(tag: str, text: str) -> Markup:
    return TAGS[tag].format(text) if text else Markup("")
