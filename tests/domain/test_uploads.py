"""Evidence files are judged by what is in them: names and claims count for nothing."""

from __future__ import annotations

import pytest

from syndicator.domain.uploads import MOST_BYTES, kind_of
from syndicator.errors import InvalidRequest

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(17) + b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + bytes(20) + b"\xff\xd9"
CSV = b"month,visitors,change\n2026-05,118000,-2%\n2026-06,120000,+1.7\n"
REFUSED = {
    "nothing": b"",
    "a page": b"<!doctype html><html><script>fired()</script></html>",
    "a page that looks like a table": b"a,b\n<script>fired()</script>,2\n",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="fired()"/>',
    "a page behind the mark of a picture": b"\x89PNG\r\n\x1a\n<script>fired()</script>",
    "a page behind the mark of a document": b"%PDF-<script>fired()</script>",
    "a cut picture": JPEG[:-2],
    "an archive": b"PK\x03\x04" + bytes(40),
    "a program": b"\x7fELF" + bytes(40),
    "a table that a spreadsheet would run": b'name,visitors\n"=HYPERLINK(""http://evil.example"")",5\n',
    "another": b"name,visitors\n@SUM(1+9)*cmd|' /C calc'!A0,5\n",
    "and another": b"name,visitors\n+1+cmd,5\n",
    "bytes": bytes(range(256)),
    "one line": b"visitors,100000",
    "one column": b"visitors\n100000\n",
}


@pytest.mark.parametrize(
    ("content", "kind"), [(PDF, "pdf"), (PNG, "png"), (JPEG, "jpeg"), (CSV, "csv"), (b"\xef\xbb\xbf" + CSV, "csv")]
)
def test_what_the_list_names_is_taken(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_all_else_is_refused_with_the_field_named(content: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        kind_of(content)
    assert refused.value.field == "file"


def test_a_file_over_the_bound_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="larger than 3 MB"):
        kind_of(PDF[:5] + bytes(MOST_BYTES) + PDF[-6:])
