"""RSS, Atom and JSON Feed: three readers and our own eyes find the same stories in each."""

from __future__ import annotations

import json
import locale
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import fastfeedparser
import feedparser
import pytest
from hypothesis import given, settings
from lxml import etree

from syndicator.domain.stories import PubStatus
from syndicator.render.atom import render_atom
from syndicator.render.elements import ATOM, CREATIVE_COMMONS, DC, DCTERMS, FEED_HISTORY, MEDIA, TOMBSTONES
from syndicator.render.entry import Feed
from syndicator.render.jsonfeed import render_json
from syndicator.render.plain import plain_text
from syndicator.render.rsl import RSL
from syndicator.render.rss import render_rss
from tests.render.strategies import BASE, NOON, TERMS, entry, feed, feeds, killed

NS = {
    "atom": ATOM,
    "at": TOMBSTONES,
    "cc": CREATIVE_COMMONS,
    "dc": DC,
    "dcterms": DCTERMS,
    "fh": FEED_HISTORY,
    "media": MEDIA,
    "rsl": RSL,
}
ENCODED = "{http://purl.org/rss/1.0/modules/content/}encoded"
RENDERERS = {"rss": render_rss, "atom": render_atom, "json": render_json}


def xml(document: bytes) -> Any:
    return etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


def rss_facts(document: bytes) -> list[dict[str, Any]]:
    """What an RSS document says of each item, withdrawn ones included."""
    return [
        {
            "id": item.findtext("guid"),
            "url": item.findtext("link"),
            "title": item.findtext("title"),
            "published": datetime.strptime(item.findtext("pubDate"), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC),
            "updated": datetime.fromisoformat(item.findtext("dcterms:modified", namespaces=NS)),
            "authors": [name.text for name in item.findall("dc:creator", NS)],
            "tags": [category.text for category in item.findall("category")],
            "content": item.findtext(ENCODED) or item.findtext("description"),
            "license": item.findtext("cc:license", namespaces=NS),
            "language": item.findtext("dc:language", namespaces=NS) or "en-US",
        }
        for item in xml(document).iter("item")
    ]


def atom_facts(document: bytes) -> list[dict[str, Any]]:
    found = []
    for element in xml(document).findall("atom:entry", NS):
        links = {link.get("rel"): link.get("href") for link in element.findall("atom:link", NS)}
        found.append(
            {
                "id": element.findtext("atom:id", namespaces=NS),
                "url": links["alternate"],
                "title": element.findtext("atom:title", namespaces=NS),
                "published": datetime.fromisoformat(element.findtext("atom:published", namespaces=NS)),
                "updated": datetime.fromisoformat(element.findtext("atom:updated", namespaces=NS)),
                "authors": [name.text for name in element.findall("atom:author/atom:name", NS)],
                "tags": [category.get("term") for category in element.findall("atom:category", NS)],
                "content": element.findtext("atom:content", namespaces=NS) or element.findtext("atom:summary", namespaces=NS),
                "license": links["license"],
                "language": element.get("{http://www.w3.org/XML/1998/namespace}lang"),
            }
        )
    return found


def json_facts(document: bytes) -> list[dict[str, Any]]:
    return [
        {
            "id": item["id"],
            "url": item["url"],
            "title": item["title"],
            "published": datetime.fromisoformat(item["date_published"]),
            "updated": datetime.fromisoformat(item["date_modified"]),
            "authors": [author["name"] for author in item.get("authors", [])],
            "tags": item.get("tags", []),
            "content": item["content_html"],
            "license": item["_syndicator"]["license"],
            "language": item["language"],
        }
        for item in json.loads(document)["items"]
    ]


def notices(html: str) -> int:
    return plain_text(html).count(TERMS.notice_text)


@given(feeds())
@settings(max_examples=60, deadline=None)
def test_all_three_formats_say_the_same_of_every_story(drawn: Feed) -> None:
    rss, atom, json_feed = rss_facts(render_rss(drawn)), atom_facts(render_atom(drawn)), json_facts(render_json(drawn))
    assert rss == json_feed
    assert [fact["id"] for fact in rss] == [entry.uri for entry in drawn.all_entries]
    gone = {entry.uri for entry in drawn.gone}
    assert atom == [fact for fact in rss if fact["id"] not in gone]


@given(feeds())
@settings(max_examples=60, deadline=None)
def test_the_notice_stands_exactly_once_in_every_entry_of_every_format(drawn: Feed) -> None:
    elements = [*xml(render_rss(drawn)).iter("item"), *xml(render_atom(drawn)).findall("atom:entry", NS)]
    texts = [list(element.itertext()) for element in elements]
    for item in json.loads(render_json(drawn))["items"]:
        texts.append([item["content_html"], item.get("summary", "")])
    assert [sum(notices(text) for text in found) for found in texts] == [1] * len(texts)


@given(feeds())
@settings(max_examples=25, deadline=None)
def test_equal_feeds_give_equal_bytes(drawn: Feed) -> None:
    for render in RENDERERS.values():
        assert render(drawn) == render(replace(drawn))


