"""Feeds as a source: full stories come in, hostile documents cost a bounded child and name what is wrong."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator.errors import IntakeError, InvalidRequest
from syndicator.intake.apart import parse_apart
from syndicator.intake.feed import read_feed

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>N</title>
<item>
<title>Bridge &amp;#8217;s &amp;amp; Vote</title>
<link>https://news.example/b/</link>
<guid isPermaLink="false">https://news.example/?p=7</guid>
<dc:creator>Jane Roe</dc:creator><category>Local</category><category>Bridges</category>
<pubDate>Tue, 30 Jun 2026 09:00:00 -0400</pubDate>
<description>Nine to two [&amp;#8230;]</description><content:encoded><![CDATA[<p>All of it.</p><!DOCTYPE x>
<p>The post <a href="https://news.example/b/">Bridge</a> appeared first on <a href="https://news.example">News</a>.</p>]]></content:encoded>
<media:content url="https://news.example/a.jpg" medium="image"/></item>
<item><title>Excerpt</title><guid>2</guid><description>Only the beginning [&amp;#8230;]</description></item>
<item><title>No key</title><description>Whole words.</description></item></channel></rss>"""

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB"><title>N</title>
<id>urn:n</id><updated>2026-06-30T13:00:00Z</updated>
<entry><id>urn:1</id>
<title type="html">A &amp;amp; B</title><updated>2026-06-30T13:00:00Z</updated>
<author><name>Jane Roe</name></author>
<link href="https://news.example/1"/>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Words</p></div></content></entry></feed>"""

JSON = b"""{"version":"https://jsonfeed.org/version/1.1","title":"N","items":[
{"id":"1","url":"https://news.example/1","title":"A & B","content_html":"<p>Words</p>","date_published":"2026-06-30T13:00:00Z",
 "authors":[{"name":"Jane Roe"}],"tags":["Local"]}, {"id":"2","summary":"s"}, 7]}"""


def test_rss_with_full_content_is_read_and_an_excerpt_is_a_problem() -> None:
    parsed = read_feed(RSS, "https://news.example/feed/")
    (draft,) = parsed.drafts
    assert (draft.external_id, draft.canonical_url) == ("https://news.example/?p=7", "https://news.example/b/")
    assert draft.headline == "Bridge ’s & Vote"
    assert draft.body_html.startswith("<p>All of it.</p>")
    assert "appeared first" not in draft.body_html
    assert (draft.byline, draft.tags) == (("Jane Roe",), ("Local", "Bridges"))
    assert draft.summary == "Nine to two …"
    assert draft.published_at == datetime(2026, 6, 30, 13, tzinfo=UTC)
    assert [image.url for image in draft.images] == ["https://news.example/a.jpg"]
    assert len(parsed.problems) == 2
    assert "excerpt" in parsed.problems[0]


@pytest.mark.parametrize("content", [ATOM, JSON])
def test_atom_and_json_feed_give_the_same_story(content: bytes) -> None:
    draft = read_feed(content, "feed").drafts[0]
    assert (draft.headline, draft.byline, draft.canonical_url) == ("A & B", ("Jane Roe",), "https://news.example/1")
    assert "<p>Words</p>" in draft.body_html
    assert draft.published_at == datetime(2026, 6, 30, 13, tzinfo=UTC)


def test_plain_text_is_taken_as_text_and_keeps_its_paragraphs() -> None:
    words = b"Five &lt; six &amp;amp; more.\n\nAnd so on."
    markup = b'<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Words</p></div>'
    draft = read_feed(ATOM.replace(markup, b"<content>" + words), "feed").drafts[0]
    assert draft.body_html == "<p>Five &lt; six &amp;amp; more.</p><p>And so on.</p>"


def test_a_bad_item_leaves_the_others() -> None:
    parsed = read_feed(JSON, "feed")
    assert len(parsed.drafts) == 1
    first, second = parsed.problems
    assert first.startswith("entry 2: ")
    assert second == "entry 3: a part of it is not of the kind that belongs there"


@pytest.mark.parametrize(
    "reference", [b"&#xD800;", b"&#55296;", b"&#xdfff;", b"&#57343;", b"&#0;", b"&#xFFFF;", b"\x0b", b"\xff"]
)
def test_a_character_that_is_none_costs_no_story(reference: bytes) -> None:
    parsed = read_feed(RSS.replace(b"Bridge", b"Br" + reference + b"idge", 1), "feed")
    assert [draft.external_id for draft in parsed.drafts] == ["https://news.example/?p=7"]


def test_a_summary_of_nothing_but_dots_costs_no_time() -> None:
    began = process_time()
    read_feed(RSS.replace(b"Only the beginning", "…".encode() * 400_000 + b"x"), "feed")
    assert process_time() - began < 8


SCRAPS = st.sampled_from(
    [b"<", b">", b"</category>", b"<item>", b"</item>", b"<p>", b'"', b"&", b"<![CDATA[", b"]]>", b"\x00", b"\xff", b"{"]
)


@settings(max_examples=150, deadline=None)
@given(document=st.sampled_from([RSS, ATOM, JSON]), scraps=st.lists(st.tuples(SCRAPS, st.floats(0, 1)), max_size=8))
def test_a_broken_feed_is_read_or_refused_and_nothing_else(document: bytes, scraps: list[tuple[bytes, float]]) -> None:
    for scrap, place in scraps:
        at = int(place * len(document))
        document = document[:at] + scrap + document[at:]
    with contextlib.suppress(InvalidRequest):
        read_feed(document, "feed")


XXE = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + RSS.split(b"?>", 1)[1].replace(
    b"All", b"&x;"
)
LAUGHS = b'<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><rss><channel><item><title>&b;</title></item></channel></rss>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"<html><body>404</body></html>",
        b"just words",
        b"{",
        b'{"version":1}',
        b"{" + b"[" * 100_000,
        XXE,
        LAUGHS,
        XXE.decode().encode("utf-16"),
        b"<rss>" + b"<item><title>x</title></item>" * 1001,
        b"<rss><item " + b"a='1' " * 8000 + b"/></rss>",
        b"<rss><channel><item>" + b"<category>x</category>" * 100_000,
        b"x" * 16_000_001,
    ],
)
def test_hostile_documents_are_refused_quickly(content: bytes) -> None:
    began = process_time()
    with pytest.raises(InvalidRequest):
        read_feed(content, "https://news.example/feed/")
    assert process_time() - began < 8


def test_a_refusal_comes_back_from_the_child_with_its_reason() -> None:
    with pytest.raises(IntakeError, match=r"^here: document types and entities are refused$"):
        parse_apart("feed", XXE, "here", 60)


def test_a_parser_that_takes_too_long_is_ended() -> None:
    with pytest.raises(IntakeError, match="longer than"):
        parse_apart("feed", RSS, "feed", 0.01)


def test_the_child_hands_back_what_was_read() -> None:
    assert parse_apart("feed", RSS, "feed", 60) == read_feed(RSS, "feed")
