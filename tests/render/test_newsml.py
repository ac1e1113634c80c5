"""NewsML-G2 2.35 holds against IPTC's XSD, whatever the story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from lxml import etree

from syndicator.domain.stories import PubStatus
from syndicator.render.entry import Entry
from syndicator.render.newsml import CATALOG, NAR, XHTML, render_newsml
from tests.render.strategies import NOON, TERMS, entries, entry, killed

SCHEMAS = Path(__file__).parent.parent / "schemas" / "newsml-g2"
NS = {"g2": NAR, "h": XHTML}


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMAS / "NewsML-G2_2.35-spec-All-Power.xsd"))


def parse(document: bytes) -> Any:
    return etree.fromstring(document)


@given(story=entries())
@settings(max_examples=40, deadline=None)
def test_every_story_is_valid_with_the_notice_once(schema: etree.XMLSchema, story: Entry) -> None:
    root = parse(render_newsml(story, TERMS))
    schema.assertValid(root)
    assert " ".join("".join(root.itertext()).split()).count(TERMS.notice_text) == 1


def test_a_story_says_what_it_is_and_whose(schema: etree.XMLSchema) -> None:
    root = parse(render_newsml(entry(embargoed_until=NOON, ednote="Call first."), TERMS))
    schema.assertValid(root)
    assert root.get("guid") == "tag:wire.example,2026:story/1"
    assert root.find("g2:itemMeta/g2:pubStatus", NS).get("qcode") == "stat:usable"
    assert root.findtext("g2:itemMeta/g2:embargoed", namespaces=NS) == "2026-11-20T12:00:00Z"
    assert [by.text for by in root.findall("g2:contentMeta/g2:by", NS)] == ["Jane Roe", "John Doe"]
    (link,) = root.findall(".//h:a[@href='https://board.example/minutes']", NS)
    assert link.text == "met"
    assert root.find("g2:catalogRef", NS).get("href") == CATALOG


@pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
def test_a_withdrawn_story_has_its_status_and_no_content(schema: etree.XMLSchema, status: PubStatus) -> None:
    document = render_newsml(killed(status=status), TERMS)
    root = parse(document)
    schema.assertValid(root)
    assert root.find("g2:itemMeta/g2:pubStatus", NS).get("qcode") == f"stat:{status.value}"
    assert root.find("g2:contentSet", NS) is None
    assert b"did not vote" not in document


def test_html_that_no_xml_allows_is_made_fit(schema: etree.XMLSchema) -> None:
    body = '<p on"x="1" data-9="y"><o:p>odd</o:p><b>open <i>crossed</b></i><!-- c --><?php x ?></p></div></body>tail'
    root = parse(render_newsml(entry(body_html=body), TERMS))
    schema.assertValid(root)
    text = "".join(root.find(".//h:body", NS).itertext())
    assert "odd" in text
    assert "crossed" in text


def test_the_qcodes_are_in_the_catalog() -> None:
    catalog = etree.parse(SCHEMAS / "catalog.IPTC-G2-Standards_41.xml")
    aliases = {scheme.get("alias") for scheme in catalog.iter(f"{{{NAR}}}scheme")}
    assert {"stat", "ninat"} <= aliases