@pytest.mark.parametrize("full", [True, False])
def test_feedparser_reads_rss_and_atom_alike(full: bool) -> None:
    drawn = feed((entry(), entry(uri="tag:wire.example,2026:story/3", headline="שלום ]]> <![CDATA[ \x00", images=())), full=full)
    rss, atom = feedparser.parse(render_rss(drawn)), feedparser.parse(render_atom(drawn))
    assert not rss.bozo
    assert not atom.bozo
    assert (rss.feed.title, rss.feed.link, rss.feed.language) == (atom.feed.title, atom.feed.link, atom.feed.language)
    assert len(rss.entries) == len(atom.entries) == 2
    for one, other in zip(rss.entries, atom.entries, strict=True):
        for member in ("id", "title", "link", "published_parsed", "updated_parsed", "author", "summary", "license", "rights"):
            assert one[member] == other[member], member
        assert [tag.term for tag in one.tags] == [tag.term for tag in other.tags] == ["Politics", "Iraq", "ISIS"]
        assert [author.name for author in one.authors] == [author.name for author in other.authors] == ["Jane Roe", "John Doe"]
        assert one.get("content", [{}])[0].get("value") == other.get("content", [{}])[0].get("value")
        assert one.get("media_content") == other.get("media_content")
    assert rss.entries[0].title == "County board delays vote at AT&T plant: “no” 😀"


@pytest.mark.parametrize("full", [True, False])
def test_another_reader_reads_all_three_alike(full: bool) -> None:
    drawn = feed((entry(), entry(uri="tag:wire.example,2026:story/3", headline="שלום ]]> \x00")), full=full)
    read = {form: fastfeedparser.parse(render(drawn)).entries for form, render in RENDERERS.items()}
    for form in ("atom", "json"):
        assert len(read["rss"]) == len(read[form]) == 2
        for one, other in zip(read["rss"], read[form], strict=True):
            for member in ("id", "title", "link", "published", "updated"):
                assert one[member] == other[member], (form, member)
            assert {tag["term"] for tag in one.tags} == {tag["term"] for tag in other.tags} == {"Politics", "Iraq", "ISIS"}
            bodies = [plain_text((read.get("content") or [{"value": read.description}])[0]["value"]) for read in (one, other)]
            assert bodies[0] == bodies[1]
            assert bodies[0].count(TERMS.notice_text) == 1


def test_a_killed_story_leaves_a_tombstone_in_atom() -> None:
    root = xml(render_atom(feed((entry(),), withdrawn=(killed(),))))
    (tombstone,) = root.findall("at:deleted-entry", NS)
    assert tombstone.get("ref") == "tag:wire.example,2026:story/2"
    assert tombstone.get("when") == "2026-11-20T13:00:00Z"
    assert "KILLED: " in tombstone.findtext("at:comment", namespaces=NS)
    assert "invented" in tombstone.findtext("at:comment", namespaces=NS)
    assert [element.findtext("atom:id", namespaces=NS) for element in root.findall("atom:entry", NS)] == [
        "tag:wire.example,2026:story/1"
    ]


@pytest.mark.parametrize(("status", "word"), [(PubStatus.CANCELED, "KILLED: "), (PubStatus.WITHHELD, "TAKEN DOWN: ")])
@pytest.mark.parametrize("form", ["rss", "json"])
def test_a_withdrawn_story_stays_emptied_where_there_are_no_tombstones(form: str, status: PubStatus, word: str) -> None:
    document = RENDERERS[form](feed((entry(published=NOON.replace(day=21)),), withdrawn=(killed(status=status),)))
    facts = {"rss": rss_facts, "json": json_facts}[form](document)
    assert facts[1]["id"] == "tag:wire.example,2026:story/2"
    assert facts[1]["title"].startswith(word)
    assert "must not be used" in facts[1]["content"] or "taken down" in facts[1]["content"]
    assert "It did not vote." not in facts[1]["content"]
    assert facts[1]["authors"] == facts[1]["tags"] == []


@pytest.mark.parametrize("form", RENDERERS)
def test_a_withdrawn_story_among_the_usable_ones_is_emptied_all_the_same(form: str) -> None:
    document = RENDERERS[form](feed((killed(),))).decode()
    assert "The vote was put off." not in document
    assert "It did not vote." not in document
    assert "pictures.example" not in document


def test_a_story_that_is_both_usable_and_killed_is_killed() -> None:
    drawn = feed((entry(), killed()), withdrawn=(killed(uri=entry().uri), killed()))
    assert [fact["title"][:8] for fact in rss_facts(render_rss(drawn))] == ["KILLED: ", "KILLED: "]
    root = xml(render_atom(drawn))
    assert len(root.findall("at:deleted-entry", NS)) == 2
    assert not root.findall("atom:entry", NS)


