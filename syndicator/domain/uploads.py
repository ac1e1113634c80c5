"""Which files may be given as evidence, judged by their content and never by their name or what the browser says of them.

A picture is walked from its first byte to its last, so that nothing stands behind it; a file that is two things at once (a page
or an archive besides) is refused. What is taken still leaves as a download alone.
"""

from __future__ import annotations

import re
import zlib

from syndicator.errors import InvalidRequest

MOST_BYTES = 3_000_000  # of one file
MOST_BYTES_IN_ALL = 30_000_000  # of one publisher
MOST_SEGMENTS = 5_000  # of a JPEG
MOST_PICTURES = 4  # in one JPEG
MOST_PIXELS = 50_000_000  # a small file can unpack to gigabytes on the reviewer's screen
MEDIA_TYPES = {"pdf": "application/pdf", "png": "image/png", "jpeg": "image/jpeg", "csv": "text/csv"}
ACCEPT = ".pdf,.png,.jpg,.jpeg,.csv"  # for the browser's dialogue; it is not believed
WORDS = "a PDF, PNG, JPEG or CSV file"

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PDF_START = re.compile(rb"%PDF-[12]\.[0-9]")
_MARKUP = re.compile(rb"<\s{0,20}(!doctype|!--|\?xml|html|script|svg|head|body|iframe|[a-z]{1,20}\s{1,20}on)", re.IGNORECASE)
_SNIFFED_BYTES = 1445  # so far browsers look for a type (WHATWG MIME Sniffing, 5.2)
_ARCHIVE_END, _ARCHIVE_END_BYTES = b"PK\x05\x06", 65_557  # how a ZIP ends, and where at the latest (APPNOTE 4.3.16)
_LET_BE = dict.fromkeys(map(ord, "\r\n\t\xa0\u2007\u2009\u202f"))  # breaks, and blanks between the digits of numbers
# A cell that begins as a formula does, whichever mark separates: a spreadsheet of another country reads another one.
_FORMULA = re.compile(r"(?:^|[,;\t])[ \"]{0,20}(?:[=@]|[+-](?![\d., \xa0\u202f]{0,40}%?\"?(?:[,;\t]|$)))", re.MULTILINE)
# JPEG (ITU-T T.81, B.1): markers that stand alone or pad, those that open a frame and tell its size, and what ends a scan:
# neither a stuffed byte nor a restart.
_ALONE = re.compile(rb"(?:\xff+(?=\xff)|\xff[\x01\xd0-\xd7])+")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _JPEG_START, _JPEG_END = 0xDA, b"\xff\xd8\xff", b"\xff\xd9"
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_ZEROS = re.compile(rb"\0*")


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
    place = 0
    for _ in range(MOST_PICTURES):
        place = _jpeg_end(content, place)
        if place in {0, len(content)}:
            break
    return place == len(content)


def _jpeg_end(content: bytes, place: int) -> int:
    """Return where the picture at `place` and the zeros behind it end; 0 if there is no whole one."""
    if not content.startswith(_JPEG_START, place):
        return 0
    place, framed = place + 2, False
    for _ in range(MOST_SEGMENTS):
        if alone := _ALONE.match(content, place):
            place = alone.end()
        if content.startswith(_JPEG_END, place):
            behind = _ZEROS.match(content, place + 2)
            return behind.end() if framed and behind else 0
        marker, length = content[place + 1 : place + 2], int.from_bytes(content[place + 2 : place + 4])
        if content[place : place + 1] != b"\xff" or not marker or length < 2:
            return 0
        if marker[0] in _FRAMES:
            _require_size(int.from_bytes(content[place + 7 : place + 9]), int.from_bytes(content[place + 5 : place + 7]))
            framed = True
        place += 2 + length
        if marker[0] == _SCAN:
            end = _AFTER_SCAN.search(content, place)
            place = end.start() if end else len(content)
    return 0


def _require_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise InvalidRequest(f"The picture is larger than {MOST_PIXELS // 1_000_000} megapixels.", "file")


def _is_table(content: bytes) -> bool:
    """Whether `content` is plain text in lines of several columns; raises InvalidRequest for a table with formulas.

    Reports begin with a title or remarks of their own, so not every line has to be a row.
    """
    text = _text_of(content)
    if not text.translate(_LET_BE).isprintable() or _MARKUP.search(content):
        return False
    if _FORMULA.search(text):
        raise InvalidRequest(
            "A cell begins with =, @, + or -; a spreadsheet would run it. Save the file with values only.", "file"
        )
    lines = text.splitlines()
    return any(sum(mark in line for line in lines) > 1 for mark in ",;\t")


def _text_of(content: bytes) -> str:
    """Decode what a spreadsheet saved: UTF-8, or what Windows writes; nothing for what is neither."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""
