"""Every format says the same of a story, each in its own words: notice, license, rights, byline, origin, embargo, status.

Each format has one reader here that knows nothing but the format's own standard. The table of readers is the promise: a new
format is not finished until it has a line in it.
"""

from __future__ import annotations

import html as markup
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft7Validator, Draft202012Validator
from lxml import etree
from lxml import html as lxml_html

from syndicator.domain.stories import Image, PubStatus, Rights
from syndicator.render.entry import Entry, terms_beside
from syndicator.render.example import example_entry
from syndicator.render.html import render_html
from syndicator.render.jsonfeed import render_item
from syndicator.render.jsonld import render_jsonld
from syndicator.render.newsml import NAR, XHTML, render_newsml
from syndicator.render.ninjs import render_ninjs
from syndicator.render.notice import embargo
from syndicator.render.plain import cleaned, one_line, plain_text, rfc3339
from syndicator.render.text import byline, render_text
from tests.render.strategies import NOON, TERMS, entries, entry

SCHEMAS = Path(__file__).parent.parent / "schemas"
NS = {"g2": NAR, "h": XHTML}
NEWSML = etree.XMLSchema(etree.parse(SCHEMAS / "newsml-g2" / "NewsML-G2_2.35-spec-All-Power.xsd"))


@dataclass(frozen=True)
class Said:
    """What a reader of one format finds. `names` is one line of names, or all of a byline; `words` is everything readable."""

    words: str
    license: str
    rights: str
    names: str
    canonical: str
    embargo: str
    status: str


def read_ninjs(document: Any) -> Said:
    """Versions 2 and 3 of ninjs differ in the case of their members alone, and in the embargo's name."""
    own = {name.lower(): value for name, value in json.loads(json.dumps(document)).items()}
    ids = {each["role"]: each["value"] for each in own["altids"]}
    (body,) = own["bodies"]
    rights = {name.lower(): value for name, value in own["rightsinfo"].items()}
    return Said(
        words=plain_text(body["value"]),
        license=rights["linkedrights"],
        rights=own["copyrightnotice"],
        names=own.get("by", ""),
        canonical=ids.get("canonical_url", ids["url"]),
        embargo=own.get("embargoeduntil", own.get("embargoed", "")),
        status=own["pubstatus"],
    )


def read_ninjs_1(document: Any) -> Said:
    ids = document["altids"]
    return Said(
        words=plain_text(document["body_html"]),
        license=document["rightsinfo"]["linkedrights"],
        rights=document["copyrightnotice"],
        names=document.get("byline", ""),
        canonical=ids.get("canonical_url", ids["url"]),
        embargo=document.get("embargoed", ""),
        status=document["pubstatus"],
    )


def read_newsml(document: bytes) -> Said:
    root: Any = etree.fromstring(document)
    expression = json.loads(root.findtext("g2:rightsInfo/g2:rightsExpressionData", namespaces=NS))
    head = root.find(".//h:head", NS)
    canonical = root.find("g2:itemMeta/g2:link[@rel='irel:seeAlso']", NS).get("href")
    assert head.find("h:link[@rel='canonical']", NS).get("href") == canonical
    assert head.find("h:link[@rel='license']", NS).get("href") == expression["uid"]
    return Said(
        words="".join(root.find(".//h:body", NS).itertext()),
        license=expression["uid"],
        rights=root.findtext("g2:rightsInfo/g2:copyrightNotice", namespaces=NS),
        names=", ".join(name.text for name in root.findall("g2:contentMeta/g2:by", NS)),
        canonical=canonical,
        embargo=root.findtext("g2:itemMeta/g2:embargoed", "", NS),
        status=root.find("g2:itemMeta/g2:pubStatus", NS).get("qcode").removeprefix("stat:"),
    )


def read_jsonld(document: Any) -> Said:
    return Said(
        words=document["articleBody"],
        license=document["license"],
        rights=document["copyrightNotice"],
        names=", ".join(author["name"] for author in document.get("author", [])),
        canonical=document.get("sameAs", document["url"]),
        embargo=document.get("conditionsOfAccess", ""),
        status=document["creativeWorkStatus"],
    )


def read_jsonfeed(document: Any) -> Said:
    own = document["_syndicator"]
    return Said(
        words=plain_text(document["content_html"]),
        license=own["license"],
        rights=own["rights"],
        names=", ".join(author["name"] for author in document.get("authors", [])),
        canonical=own["canonical_url"],
        embargo=own.get("embargoed_until", ""),
        status=own["pub_status"],
    )


def read_html(document: str) -> Said:
    article: Any = lxml_html.fromstring(document)
    origin = article.xpath("//p[@class='syndication-origin']")[0]
    return Said(
        words=plain_text(document),
        license=article.xpath("//p[@class='syndication-notice']//a[@rel='license']/@href")[0],
        rights=origin.text_content(),
        names=article.xpath("//p[@class='byline']")[0].text_content(),
        canonical=origin.xpath(".//a/@href")[0],
        embargo="".join(article.xpath("//p[@class='embargo']//text()")),
        status=article.get("data-status"),
    )


def read_text(document: str) -> Said:
    lines = document.splitlines()
    notice = lines.index(TERMS.notice_text)
    return Said(
        words=document,
        license=lines[notice + 1].rpartition(": ")[2],
        rights=lines[notice - 2],
        names=lines[2],
        canonical=lines[notice - 3].removeprefix("First published at "),
        embargo=next((line for line in lines if line.startswith("EMBARGOED")), ""),
        status=lines[3].partition("(")[2].removesuffix(")"),
    )


