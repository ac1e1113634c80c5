"""ninjs 3.1, 2.2 and 1.6 hold against IPTC's own schemas, whatever the story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from syndicator.domain.stories import PubStatus, Rights
from syndicator.render.entry import Entry
from syndicator.render.ninjs import NinjsVersion, render_ninjs
from syndicator.render.plain import plain_text
from tests.render.strategies import NOON, TERMS, entries, entry, killed

SCHEMAS = Path(__file__).parent.parent / "schemas" / "ninjs"
VERSIONS: tuple[NinjsVersion, ...] = ("3.1", "2.2", "1.6")
# The schemas point at GeoJSON's, which no story of ours reaches.
REGISTRY: Registry[Any] = Registry().with_resource("https://geojson.org/schema/GeoJSON.json", Resource.opaque(True))


def validator(version: str) -> Draft7Validator | Draft202012Validator:
    schema = json.loads((SCHEMAS / f"ninjs-schema_{version}.json").read_text("utf-8"))
    kind = Draft7Validator if version == "1.6" else Draft202012Validator
    return kind(schema, registry=REGISTRY, format_checker=FormatChecker())


VALIDATORS = {version: validator(version) for version in VERSIONS}


@given(entries())
@settings(max_examples=40, deadline=None)
def test_every_story_is_valid_in_every_version_with_the_notice_once(story: Entry) -> None:
    for version in VERSIONS:
        document = render_ninjs(story, TERMS, version)
        VALIDATORS[version].validate(document)
        assert sum(plain_text(text).count(TERMS.notice_text) for text in strings(document)) == 1
        json.dumps(document).encode()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
def test_a_withdrawn_story_has_its_status_and_no_body(version: NinjsVersion, status: PubStatus) -> None:
    document = render_ninjs(killed(status=status), TERMS, version)
    VALIDATORS[version].validate(document)
    assert (document.get("pubStatus") or document["pubstatus"]) == status.value
    assert not {"bodies", "body_html", "descriptions", "description_text", "by", "byline", "associations"} & set(document)
    assert "did not vote" not in json.dumps(document)
    assert "invented" in (document.get("edNote") or document["ednote"])


def test_members_have_the_names_of_their_version() -> None:
    story = entry(embargoed_until=NOON, expires=NOON, ednote="Call first.", correction_note="It was Friday.")
    newest, middle, oldest = (render_ninjs(story, TERMS, version) for version in VERSIONS)
    assert newest["embargoedUntil"] == middle["embargoed"] == oldest["embargoed"] == "2026-11-20T12:00:00Z"
    assert newest["by"] == middle["by"] == oldest["byline"] == "Jane Roe, John Doe"
    assert newest["rightsInfo"]["linkedRights"] == middle["rightsinfo"]["linkedrights"] == TERMS.license_url
    assert newest["bodies"][0]["value"] == middle["bodies"][0]["value"] == oldest["body_html"]
    assert newest["edNote"] == middle["ednote"] == oldest["ednote"]
    assert newest["edNote"].splitlines()[1:] == ["Correction: It was Friday.", "Call first."]
    assert [subject["name"] for subject in newest["subjects"]] == ["Politics", "Iraq", "ISIS"]
    assert newest["version"] == "2"
    assert newest["associations"][0]["by"] == "J. Doe/Example"


def test_a_licensed_story_does_not_claim_to_be_free() -> None:
    assert "license agreement" in render_ninjs(entry(rights=Rights.LICENSED), TERMS)["usageTerms"]


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []
