"""What machines are told: JSON-LD, OPML, sitemap, robots, RSL, TDMRep, trust.txt and ODRL agree with the terms."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from lxml import etree
from protego import Protego

from syndicator.domain.feeds import FeedDefinition
from syndicator.render.crawlers import robots_txt, tdmrep_json, trust_txt
from syndicator.render.entry import Entry
from syndicator.render.jsonld import describe_jsonld, render_jsonld, script_json
from syndicator.render.odrl import license_offer, tdm_policy
from syndicator.render.opml import render_opml
from syndicator.render.rsl import RSL, rsl_xml
from syndicator.render.sitemap import NEWS, SITEMAP, render_news_sitemap
from tests.render.strategies import BASE, TERMS, entries, entry, killed, terms

SCHEMAS = Path(__file__).parent.parent / "schemas"
NS = {"news": NEWS, "rsl": RSL, "s": SITEMAP}


@given(entries())
@settings(max_examples=40, deadline=None)
def test_json_in_a_script_element_cannot_end_it_and_reads_back(story: Entry) -> None:
    described = describe_jsonld(story, TERMS)
    written = script_json(described)
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == described
    written.encode()


def test_json_ld_names_the_license_and_who_may_grant_more() -> None:
    described = describe_jsonld(entry(correction_note="It was Friday."), TERMS)
    assert described["license"] == TERMS.license_url
    assert described["acquireLicensePage"] == TERMS.apply_url
    assert described["isAccessibleForFree"] is True
    assert [author["name"] for author in described["author"]] == ["Jane Roe", "John Doe"]
    assert described["correction"]["text"] == "It was Friday."
    assert described["image"][0]["creditText"] == "J. Doe/Example"


def test_json_ld_of_a_page_leaves_the_notice_to_the_page() -> None:
    assert TERMS.notice_text not in json.dumps(describe_jsonld(entry(), TERMS))
    assert json.dumps(render_jsonld(entry(), TERMS)).count(TERMS.notice_text) == 1


def test_json_ld_of_a_killed_story_repeats_nothing_of_it() -> None:
    written = json.dumps(render_jsonld(killed(), TERMS))
    assert "did not vote" not in written
    assert "put off" not in written
    assert '"creativeWorkStatus": "canceled"' in written


def test_the_opml_lists_public_feeds_once_and_no_private_one() -> None:
    definitions = [
        FeedDefinition(name="latest", title="Latest <&>\x00 news"),
        FeedDefinition(name="partners", title="Partners", access="eligible"),
    ]
    (outline,) = etree.fromstring(render_opml(definitions, TERMS)).iter("outline")
    assert outline.get("text") == outline.get("title") == "Latest <&> news"
    assert outline.get("xmlUrl") == f"{BASE}/feeds/latest.rss"


@given(entries())
@settings(max_examples=30, deadline=None)
def test_the_sitemap_holds_any_story(story: Entry) -> None:
    root = etree.fromstring(render_news_sitemap([story, killed()], TERMS))
    (url,) = root.findall("s:url", NS)
    assert url.findtext("s:loc", namespaces=NS) == story.url
    assert url.findtext("news:news/news:title", namespaces=NS)
    assert url.findtext("news:news/news:publication/news:language", namespaces=NS) in {"en", "he", "zh-tw"}


def test_the_sitemap_holds_a_thousand_stories_at_most() -> None:
    assert render_news_sitemap((entry() for _ in range(1001)), TERMS).count(b"<loc>") == 1000


USES = [dict(zip(("search", "ai_train", "ai_input"), answers, strict=True)) for answers in product((True, False), repeat=3)]


@pytest.mark.parametrize("use", USES, ids=str)
def test_all_signals_give_one_answer(use: dict[str, bool]) -> None:
    told = terms(**use)
    yes_no = {True: "yes", False: "no"}
    robots = robots_txt(told)
    assert f"search={yes_no[use['search']]}, ai-input={yes_no[use['ai_input']]}, ai-train={yes_no[use['ai_train']]}" in robots
    assert f"train-ai={'y' if use['ai_train'] else 'n'}" in robots
    assert Protego.parse(robots).can_fetch(f"{BASE}/stories/st_1", "crawler") is use["search"]
    permits, prohibits = (set((rsl(told).findtext(f".//rsl:{name}", "", NS)).split()) for name in ("permits", "prohibits"))
    for token, granted in (("search", use["search"]), ("ai-train", use["ai_train"]), ("ai-input", use["ai_input"])):
        assert (token in permits) is granted
        assert (token in prohibits) is not granted
    assert tdmrep_json(told)[0]["tdm-reservation"] == (0 if use["ai_train"] else 1)
    assert f"datatrainingallowed={yes_no[use['ai_train']]}\n" in trust_txt(told)


def rsl(told: Any) -> Any:
    return etree.fromstring(rsl_xml(told))


def test_crawlers_may_read_feeds_but_neither_tokens_nor_desks() -> None:
    for told in (TERMS, terms(search=False)):
        rules = Protego.parse(robots_txt(told))
        assert rules.can_fetch(f"{BASE}/feeds/latest.rss", "crawler")
        assert rules.can_fetch(f"{BASE}/license", "crawler")
        for path in ("/f/token/latest.rss", "/desk/stories", "/portal/", "/v1/stories"):
            assert not rules.can_fetch(BASE + path, "crawler")
        assert list(rules.sitemaps) == [f"{BASE}/news-sitemap.xml"]


def test_the_rsl_document_covers_the_site_and_uses_only_known_elements() -> None:
    root = rsl(TERMS)
    assert root.find("rsl:content", NS).get("url") == "/"
    known = {"rsl", "content", "license", "permits", "prohibits", "payment", "standard", "legal", "copyright", "terms"}
    assert {etree.QName(element).localname for element in root.iter()} <= known
    assert root.findtext(".//rsl:standard", namespaces=NS) == TERMS.license_url


RSL_WORDS = {
    "usage": {"all", "ai-all", "ai-train", "ai-input", "ai-index", "search"},
    "payment": {"purchase", "subscription", "training", "crawl", "use", "contribution", "attribution", "free"},
    "legal": {"warranty", "disclaimer", "attestation", "contact", "proof"},
}


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("use", USES, ids=str)
def test_rsl_speaks_the_vocabulary_of_rsl(use: dict[str, bool], free: bool) -> None:
    root = rsl(replace(terms(**use), free=free))
    for name in ("permits", "prohibits"):
        for element in root.iter(f"{{{RSL}}}{name}"):
            assert element.get("type") == "usage"
            assert set(element.text.split()) <= RSL_WORDS["usage"]
    for name in ("payment", "legal"):
        (element,) = root.iter(f"{{{RSL}}}{name}")
        assert element.get("type") in RSL_WORDS[name]
    assert (root.find(".//rsl:standard", NS) is not None) is free
    assert (root.find(".//rsl:custom", NS) is not None) is not free
    assert int(root.get("max-age")) > 0


def test_the_offer_uses_the_words_of_odrl_and_names_the_audience() -> None:
    context = json.loads((SCHEMAS / "odrl" / "ODRL22.jsonld").read_text("utf-8"))["@context"]
    offer = license_offer(TERMS, ("Keep the byline.",), 250_000)
    assert offer["uid"] == TERMS.license_url
    assert offer["dct:description"] == "Keep the byline."
    assert members(offer) - {"@context", "@type", "@value", "@id", "dct:title", "dct:description"} <= set(context)
    permission, prohibition, obligation = offer["permission"][0], offer["prohibition"][0], offer["obligation"][0]
    assert {*permission["action"], *prohibition["action"], obligation["action"]} <= set(context)
    assert permission["assignee"]["refinement"][0]["rightOperand"]["@value"] == "250000"


def test_the_mining_policy_is_where_tdmrep_says() -> None:
    policy = tdm_policy(TERMS)
    assert tdmrep_json(TERMS)[0]["tdm-policy"] == policy["uid"]
    assert policy["permission"][0]["action"] == "tdm:mine"
    assert policy["assigner"]["vcard:hasEmail"] == "mailto:licensing@example.org"


def members(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in members(item)}
    return {name for item in value for name in members(item)} if isinstance(value, list) else set()
