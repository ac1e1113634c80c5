"""The sanitising door: what passes is safe, settled, and without the notice."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syndicator.config import Config
from syndicator.domain.stories import Image, Rights, StoryDraft
from syndicator.errors import InvalidRequest
from syndicator.intake.body import SAFE_TAGS
from syndicator.intake.clean import prepare
from syndicator.intake.text import letters

NOTICE = Config().notice.text
HERE = "https://news.example/2026/11/story/"


def door(body: str = "<p>Words.</p>", **fields: object) -> StoryDraft:
    draft = replace(StoryDraft(external_id="1", headline="A headline", body_html=body, canonical_url=HERE), **fields)  # type: ignore[arg-type]
    return prepare(draft, notice_texts=(NOTICE,), language="en-US", max_bytes=2_000_000)


def body_of(markup: str) -> str:
    return door(markup).body_html


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Bare words", "<p>Bare words</p>"),
        ("<div>One<div>Two</div>Three</div>", "<p>One</p><p>Two</p><p>Three</p>"),
        ("<p>One<br><br/>Two</p>", "<p>One</p><p>Two</p>"),
        ("<b>One<div>Two</div></b>", "<p><b>One</b></p><p><b>Two</b></p>"),
        ("<h1>A</h1><h6>B</h6>", "<h2>A</h2><h4>B</h4>"),
        ("<ul><li><p>One</p><p>Two</p><ul><li>Three</ul></ul>", "<ul><li>One<br>Two<ul><li>Three</li></ul></li></ul>"),
        ("<blockquote><p>Said</p></blockquote>", "<blockquote><p>Said</p></blockquote>"),
        (
            "<table><tr><th>A<td><tr><td>B<td>C</table>",
            "<table><tbody><tr><th>A</th><td></td></tr><tr><td>B</td><td>C</td></tr></tbody></table>",
        ),
        ("<p>A\xa0&nbsp;B\u202e\u200b\x07C&#x202e;</p>", "<p>A BC</p>"),
        ('<p><a href="/x?a=1&b=2">go</a></p>', '<p><a href="https://news.example/x?a=1&amp;b=2" rel="noopener">go</a></p>'),
        ('<p><a href="javascript:alert(1)">go</a></p>', "<p>go</p>"),
        (
            '<p><a href="mailto:a@b.example?bcc=all@c.example">write</a></p>',
            '<p><a href="mailto:a@b.example" rel="noopener">write</a></p>',
        ),
        (
            "<p><a href=”https://e.example/z” target=”_blank”>said</a></p>",
            '<p><a href="https://e.example/z" rel="noopener">said</a></p>',
        ),
        ('<p>He said [sic] so.</p>[gallery ids="1,2"]', "<p>He said [sic] so.</p>"),
        ("<script>alert(1)</script><p onclick=x style=y>Hi<svg onload=z></p>", "<p>Hi</p>"),
    ],
)
def test_a_body_comes_out_in_one_safe_spelling(markup: str, expected: str) -> None:
    assert body_of(markup) == expected


TWEET = "https://twitter.com/someone/status/123?ref_src=twsrc%5Etfw"


@pytest.mark.parametrize(
    "embed",
    [
        f'<blockquote class="twitter-tweet"><p>Words</p>&mdash; S. <a href="{TWEET}">June 1</a></blockquote><script></script>',
        f'<figure class="wp-block-embed"><div class="wp-block-embed__wrapper">{TWEET}</div></figure>',
        f"<p>[embed]{TWEET}[/embed]</p>",
        f'<p>[tweet url="{TWEET}"]</p>',
        f'<iframe src="{TWEET}" onload="x()"></iframe>',
        f"<p>{TWEET}” target=”_blank” rel=”noopener noreferrer</p>",
        f'<a href="{TWEET.removeprefix("https:")}”" target="”_blank”" rel="”noopener" noreferrer”></a>',
    ],
)
def test_an_embed_becomes_one_plain_link(embed: str) -> None:
    link = f'<p><a href="{TWEET}" rel="noopener">{TWEET}</a></p>'
    assert body_of(f"<p>Before</p>{embed}<p>After</p>") == f"<p>Before</p>{link}<p>After</p>"


def test_an_address_pasted_above_the_next_words_is_a_link_of_its_own() -> None:
    link = f'<p><a href="{TWEET}" rel="noopener">{TWEET}</a></p>'
    mangled = f"{TWEET}” target=”_blank” rel=”noopener noreferrer"
    assert body_of(f"<p>{mangled}<br />\nA rocket <b>attack</b><br>came.</p>") == f"{link}<p>A rocket <b>attack</b><br>came.</p>"
    assert body_of(f"<p>Before<br>{TWEET}<br>After</p>") == f"<p>Before</p>{link}<p>After</p>"
    assert body_of(f"<p><b>Before<br>{TWEET}<br>After</b></p>") == f"<p><b>Before<br>{TWEET}<br>After</b></p>"


@pytest.mark.parametrize(
    "notice",
    [
        f"<p>{NOTICE}</p>",
        f"<p><em>{NOTICE.upper()}.</em></p>",
        "<hr><div>" + NOTICE.replace(" ", "\xa0") + "</div>",
        "<p>"
        + NOTICE.replace(
            "licensing@dailycallernewsfoundation.org",
            '<a href="mailto:licensing@dailycallernewsfoundation.org">licensing@<b>dailycallernewsfoundation</b>.org</a>',
        )
        + "</p>",
        f"<p><em>{NOTICE.replace(' licensing@', ' <a href=mailto:x@y.example>licensing@')}</a>.</em></p>",
        "<p>" + NOTICE.replace(". For", ".</p><p>For") + "</p>",
        "<p>" + NOTICE.replace("charge", "cha<i></i>r\u200bge") + "</p>",
        "<p>"
        + NOTICE.replace(
            "licensing@dailycallernewsfoundation.org", '<a href="/cdn-cgi/l/email-protection">[email&#160;protected]</a>'
        )
        + "</p>",
        f"<blockquote>{NOTICE[:50]}{NOTICE}{NOTICE[50:]}</blockquote>",
        "<p>" + NOTICE.replace(" charge", ' [gallery ids="1"] charge') + "</p>",
    ],
)
def test_the_notice_leaves_the_body_whatever_it_wears(notice: str) -> None:
    assert body_of(f"<p>Before.</p>{notice}<p>After.</p>") == "<p>Before.</p><p>After.</p>"


def test_the_notice_leaves_every_other_field_too() -> None:
    draft = door(
        headline=f"News {NOTICE}",
        summary=f"Short. {NOTICE}",
        ednote=NOTICE,
        byline=(NOTICE, "Jane Roe"),
        tags=(NOTICE, "Iraq"),
        images=(Image(url="https://news.example/a.jpg", caption=f"A street. {NOTICE}"),),
    )
    assert (draft.headline, draft.summary, draft.ednote) == ("News", "Short.", "")
    assert (draft.byline, draft.tags, draft.images[0].caption) == (("Jane Roe",), ("Iraq",), "A street.")


@pytest.mark.parametrize("end", [30, 80, 150, len(NOTICE) - 1])
def test_a_notice_that_an_excerpt_cut_off_leaves_the_summary(end: int) -> None:
    assert door(summary=f"Short. {NOTICE[:end]}…").summary == "Short."
    assert door(summary="Content created by others.").summary == "Content created by others."


def test_what_counts_readers_is_neither_linked_nor_kept() -> None:
    draft = door(
        '<p>Words</p><iframe src="//t.example/" width="0"></iframe><img src="/p.gif" height=1><img src=/b style="display:none">'
    )
    assert (draft.body_html, draft.images) == ("<p>Words</p>", ())


def test_pictures_leave_the_body_with_their_caption_and_without_rights() -> None:
    draft = door(
        '<figure><a href="/f"><img src="/a.jpg" onerror=x></a><figcaption>A <b>street</b></figcaption></figure><p>Words</p>'
    )
    assert draft.body_html == "<p>Words</p>"
    assert draft.images == (Image(url="https://news.example/a.jpg", caption="A street", rights=Rights.NONE),)


def test_fields_are_single_clean_lines() -> None:
    draft = door(headline=" A\u202e\ud800 b\n\tc\x00 ", tags=("Iraq ", "iraq", "", "ISIS"), byline=("Jane  Roe",), language="!!")
    assert (draft.headline, draft.tags, draft.byline, draft.language) == ("A b c", ("Iraq", "ISIS"), ("Jane Roe",), "en-US")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"headline": " \u200b "}, "headline"),
        ({"headline": NOTICE}, "headline"),
        ({"body_html": "<p> <img src=x></p>"}, "body_html"),
        ({"body_html": f"<p>{NOTICE}</p>"}, "body_html"),
        ({"body_html": "x" * 2_000_001}, "body_html"),
        ({"body_html": "<div>" * 300 + "x"}, "body_html"),
        ({"external_id": "\x00"}, "external_id"),
        ({"published_at": datetime(2026, 1, 1)}, "published_at"),  # noqa: DTZ001
        ({"expires_at": datetime.fromisoformat("0001-01-01T00:00:00+14:00")}, "expires_at"),
        ({"published_at": datetime(1, 1, 1, tzinfo=UTC)}, "published_at"),
        ({"embargoed_until": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}, "embargoed_until"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    given = dict(fields)
    body = given.pop("body_html", "<p>Words.</p>")
    with pytest.raises(InvalidRequest) as refusal:
        door(body, **given)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 400_000,
        "<b><p>" * 300_000,
        "<a href=" + "x" * 1_900_000 + ">" + "<p>y</p>" * 10_000,
        "<a href=/" + "x" * 1_900 + ">" + "<p>y" * 40_000,
        "</b>" * 450_000 + "x",
        "<td><p>" * 250_000,
        "[" * 1_900_000,
        "[embed " + "x=" * 900_000,
        "<table>" + "<tr><td>x" * 30_000,
        "<ul><li>" * 200 + "x",
        "<ul><li>" + "<br>" * 49_000 + "x" + "<br> " * 900,
        "<p>" + "<span> </span><br>" * 24_000,
        (NOTICE[:100] * 3000 + NOTICE[100:] * 3000)[:1_900_000],
    ],
)
def test_a_hostile_body_costs_bounded_time(bomb: str) -> None:
    began = process_time()
    with contextlib.suppress(InvalidRequest):
        body_of(bomb)
    assert process_time() - began < 8  # of processor time; the quadratic ones took minutes


PIECES = st.sampled_from(
    [
        "<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<em>", "<i>", "</i>", "<a href='/x'>",
        "<a href=javascript:alert(1)>", "</a>", "<ul>", "</ul>", "<li>", "<table>", "<tr>", "<td>", "</table>", "<blockquote>",
        "</blockquote>", "<br>", "<br><br>", "<h2>", "</h3>", "<script>", "</script>", "<iframe/src=//e.example/v>",
        "<img/src=/a.jpg>", "<svg>", "<math>", "<style>", "</style>", "<figure>", "<figcaption>", "<figure/class=wp-caption>",
        "<!--", "-->", "&lt;script&gt;", "&amp;", "&quot;", "”", "[embed]", "[/embed]", "[x", "/y]", "[gallery", "a=1]",
        "https://e.example/a", "//e.example/b&amp;c", "\x00", "\u202e", "\u0338", "\ud800", "<a/href=http://[>",
        "<a/href=http://1.2.3.999/>", "<textarea>", "<select>", "<option>", "<noscript>", "<template>", "<plaintext>",
        "<xmp>", "</body>", "<frameset>", "<base/href=//evil.example>", "<a/href=%zz”>", "<sub>", "<s>",
    ]
)  # fmt: skip
WORDS = st.one_of(PIECES, st.sampled_from([NOTICE, NOTICE[:60], NOTICE[60:], " "]), st.text(max_size=8))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.lists(WORDS, max_size=25).map("".join), text=st.lists(WORDS, max_size=5).map("".join))
def test_preparing_is_safe_settled_and_without_the_notice(body: str, text: str) -> None:
    fields = {"summary": text, "tags": (text,), "byline": (text,), "ednote": text, "images": (Image(url=text, caption=text),)}
    once = door("<p>x</p>" + body, headline="x " + text, **fields)
    again = prepare(once, notice_texts=(NOTICE,), language="en-US", max_bytes=2_000_000)
    assert again == once
    assert letters(NOTICE) not in letters(re.sub("<[^>]*>", "", once.body_html))
    assert all(letters(NOTICE) not in letters(part) for part in (once.headline, once.summary, once.ednote))
    assert set(re.findall(r"<\s*([^ >/]+)", once.body_html)) <= SAFE_TAGS
    for start in re.findall(r"<a[^>]*>", once.body_html):
        assert re.fullmatch(r'<a href="(https?://|mailto:)[^"<>\s]+" rel="noopener">', start)


def test_times_are_kept_in_utc() -> None:
    assert door(published_at=datetime.fromisoformat("2026-11-20T14:00:00-05:00")).published_at == datetime(
        2026, 11, 20, 19, tzinfo=UTC
    )