def test_rss_and_atom_name_hub_self_and_license() -> None:
    for render, path in ((render_rss, "channel/atom:link"), (render_atom, "atom:link")):
        links = {link.get("rel"): link.get("href") for link in xml(render(feed((entry(),)))).findall(path, NS)}
        form = "rss" if render is render_rss else "atom"
        assert links["self"] == f"{BASE}/feeds/latest.{form}"
        assert links["hub"] == f"{BASE}/hub"
        assert links["license"] == TERMS.license_url
    document = json.loads(render_json(feed()))
    assert document["hubs"] == [{"type": "WebSub", "url": f"{BASE}/hub"}]
    assert document["feed_url"] == f"{BASE}/feeds/latest.json"


def test_a_feed_without_a_hub_names_none() -> None:
    for render in RENDERERS.values():
        assert b"hub" not in render(feed(hub_url=None))


def test_the_channel_links_to_the_home_page_and_not_to_the_license() -> None:
    assert xml(render_rss(feed())).findtext("channel/link") == f"{BASE}/"


def test_an_archive_is_marked_and_linked_both_ways() -> None:
    archives = {
        "prev_archive": {form: f"{BASE}/feeds/latest/archive/1.{form}" for form in RENDERERS},
        "next_archive": {form: f"{BASE}/feeds/latest/archive/3.{form}" for form in RENDERERS},
        "current": {form: f"{BASE}/feeds/latest.{form}" for form in RENDERERS},
    }
    archive = feed((entry(),), **archives)
    for render, root in ((render_rss, "channel/"), (render_atom, "")):
        document = xml(render(archive))
        form = "rss" if render is render_rss else "atom"
        links = {link.get("rel"): link.get("href") for link in document.findall(f"{root}atom:link", NS)}
        assert document.find(f"{root}fh:archive", NS) is not None
        assert links["current"] == f"{BASE}/feeds/latest.{form}"
        assert links["prev-archive"].endswith(f"/1.{form}")
        assert links["next-archive"].endswith(f"/3.{form}")
    assert json.loads(render_json(archive))["next_url"].endswith("/1.json")


def test_entries_of_atom_keep_every_attribute_of_their_links() -> None:
    element = xml(render_atom(feed((entry(),)))).find("atom:entry", NS)
    links = {link.get("rel"): dict(link.attrib) for link in element.findall("atom:link", NS)}
    assert links["license"] == {"rel": "license", "href": TERMS.license_url, "type": "text/html", "title": "Free-use license"}
    assert links["via"]["href"] == "https://news.example/board-delays-vote"
    assert element.get("{http://www.w3.org/XML/1998/namespace}lang") == "en-US"


def test_cleared_pictures_carry_their_credit_and_stand_in_no_group() -> None:
    for render in (render_rss, render_atom):
        document = xml(render(feed((entry(),))))
        assert not list(document.iter(f"{{{MEDIA}}}group"))
        (picture,) = document.iter(f"{{{MEDIA}}}content")
        assert (picture.get("url"), picture.get("type")) == ("https://pictures.example/1.jpg", "image/jpeg")
        assert picture.findtext("media:credit", namespaces=NS) == "J. Doe/Example"


def test_titles_of_rss_use_hexadecimal_references() -> None:
    document = render_rss(feed((entry(headline="AT&T <b> &amp;"),)))
    assert b"<title>AT&#x26;T &#x3C;b&gt; &#x26;amp;</title>" in document
    assert rss_facts(document)[0]["title"] == "AT&T <b> &amp;"


def test_an_rss_item_says_what_machines_may_do() -> None:
    item = xml(render_rss(feed((entry(),)))).find("channel/item", NS)
    (content,) = item.findall("rsl:content", NS)
    assert content.get("url") == entry().url
    assert content.findtext("rsl:license/rsl:permits", namespaces=NS) == "search"


def test_dates_are_written_without_touching_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the locale belongs to the whole process")

    monkeypatch.setattr(locale, "setlocale", refuse)
    assert b"<pubDate>Fri, 20 Nov 2026 12:00:00 GMT</pubDate>" in render_rss(feed((entry(),)))
    assert render_atom(feed((entry(),)))


def test_threads_that_render_at_once_give_the_same_bytes() -> None:
    drawn = feed(
        tuple(entry(uri=f"tag:wire.example,2026:story/{number}") for number in range(20)), withdrawn=(killed(uri="tag:k"),)
    )
    for render in RENDERERS.values():
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(render, [drawn] * 8))) == 1


def test_a_feed_of_no_stories_is_still_a_feed() -> None:
    assert feedparser.parse(render_rss(feed())).feed.title == feedparser.parse(render_atom(feed())).feed.title
    assert json.loads(render_json(feed()))["items"] == []


def test_fractions_of_seconds_do_not_reach_readers() -> None:
    drawn = feed((entry(updated=NOON.replace(microsecond=7)),), updated=NOON.replace(microsecond=9))
    for render in RENDERERS.values():
        assert b"00.0" not in render(drawn)
        assert b":00:00" in render(drawn)


def test_a_very_large_body_is_rendered_whole() -> None:
    large = entry(body_html="<p>" + "much to say 😀 " * 100_000 + "end.</p>")
    for render, facts in ((render_rss, rss_facts), (render_atom, atom_facts), (render_json, json_facts)):
        content = facts(render(feed((large,))))[0]["content"]
        assert "end.</p>" in content
        assert content.count("Content by Example News") == 1
