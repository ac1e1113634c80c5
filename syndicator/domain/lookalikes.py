"""Names that look like other names: letters of several scripts in one word, and a key under which look-alikes are equal.

The idea is that of Unicode Technical Standard 39 (skeletons, mixed scripts); the table holds only what passes for Latin letters.
"""

from __future__ import annotations

import unicodedata

# What passes for which Latin letter: Cyrillic, Greek, Armenian, Cherokee and others, digits and marks.
_PASSES_FOR = {
    "a": "аɑα", "b": "ЬвБВβ", "c": "сϲⅽС", "d": "ԁⅾɗ", "e": "еёҽєΕε", "f": "ғƒ", "g": "ɡց", "h": "һհнΗ", "i": "іїıιӏΙ1l|!ɩ",
    "j": "јϳ", "k": "кκКΚ", "m": "мmМΜ", "n": "пոηΝ", "o": "оοօ0σΟО", "p": "рρРΡ", "q": "ԛզ", "r": "гʀ", "s": "ѕ5$Ѕ",
    "t": "тτТΤ", "u": "υսцμ", "v": "ѵν", "w": "ԝшѡω", "x": "хχХΧ", "y": "уүγУΥ", "z": "ʐΖ",
}  # fmt: skip
_LATIN = {mark: letter for letter, marks in _PASSES_FOR.items() for mark in marks}
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "HEBREW", "ARABIC", "GEORGIAN", "COPTIC")


def look_of(name: str) -> str:
    """Return the key under which names that read alike are equal, at most 200 characters; it is not meant to be read."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", name) if not unicodedata.combining(mark))
    read = "".join(_LATIN.get(mark, _LATIN.get(mark.casefold(), mark.casefold())) for mark in plain)
    read = read.replace("rn", "m").replace("vv", "w")
    return "".join(mark for mark in read if mark.isalnum())[:200]


def scripts_of(word: str) -> frozenset[str]:
    """Return the scripts whose letters stand in `word`, such as LATIN and CYRILLIC."""
    named = (unicodedata.name(mark, "").partition(" ")[0] for mark in unicodedata.normalize("NFKC", word) if mark.isalpha())
    return frozenset(script for script in named if script in _SCRIPTS)


def mixed_words(name: str) -> list[str]:
    """Return the words (or labels of a domain name, decoded) that mix letters of several scripts."""
    words = [_decoded(label) for word in name.split() for label in word.split(".")]
    return [word for word in words if len(scripts_of(word)) > 1]


def shown_domain(domain: str) -> str:
    """Return a domain name as its readers see it, its A-labels decoded (RFC 5891)."""
    return ".".join(map(_decoded, domain.split(".")))


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.encode("ascii").decode("idna")
    except UnicodeError:
        return label