Render = Callable[[Entry], Any]
FORMATS: dict[str, tuple[Render, Callable[[Any], Said]]] = {
    "ninjs 3.1": (lambda story: render_ninjs(story, TERMS, "3.1"), read_ninjs),
    "ninjs 2.2": (lambda story: render_ninjs(story, TERMS, "2.2"), read_ninjs),
    "ninjs 1.6": (lambda story: render_ninjs(story, TERMS, "1.6"), read_ninjs_1),
    "newsml": (lambda story: render_newsml(story, TERMS), read_newsml),
    "jsonld": (lambda story: render_jsonld(story, TERMS), read_jsonld),
    "jsonfeed": (lambda story: render_item(story, TERMS), read_jsonfeed),
    "html": (lambda story: render_html(story, TERMS), read_html),
    "text": (lambda story: render_text(story, TERMS), read_text),
}
TOLD_IN_WORDS = frozenset({"jsonld", "html", "text"})  # of an embargo, which their standards have no date for
WHOLE_BYLINE = frozenset({"html", "text"})


def check(form: str, story: Entry) -> None:
    """What the reader of `form` finds is what `story` is."""
    render, read = FORMATS[form]
    said, beside = read(render(story)), terms_beside(story, TERMS)
    assert one_line(said.words).count(TERMS.notice_text) == 1
    assert said.license == beside.license_url
    assert f"© {story.published.year} {TERMS.newsroom}" in said.rights or said.rights == beside.rights_text
    clean = cleaned(story)
    assert one_line(said.names) == one_line(byline(clean, TERMS) if form in WHOLE_BYLINE else ", ".join(clean.authors))
    assert said.canonical == (story.original_url or story.url)
    held = story.embargoed_until
    assert said.embargo == (embargo(story) if form in TOLD_IN_WORDS or held is None else rfc3339(held))
    assert said.status == story.status.value


@pytest.mark.parametrize("form", FORMATS)
@given(story=entries())
@settings(max_examples=40, deadline=None)
def test_every_format_says_the_same_of_every_story(form: str, story: Entry) -> None:
    check(form, story)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("rights", [Rights.FREE, Rights.LICENSED])
@pytest.mark.parametrize("held", [None, NOON])
@pytest.mark.parametrize("canonical", ["https://news.example/1", "", "javascript:alert(1)"])
def test_each_cell_of_the_table(form: str, rights: Rights, held: Any, canonical: str) -> None:
    check(form, entry(rights=rights, embargoed_until=held, canonical_url=canonical))


@pytest.mark.parametrize("form", FORMATS)
def test_a_cleared_picture_comes_with_its_caption_and_credit(form: str) -> None:
    picture = Image("https://pictures.example/1.jpg", "The board & <its> chair", "J. Doe/Example", Rights.FREE)
    written = FORMATS[form][0](entry(images=(picture,)))
    text = written.decode() if isinstance(written, bytes) else written if isinstance(written, str) else json.dumps(written)
    if form == "text":
        return  # words alone
    assert "https://pictures.example/1.jpg" in text
    assert picture.caption in markup.unescape(text)
    assert picture.credit in text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
def test_a_withdrawn_story_says_so_and_nothing_else(form: str, status: PubStatus) -> None:
    gone = replace(entry(), status=status, body_html="", withdrawn_reason="invented")
    written = FORMATS[form][0](gone)
    text = written.decode() if isinstance(written, bytes) else written if isinstance(written, str) else json.dumps(written)
    assert status.value in text
    assert not [word for word in ("put off", "Jane Roe", "pictures.example", "Iraq") if word in text]


MEGABYTE = 1_000_000
LARGE = {
    "words": "<p>" + "The river rose again. " * (MEGABYTE // 22) + "</p>",
    "paragraphs": "<p>The river rose.</p>\n" * (MEGABYTE // 23),
    "links": '<p><a href="https://a.example/?b=1&amp;c=2">met</a></p>' * (MEGABYTE // 54),
    "emoji": f"<p>{'👩‍👩‍👧😀' * (MEGABYTE // 22)}</p>",
    "right to left": f"<p>{'שלום مرحبا ' * (MEGABYTE // 20)}</p>",
    "end of CDATA": f"<p>{']]&gt;' * (MEGABYTE // 6)}</p>",
    "line breaks": f"<p>{'a<br>' * (MEGABYTE // 5)}</p>",
    "one long word": f"<p>{'x' * MEGABYTE}</p>",
    "spaces": f"<p>a{' ' * MEGABYTE}b</p>",
    "empty elements": "<p>a" + "<em> </em>" * (MEGABYTE // 10) + "b</p>",
    "control characters": "<p>" + "a\x0b\x00" * (MEGABYTE // 3) + "</p>",
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", LARGE)
def test_a_body_of_a_megabyte_is_carried_whole_and_stays_valid(form: str, kind: str) -> None:
    story = entry(body_html=LARGE[kind], summary="")
    check(form, story)
    check_schema(form, story)


@pytest.mark.parametrize("form", FORMATS)
def test_the_example_of_a_test_send_is_as_whole_as_a_story_and_canceled(form: str) -> None:
    example = example_entry(TERMS, uid="tst_1", authority="wire.example", feed="r&d", language="en", at=NOON)
    assert example.status is PubStatus.CANCELED
    check(form, example)
    check_schema(form, example)


def check_schema(form: str, story: Entry) -> None:
    """What is written is valid where the format has a schema."""
    written = FORMATS[form][0](story)
    if form == "newsml":
        NEWSML.assertValid(etree.fromstring(written, etree.XMLParser(huge_tree=True)))
    if form.startswith("ninjs"):
        validate(written, form.removeprefix("ninjs "))


def validate(document: Any, version: str) -> None:
    schema = json.loads((SCHEMAS / "ninjs" / f"ninjs-schema_{version}.json").read_text("utf-8"))
    validator = (Draft7Validator if version == "1.6" else Draft202012Validator)(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
