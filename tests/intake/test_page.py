"""Article pages and copied text: the story comes out, the page around it stays behind."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syndicator.config import Config
from syndicator.domain.stories import StoryDraft
from syndicator.errors import IntakeError
from syndicator.intake.apart import parse_apart
from syndicator.intake.clean import prepare
from syndicator.intake.page import read_page, split_joined

SAMPLE = Path(__file__).parent / "data" / "story-page.txt"
NOTICE = Config().notice.text
PARAGRAPH = "The council voted nine to two on Tuesday to rebuild the old bridge, and work begins in the spring of next year."


def story(content: bytes | str, origin: str = "saved.html") -> StoryDraft:
    return prepare(read_page(content, origin), notice_texts=(NOTICE,), language="en-US", max_bytes=2_000_000)


def paragraphs(draft: StoryDraft) -> list[str]:
    return re.findall(r"<p>(.*?)</p>", draft.body_html)


def test_the_sample_page_comes_out_with_eight_paragraphs_and_two_tags() -> None:
    draft = story(SAMPLE.read_bytes())
    prose = [words for words in paragraphs(draft) if "<a " not in words]
    assert len(prose) == 8
    assert prose[0].startswith("Norway’s defense minister called")
    assert prose[-1].endswith("in the Finnmark and Troms counties.")
    assert draft.tags == ("Norway", "NATO")
    assert draft.section == "Military and Defense"
    assert draft.headline.startswith("Allied Winter Patrols Under NATO Will End")
    assert draft.byline == ("Ingrid Vale",)


def test_the_sample_pages_mangled_embed_becomes_one_plain_link() -> None:
    links = re.findall(r"<a .*?</a>", story(SAMPLE.read_bytes()).body_html)
    url = "https://twitter.com/coastwatch/status/1357924680135792468?ref_src=twsrc%5Etfw"
    assert links == [f'<a href="{url}" rel="noopener">{url}</a>']


@pytest.mark.parametrize("furniture", ["Share", "Published by", "Recent Posts", "hours ago", "Ferry", "Tags:", "without charge"])
def test_the_sample_pages_furniture_and_notice_are_not_body(furniture: str) -> None:
    assert furniture not in story(SAMPLE.read_bytes()).body_html


def test_a_corrected_body_keeps_its_key() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert read_page(text.replace("1,200", "1,100"), "other.txt").external_id == read_page(text, "a.txt").external_id


@pytest.mark.parametrize(
    ("joined", "words", "tags"),
    [
        ("IraqISIS", "Iraq fights ISIS", ["Iraq", "ISIS"]),
        ("ISISIraq", "Iraq fights ISIS", ["ISIS", "Iraq"]),
        ("Donald TrumpJoe Biden", "", ["Donald Trump", "Joe Biden"]),
        ("McConnell", "McConnell spoke", ["McConnell"]),
        ("YouTube", "on YouTube", ["YouTube"]),
        ("US", "the US", ["US"]),
        ("", "", []),
    ],
)
def test_tags_run_together_are_told_apart_by_the_storys_words(joined: str, words: str, tags: list[str]) -> None:
    assert split_joined(joined, words) == tags


COPIED = f"""A Bridge for the Old Town

By Jane Roe and John Doe

{PARAGRAPH.replace(" and work", chr(10) + "and work")}

Share

{PARAGRAPH}

{NOTICE}

Tags: Bridges, Old Town

Related Stories

