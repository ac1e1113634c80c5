"""What people type, kept to what can be seen: no control, bidi or invisible characters (reliability S23)."""

from __future__ import annotations

# Unicode's Default_Ignorable_Code_Point as far as str.isprintable lets it pass, and the empty Braille cell.
_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFFA0))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))


def one_visible_line(text: str) -> str:
    """Return `text` in one line, single blanks between its words."""
    return " ".join("".join(mark for mark in text if _seen(mark) or mark.isspace()).split())


def visible_lines(text: str) -> str:
    """Return `text` with its line breaks as `\\n`, blanks of every width as one kind, nothing at the ends of lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("".join(_as_seen(mark) for mark in line).rstrip() for line in lines).strip()


def _seen(mark: str) -> bool:
    return mark.isprintable() and mark not in _UNSEEN


def _as_seen(mark: str) -> str:
    if _seen(mark) or mark == "\t":
        return mark
    return " " if mark.isspace() else ""
