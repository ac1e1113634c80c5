"""The policies read as ODRL 2.2 in a JSON-LD processor with W3C's own context: nothing in them is dropped or misread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyld import jsonld

from syndicator.render.odrl import Granted, agreement, license_offer, tdm_policy
from tests.render.strategies import BASE, NOON, TERMS

SCHEMAS = Path(__file__).parent.parent / "schemas"
CONTEXTS = {
    "http://www.w3.org/ns/odrl.jsonld": SCHEMAS / "odrl" / "ODRL22.jsonld",
    "http://www.w3.org/ns/tdmrep.jsonld": SCHEMAS / "tdmrep" / "tdmrep.jsonld",
}
ODRL = "http://www.w3.org/ns/odrl/2/"
KNOWN = (ODRL, "http://purl.org/dc/terms/", "http://www.w3.org/2006/vcard/ns#", "http://www.w3.org/ns/tdmrep#", BASE)
GRANTED = Granted(
    uid=f"{BASE}/v1/agreements/agr_1.jsonld",
    title="Contract 7",
    holder=f"{BASE}/publishers/pub_1",
    holder_name="The Courier",
    targets=(f"{BASE}/feeds/partners.atom", f"{BASE}/stories/st_1"),
    valid_from=NOON,
    valid_until=NOON + timedelta(days=365),
    territory="DE",
    fee_note="100 a month",
    stories=20,
    period="month",
)
POLICIES = {
    "Offer": license_offer(TERMS, ("Keep the byline.",), 250_000),
    "Offer of a former version": license_offer(TERMS, ("Keep the byline.",)),
    "Agreement": agreement(TERMS, GRANTED),
    "Agreement without limits": agreement(TERMS, replace(GRANTED, stories=None, territory="", fee_note="")),
    "Offer for mining": tdm_policy(TERMS),
}


def load(url: str, _options: Any) -> dict[str, Any]:
    """Answer from our copies; any other address is a fault, since contexts are never fetched."""
    document = json.loads(CONTEXTS[url].read_text("utf-8"))
    return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": document}


def expanded(policy: dict[str, Any]) -> dict[str, Any]:
    (found,) = jsonld.expand(policy, {"documentLoader": load})
    read: dict[str, Any] = found
    return read


def members(value: Any) -> Iterator[str]:
    """The name of every member in any depth, keywords of JSON-LD apart."""
    if isinstance(value, dict):
        yield from (name for name in value if not name.startswith("@"))
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from members(inner)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_member_is_a_term_that_the_contexts_know(policy: dict[str, Any]) -> None:
    read = list(members(expanded(policy)))
    assert all(name.startswith(KNOWN) for name in read)
    assert len(read) == len([name for name in members(policy) if name != "uid"])  # nothing was dropped; `uid` becomes @id


@pytest.mark.parametrize("kind", ["Offer", "Agreement"])
def test_a_policy_says_who_may_do_what_and_what_is_owed(kind: str) -> None:
    policy = expanded(POLICIES[kind])
    assert policy["@type"] == [f"{ODRL}{kind}"]
    assert policy["@id"] == POLICIES[kind]["uid"]
    assert policy[f"{ODRL}assigner"] == [{"@id": BASE}]
    assert policy[f"{ODRL}conflict"] == [{"@id": f"{ODRL}prohibit"}]
    actions = {
        rule: {action["@id"].removeprefix(ODRL) for each in policy[f"{ODRL}{rule}"] for action in each[f"{ODRL}action"]}
        for rule in ("permission", "prohibition", "obligation")
    }
    assert actions == {
        "permission": {"reproduce", "distribute", "display"},
        "prohibition": {"sell", "grantUse"},
        "obligation": {"delete"},
    }
    for permission in policy[f"{ODRL}permission"]:
        owed = {duty[f"{ODRL}action"][0]["@id"].removeprefix(ODRL) for duty in permission[f"{ODRL}duty"]}
        assert owed == {"attribute", "include"}


def test_an_offer_is_to_large_publishers_and_an_agreement_with_one_within_its_term() -> None:
    (permission,) = expanded(POLICIES["Offer"])[f"{ODRL}permission"]
    (publishers,) = permission[f"{ODRL}assignee"]
    (audience,) = publishers[f"{ODRL}refinement"]
    assert audience[f"{ODRL}leftOperand"] == [{"@id": f"{BASE}/license#monthlyUniqueVisitors"}]
    assert audience[f"{ODRL}rightOperand"][0]["@value"] == "250000"
    held = expanded(POLICIES["Agreement"])
    assert held[f"{ODRL}assignee"][0]["@id"] == f"{BASE}/publishers/pub_1"
    assert [each[f"{ODRL}target"][0]["@id"] for each in held[f"{ODRL}permission"]] == list(GRANTED.targets)
    limits = {
        (limit[f"{ODRL}leftOperand"][0]["@id"].removeprefix(ODRL), limit[f"{ODRL}operator"][0]["@id"].removeprefix(ODRL)): limit[
            f"{ODRL}rightOperand"
        ][0]["@value"]
        for limit in held[f"{ODRL}permission"][0][f"{ODRL}constraint"]
    }
    assert limits == {
        ("dateTime", "gteq"): "2026-11-20T12:00:00Z",
        ("dateTime", "lt"): "2027-11-20T12:00:00Z",
        ("count", "lteq"): "20",
    }


def test_mining_needs_consent() -> None:
    policy = expanded(POLICIES["Offer for mining"])
    (permission,) = policy[f"{ODRL}permission"]
    assert permission[f"{ODRL}action"] == [{"@id": "http://www.w3.org/ns/tdmrep#mine"}]
    assert permission[f"{ODRL}duty"][0][f"{ODRL}action"] == [{"@id": f"{ODRL}obtainConsent"}]
    assert policy[f"{ODRL}assigner"][0]["http://www.w3.org/2006/vcard/ns#fn"] == [{"@value": TERMS.newsroom}]
