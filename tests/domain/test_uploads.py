"""Evidence files are judged by what is in them: names and claims count for nothing, and nothing may be two things at once."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import suppress
from time import process_time

import pytest

from syndicator.domain.uploads import MOST_BYTES, kind_of
from syndicator.errors import InvalidRequest


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def png(width: int = 1, height: int = 1, *more: bytes) -> bytes:
    head = chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + b"\x08\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND")


def jpeg(width: int = 1, height: int = 1, *, app: bytes = b"JFIF\0") -> bytes:
    frame = b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x01\x01\x11\0"
    scan = b"\x01\x01\0\0\x3f\0" + b"\x12\xff\0\x34\xff\xd0\x56"  # a stuffed byte and a restart among the data
    segments = ((b"\xe0", app), (b"\xc0", frame))
    return b"\xff\xd8" + b"".join(segment(*each) for each in segments) + segment(b"\xda", scan[:6]) + scan[6:] + b"\xff\xd9"


def segment(marker: bytes, content: bytes) -> bytes:
    return b"\xff" + marker + (len(content) + 2).to_bytes(2) + content


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("run.class", b"fired()")
    return packed.getvalue()


PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG, JPEG = png(), jpeg()
CSV = b"month,visitors,change\n2026-05,118000,-2%\n2026-06,120000,+1.7\n"
TAKEN = {
    "a report": (PDF, "pdf"),
    "a screenshot": (PNG, "png"),
    "a screenshot with a remark": (png(1, 1, chunk(b"tEXt", b"Software\0Screen")), "png"),
    "a photograph": (JPEG, "jpeg"),
    "a photograph as telephones save it, with a second one behind": (JPEG + JPEG + b"\0\0", "jpeg"),
    "a table": (CSV, "csv"),
    "a table with a byte order mark": (b"\xef\xbb\xbf" + CSV, "csv"),
    "a report of an analytics service, with remarks above the table": (
        b"# ----------\n# Users\n# 20260401-20260630\n# ----------\n\nMonth,Users\n04,118000\n05,-\n",
        "csv",
    ),
    "a table as Excel saves it in Germany": ("Monat;Besucher\nM\u00e4rz;118.000\n".encode("cp1252"), "csv"),
    "a table with blanks between the digits": ("Mois;Visiteurs\nmars;118\u202f000\n".encode(), "csv"),
}
REFUSED = {
    "nothing": b"",
    "a page": b"<!doctype html><html><script>fired()</script></html>",
    "a page that looks like a table": b"a,b\n<script>fired()</script>,2\n",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="fired()"/>',
    "a page behind the mark of a picture": b"\x89PNG\r\n\x1a\n<script>fired()</script>",
    "a page behind the mark of a document": b"%PDF-<script>fired()</script>",
    "a page in a whole document": b"%PDF-1.7\n<html><script>fired()</script>\n1 0 obj\n%%EOF",
    "a page in a whole picture": png(1, 1, chunk(b"tEXt", b"Comment\0<html><script>fired()</script>")),
    "a page in a whole photograph": jpeg(app=b"<!doctype html><script>fired()</script>"),
    "an archive behind a document": PDF + archive() + b"%%EOF",
    "an archive behind a picture": PNG + archive(),
    "an archive behind a photograph": JPEG + archive() + b"\xff\xd9",
    "an archive in a picture": png(1, 1, chunk(b"zZip", archive())),
    "something behind a picture": PNG + b"more",
    "something behind a photograph": JPEG + b"more\xff\xd9",
    "a cut picture": PNG[:-1],
    "a picture with an altered byte": PNG.replace(b"IDAT\x78", b"IDAT\x79"),
    "a cut photograph": JPEG[:-2],
    "a photograph without a picture": b"\xff\xd8\xff\xe0\0\x02\xff\xd9",
    "a picture that unpacks to gigabytes": png(50_000, 50_000),
    "a photograph that unpacks to gigabytes": jpeg(65_000, 65_000),
    "an archive": archive(),
    "a spreadsheet of Office": archive() + bytes(40),
    "a program": b"\x7fELF" + bytes(40),
    "a table that a spreadsheet would run": b'name,visitors\n"=HYPERLINK(""http://evil.example"")",5\n',
    "another": b"name,visitors\n@SUM(1+9)*cmd|' /C calc'!A0,5\n",
    "and another": b"name,visitors\n+1+cmd,5\n",
    "one that runs where the semicolon separates": b"a,b,c,d;=1+cmd|' /C calc'!A0\n1,2,3,4;5\n",
    "bytes": bytes(range(256)),
    "one line": b"visitors,100000",
    "one column": b"visitors\n100000\n",
}


@pytest.mark.parametrize(("content", "kind"), TAKEN.values(), ids=TAKEN)
def test_what_the_list_names_is_taken(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_all_else_is_refused_with_the_field_named(content: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        kind_of(content)
    assert refused.value.field == "file"


SLOW = {
    "a table of many cells": b"a,b,c,d,e,f,g\n" * 200_000,
    "a table of separators": b"," * 2_900_000 + b"\n,",
    "a table of quotes": b'"' * 2_900_000,
    "a table of signs": b"+" * 2_900_000,
    "one that is almost markup": b"a,b\n" + b"<" * 900_000 + b" " * 900_000 + b"a" * 900_000,
    "one that is almost markup all along": b"a,b\n" + (b"<" + b"a" * 50 + b" " * 50) * 28_000,
    "a photograph of padding": b"\xff\xd8" + b"\xff" * 2_900_000,
    "a photograph of restarts": JPEG[:-2] + b"\xff\0\xff\xd0" * 700_000 + b"\xff\xd9",
    "many photographs": JPEG * 40_000,
    "a photograph of empty segments": b"\xff\xd8" + b"\xff\xe0\0\2" * 700_000,
    "a picture of empty chunks": png(1, 1, *[chunk(b"tEXt")] * 200_000),
}


@pytest.mark.parametrize("content", SLOW.values(), ids=SLOW)
def test_no_file_keeps_us_busy(content: bytes) -> None:
    """Reliability S26, in the time of this process alone; the bound is some times what it takes."""
    began = process_time()
    with suppress(InvalidRequest):
        kind_of(content)
    assert process_time() - began < 5


def test_a_file_over_the_bound_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="larger than 3 MB"):
        kind_of(PDF[:5] + bytes(MOST_BYTES) + PDF[-6:])