{PARAGRAPH} That was another story.
"""


def test_copied_text_without_a_section_and_with_wrapped_lines_is_read() -> None:
    draft = story(COPIED)
    assert (draft.section, draft.headline) == ("", "A Bridge for the Old Town")
    assert (draft.byline, draft.tags) == (("Jane Roe", "John Doe"), ("Bridges", "Old Town"))
    assert paragraphs(draft) == [PARAGRAPH, PARAGRAPH]


def test_copied_text_without_blank_lines_is_read_line_by_line() -> None:
    whole, lines = story(SAMPLE.read_text(encoding="utf-8")), SAMPLE.read_text(encoding="utf-8").splitlines()
    draft = story("\n".join(line for line in lines if line.strip()))
    assert (draft.section, draft.headline, draft.tags) == (whole.section, whole.headline, whole.tags)
    assert draft.body_html == whole.body_html


PAGE = f"""<!doctype html><html lang="en-GB"><head><title>Bridge | The News</title>
<link rel="canonical" href="https://news.example/2026/bridge/"><meta property="og:image" content="/bridge.jpg">
<script type="application/ld+json">{{"@context":"https://schema.org","@graph":[
 {{"@type":"Person","@id":"#jane","name":"Jane Roe"}},
 {{"@type":"NewsArticle","headline":"A Bridge &amp; a Vote","author":{{"@id":"#jane"}},"articleSection":["Local"],
  "keywords":["Bridges","Council"],"datePublished":"2026-06-30T09:00:00-04:00","description":"Nine to two."}}]}}</script></head>
<body><nav><p>{PARAGRAPH}</p></nav><article><h1>A Bridge &amp; a Vote</h1><div class="share-buttons">Share this</div>
<div class="entry-content"><p>By Jane Roe</p><p>{PARAGRAPH}</p><p>Advertisement</p><p>{PARAGRAPH} <a href="/more">More</a></p>
<figure><img src="/a.jpg"><figcaption>The bridge</figcaption></figure>
<blockquote class="twitter-tweet"><p>Yes</p><a href="https://x.com/a/status/1">June</a></blockquote>
<p><em>{NOTICE}</em></p><h3>Recent Posts</h3><p>{PARAGRAPH}</p></div></article><footer>{PARAGRAPH}</footer></body></html>"""


def test_an_html_page_is_read_by_what_it_says_about_itself() -> None:
    draft = story(PAGE)
    assert (draft.headline, draft.byline, draft.section) == ("A Bridge & a Vote", ("Jane Roe",), "Local")
    assert (draft.tags, draft.summary, draft.language) == (("Bridges", "Council"), "Nine to two.", "en-GB")
    assert draft.external_id == draft.canonical_url == "https://news.example/2026/bridge/"
    assert draft.published_at == datetime(2026, 6, 30, 13, tzinfo=UTC)
    assert [image.url for image in draft.images] == ["https://news.example/bridge.jpg", "https://news.example/a.jpg"]
    tweet = '<a href="https://x.com/a/status/1" rel="noopener">https://x.com/a/status/1</a>'
    assert paragraphs(draft) == [
        PARAGRAPH,
        PARAGRAPH + ' <a href="https://news.example/more" rel="noopener">More</a>',
        tweet,
    ]


def test_a_page_without_any_marks_is_still_read() -> None:
    draft = story(f"<html><body><div><h1>Bridge</h1>{f'<p>{PARAGRAPH}</p>' * 5}</div></body></html>", "https://news.example/b")
    assert draft.headline == "Bridge"
    assert paragraphs(draft) == [PARAGRAPH] * 5
    assert draft.external_id == "https://news.example/b"


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02", b"<html><body></body></html>", "one line", b"x" * 8_000_001, "a\n\n" * 400_000, "<p>" * 99]
)
def test_what_holds_no_story_is_refused_with_its_origin(content: bytes | str) -> None:
    with pytest.raises(IntakeError, match=r"^here\.html: "):
        read_page(content, "here.html")


def test_the_child_reads_pages_too() -> None:
    page = f"<html><body><div><h1>Bridge</h1>{f'<p>{PARAGRAPH}</p>' * 5}</div></body></html>"
    assert PARAGRAPH in parse_apart("page", page.encode(), "https://news.example/b", 60).drafts[0].body_html


@pytest.mark.parametrize("name", ["entry-content has-sidebar", "article-body social related", "post-content"])
def test_a_body_may_be_called_what_its_theme_likes(name: str) -> None:
    draft = story(f'<h1>Bridge</h1><div class="{name}"><p>{PARAGRAPH}</p><p class="tags">Tags: <a>Bridges</a></p></div>')
    assert (paragraphs(draft), draft.tags) == ([PARAGRAPH], ("Bridges",))
