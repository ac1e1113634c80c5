"""Which files may be given as evidence, judged by their content and never by their name or what the browser says of them.

A picture is walked from its first byte to its last, so that nothing stands behind it; a file that is two things at once (a page
or an archive besides) is refused. What is taken still leaves as a download alone.
"""

from __future__ import annotations

import csv
import re
import zlib

from syndicator.errors import InvalidRequest

MOST_BYTES = 3_000_000  # of one file
MOST_BYTES_IN_ALL = 30_000_000  # of one publisher
MOST_LINES = 100_000
MOST_PIXELS = 50_000_000  # a small file can unpack to gigabytes on the reviewer's screen
MEDIA_TYPES = {"pdf": "application/pdf", "png": "image/png", "jpeg": "image/jpeg", "csv": "text/csv"}
ACCEPT = ".pdf,.png,.jpg,.jpeg,.csv"  # for the browser's dialogue; it is not believed
WORDS = "a PDF, PNG, JPEG or CSV file"

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PDF_START = re.compile(rb"%PDF-[12]\.[0-9]")
_MARKUP = re.compile(rb"<\s*(!doctype|!--|\?xml|html|script|svg|head|body|iframe|[a-z]+\s+on)", re.IGNORECASE)
_SNIFFED_BYTES = 1445  # so far browsers look for a type (WHATWG MIME Sniffing, 5.2)
_ARCHIVE_END, _ARCHIVE_END_BYTES = b"PK\x05\x06", 65_557  # how a ZIP ends, and where at the latest (APPNOTE 4.3.16)
_BLANKS = "\xa0\u2007\u2009\u202f"  # between the digits of numbers
_FORMULA = re.compile(r"\s*(=|@|[+-](?![\d.,\s]*%?$))")
# JPEG (ITU-T T.81, table B.1): markers that stand alone, and those that open a frame and tell its size.
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9


def kind_of(content: bytes) -> str:
    """Return `pdf`, `png`, `jpeg` or `csv`; raises InvalidRequest (field `file`) for everything else.

    A CSV file whose cells a spreadsheet would run (OWASP ASVS 5.0, 1.2.10) is refused too: the desk opens it in one.
    """
    if not content:
        raise InvalidRequest("The file is empty.", "file")
    if len(content) > MOST_BYTES:
        raise InvalidRequest(f"The file is larger than {MOST_BYTES // 1_000_000} MB.", "file")
    if not _is_something_else(content):
        for kind, judge in (("pdf", _is_document), ("png", _is_png), ("jpeg", _is_jpeg)):
            if judge(content):
                return kind
        if _is_table(content):
            return "csv"
    raise InvalidRequest(f"This is not {WORDS}, or it is damaged.", "file")


def _is_something_else(content: bytes) -> bool:
    """Whether a browser could take it for a page, or an archiver for an archive, whatever else it is."""
    return _MARKUP.search(content[:_SNIFFED_BYTES]) is not None or _ARCHIVE_END in content[-_ARCHIVE_END_BYTES:]


def _is_document(content: bytes) -> bool:
    return _PDF_START.match(content) is not None and b" obj" in content and b"%%EOF" in content[-2048:]


def _is_png(content: bytes) -> bool:
    """Whether `content` is one chunk after the other, each with its checksum, from IHDR to IEND (PNG, 5.3)."""
    if not content.startswith(_PNG_START) or content[12:16] != b"IHDR":
        return False
    _require_size(int.from_bytes(content[16:20]), int.from_bytes(content[20:24]))
    place = len(_PNG_START)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4])
        name, end = content[place + 4 : place + 8], place + 8 + length
        if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return False
        if name == b"IEND":
            return length == 0 and end + 4 == len(content)
        place = end + 4
    return False


def _is_jpeg(content: bytes) -> bool:
    """Whether `content` is one segment after the other, from SOI to EOI (ITU-T T.81, B.1).

    Telephones put a second picture behind the first (CIPA DC-007), and zeros where they like.
    """
    rest = content
    while rest.startswith(b"\xff\xd8\xff"):
        end = _jpeg_end(rest)
        rest = rest[end:].lstrip(b"\0") if end else b"?"
    return content.startswith(b"\xff\xd8\xff") and not rest


def _jpeg_end(content: bytes) -> int:
    """Return where the picture at the start of `content` ends; 0 if it has no whole one."""
    place, framed = 2, False
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != _END:
        marker = content[place + 1]
        if marker in _ALONE or marker == 0xFF:  # 0xFF: a byte of padding
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            _require_size(int.from_bytes(content[place + 7 : place + 9]), int.from_bytes(content[place + 5 : place + 7]))
            framed = True
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
        if marker == _SCAN:
            place = _after_scan(content, place)
    return place + 2 if framed and content[place : place + 2] == bytes((0xFF, _END)) else 0


def _after_scan(content: bytes, place: int) -> int:
    """Return where the next segment begins: the first marker that is neither a stuffed byte nor a restart."""
    while (place := content.find(b"\xff", place)) != -1:
        if content[place + 1 : place + 2] not in {b"\0", *(bytes((each,)) for each in range(0xD0, 0xD8))}:
            return place
        place += 2
    return len(content)


def _require_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise InvalidRequest(f"The picture is larger than {MOST_PIXELS // 1_000_000} megapixels.", "file")


def _is_table(content: bytes) -> bool:
    """Whether `content` is plain text in lines of several columns; raises InvalidRequest for a table with formulas.

    Reports begin with a title or remarks of their own, so not every line has to be a row.
    """
    text = _text_of(content)
    if not all(mark.isprintable() or mark in "\r\n\t" + _BLANKS for mark in text) or _MARKUP.search(content):
        return False
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        return False
    try:  # a spreadsheet of another country reads another separator
        tables = [[row for row in csv.reader(lines, delimiter=mark) if row] for mark in ",;\t"]
    except csv.Error:
        return False
    if any(_FORMULA.match(cell) for rows in tables for row in rows for cell in row):
        raise InvalidRequest(
            "A cell begins with =, @, + or -; a spreadsheet would run it. Save the file with values only.", "file"
        )
    return any(sum(len(row) > 1 for row in rows) > 1 for rows in tables)


def _text_of(content: bytes) -> str:
    """Decode what a spreadsheet saved: UTF-8, or what Windows writes; nothing for what is neither."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""
