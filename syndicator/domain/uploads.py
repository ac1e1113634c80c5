"""Which files may be given as evidence, judged by their content and never by their name or what the browser says of them."""

from __future__ import annotations

import csv
import re

from syndicator.errors import InvalidRequest

MOST_BYTES = 3_000_000  # of one file
MOST_BYTES_IN_ALL = 30_000_000  # of one publisher
MEDIA_TYPES = {"pdf": "application/pdf", "png": "image/png", "jpeg": "image/jpeg", "csv": "text/csv"}
ACCEPT = ".pdf,.png,.jpg,.jpeg,.csv"  # for the browser's dialogue; it is not believed
WORDS = "a PDF, PNG, JPEG or CSV file"

_JPEG_END = b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_MARKUP = re.compile(rb"<\s*(!doctype|!--|\?xml|html|script|svg|head|body|iframe|[a-z]+\s+on)", re.IGNORECASE)
_FORMULA = re.compile(r"\s*(=|@|[+-](?![\d.,\s]*%?$))")


def kind_of(content: bytes) -> str:
    """Return `pdf`, `png`, `jpeg` or `csv`; raises InvalidRequest (field `file`) for everything else.

    A CSV file whose cells a spreadsheet would run (OWASP ASVS 5.0, 1.2.10) is refused too: the desk opens it in one.
    """
    if not content:
        raise InvalidRequest("The file is empty.", "file")
    if len(content) > MOST_BYTES:
        raise InvalidRequest(f"The file is larger than {MOST_BYTES // 1_000_000} MB.", "file")
    if content.startswith(b"%PDF-") and b"%%EOF" in content[-2048:]:
        return "pdf"
    if content.startswith(_PNG_START) and content.rstrip(b"\0").endswith(_PNG_END):
        return "png"
    if content.startswith(b"\xff\xd8\xff") and content.rstrip(b"\0\r\n").endswith(_JPEG_END):
        return "jpeg"
    if _is_table(content):
        return "csv"
    raise InvalidRequest(f"This is not {WORDS}, or it is damaged.", "file")


def _is_table(content: bytes) -> bool:
    """Whether `content` is plain text in lines of equal columns; raises InvalidRequest for a table with formulas."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    if not all(mark.isprintable() or mark in "\r\n\t" for mark in text) or _MARKUP.search(content):
        return False
    lines = text.splitlines()
    if len(lines) < 2 or len(lines) > 100_000:
        return False
    mark = max(",;\t", key=lines[0].count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=mark) if row]
    except csv.Error:
        return False
    if any(_FORMULA.match(cell) for row in rows for cell in row):
        raise InvalidRequest(
            "A cell begins with =, @, + or -; a spreadsheet would run it. Save the file with values only.", "file"
        )
    return len(rows) > 1 and len(rows[0]) > 1
