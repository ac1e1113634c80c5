"""The newsroom's story document: taken as written, refused by the name of what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from time import process_time
from typing import Any

import pytest

from syndicator.domain.stories import Image, Rights
from syndicator.errors import InvalidRequest
from syndicator.intake.document import parse_document, read_json

WHOLE: dict[str, Any] = {
    "headline": "Bridge",
    "summary": "Short",
    "body_html": "<p>Words</p>",
    "byline": ["Jane Roe"],
    "section": "Local",
    "tags": ["Bridges"],
    "language": "en",
    "canonical_url": "https://news.example/b",
    "published_at": "2026-06-30T09:00:00-04:00",
    "embargoed_until": None,
    "expires_at": "2027-01-01T00:00:00Z",
    "rights": "licensed",
    "ednote": "",
    "images": [{"url": "https://news.example/a.jpg", "caption": "C", "credit": "J", "rights": "free"}],
}


def test_a_whole_document_becomes_a_draft() -> None:
    draft = parse_document(WHOLE, "cms-1")
    assert (draft.external_id, draft.headline, draft.byline, draft.rights) == ("cms-1", "Bridge", ("Jane Roe",), Rights.LICENSED)
    assert draft.published_at == datetime(2026, 6, 30, 13, tzinfo=UTC)
    assert draft.images == (Image("https://news.example/a.jpg", "C", "J", Rights.FREE),)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"headline": None}, "headline"),
        ({"headline": 7}, "headline"),
        ({"headline": "x" * 501}, "headline"),
        ({"headline": "\ud800"}, "headline"),
        ({"price": 1}, "price"),
        ({"byline": "Jane"}, "byline"),
        ({"tags": [1]}, "tags.0"),
        ({"rights": "all"}, "rights"),
        ({"language": "<b>"}, "language"),
        ({"canonical_url": "javascript:alert(1)"}, "canonical_url"),
        ({"published_at": "2026-06-30T09:00:00"}, "published_at"),
        ({"published_at": 1_750_000_000}, "published_at"),
        ({"expires_at": "2026-01-01T00:00:00Z", "embargoed_until": "2026-02-01T00:00:00Z"}, "expires_at"),
        ({"images": [{"url": "/a.jpg"}]}, "images.0.url"),
        ({"images": [{"caption": "x"}]}, "images.0.url"),
    ],
)
def test_a_wrong_document_is_refused_by_the_name_of_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_document(WHOLE | change, "cms-1")
    assert refusal.value.field == field


@pytest.mark.parametrize("values", [None, [], "x", 3])
def test_what_is_no_document_is_refused(values: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_document(values, "cms-1")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":NaN}', "{", b"\xff\xfe\x00", "[" * 70 + "]" * 70, '{"a":-Infinity}', ""]
)
def test_hostile_json_is_refused(content: bytes | str) -> None:
    with pytest.raises(InvalidRequest):
        read_json(content)


@pytest.mark.parametrize("piece", [b"[]", b"{}", b'""', b"0.1"])
def test_json_that_would_take_many_times_its_length_in_memory_is_refused_undecoded(piece: bytes) -> None:
    content = b"[" + b",".join([piece] * 5_000_000) + b"]"
    began = process_time()
    with pytest.raises(InvalidRequest, match="too many parts"):
        read_json(content)
    assert process_time() - began < 1


def test_ordinary_json_is_read() -> None:
    assert read_json(b'{"a":[1,{"b":null}]}') == {"a": [1, {"b": None}]}
    assert len(read_json("[" * 64 + "]" * 64)) == 1
