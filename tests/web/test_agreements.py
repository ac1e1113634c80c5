"""Licensed stories through the API: who gets them, what is counted, and what a list does not count."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.domain.agreements import Take, Way
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Rights
from syndicator.operations.agreements import add_agreement
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.web.callers import key_of

SCHEMAS = Path(__file__).parent.parent / "schemas"


def agree(desk: Desk, publisher: Publisher, **terms: Any) -> None:
    at = desk.house.clock()
    with desk.house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id)
        whole = {"title": "Contract 7", "valid_from": at, "valid_until": at + timedelta(days=30), **terms}
        add_agreement(session, desk.house, holder, **whole, actor="test", at=at)


def takes(desk: Desk, publisher: Publisher) -> dict[int, Way]:
    with desk.house.sessions() as session:
        return {take.story_id: take.way for take in session.scalars(select(Take).where(Take.publisher_id == publisher.id))}


def test_a_licensed_story_is_served_to_the_holder_of_an_agreement_and_counted_once(desk: Desk, client: FlaskClient) -> None:
    holder, other = desk.publisher(), desk.publisher()
    paid = desk.publish(external_id="paid", rights=Rights.LICENSED).story
    free = desk.publish(external_id="free").story
    agree(desk, holder)
    key = key_of(desk.house, holder)
    for _ in range(2):
        answer = client.get(f"/v1/stories/{paid.public_id}", headers=key)
        assert answer.status_code == 200
        assert "Only for holders of a license agreement" in answer.get_json()["usageTerms"]
    client.get(f"/v1/stories/{free.public_id}/embed", headers=key)
    assert takes(desk, holder) == {paid.id: Way.API, free.id: Way.EMBED}
    refused = client.get(f"/v1/stories/{paid.public_id}", headers=key_of(desk.house, other))
    assert (refused.status_code, refused.get_json()["reason"]) == (403, "license_required")
    assert takes(desk, other) == {}


def test_a_spent_quota_is_said_in_the_refusal(desk: Desk, client: FlaskClient) -> None:
    holder = desk.publisher()
    first, second = (desk.publish(external_id=name, rights=Rights.LICENSED).story for name in ("a", "b"))
    agree(desk, holder, quota=1)
    key = key_of(desk.house, holder)
    assert client.get(f"/v1/stories/{first.public_id}", headers=key).status_code == 200
    refused = client.get(f"/v1/stories/{second.public_id}", headers=key)
    assert refused.get_json()["reason"] == "license_required"
    assert "quota of 1 stories is spent" in refused.get_json()["detail"]
    assert client.get(f"/v1/stories/{first.public_id}?format=text", headers=key).status_code == 200


def test_lists_hold_licensed_stories_for_agreements_without_a_quota_alone(desk: Desk, client: FlaskClient) -> None:
    holder, spender, other = desk.publisher(), desk.publisher(), desk.publisher()
    paid = desk.publish(external_id="paid", rights=Rights.LICENSED).story
    free = desk.publish(external_id="free").story
    agree(desk, holder, sections=["Military and Defense"])
    agree(desk, spender, quota=9)

    def listed(publisher: Publisher, query: str = "") -> set[str]:
        answer = client.get(f"/v1/stories{query}", headers=key_of(desk.house, publisher))
        return {story["uri"] for story in answer.get_json()["stories"]}

    assert listed(holder) == listed(holder, "?q=gauges") == {paid.uri, free.uri}
    assert listed(spender) == listed(other) == {free.uri}
    assert takes(desk, holder) == {paid.id: Way.API, free.id: Way.API}


def test_looking_at_headlines_takes_nothing(desk: Desk, client: FlaskClient) -> None:
    reader = desk.publisher()
    desk.publish()
    client.get("/v1/stories?fields=headlines", headers=key_of(desk.house, reader))
    assert takes(desk, reader) == {}


def test_what_a_publisher_holds_is_told_as_odrl_agreements_of_its_own(desk: Desk, client: FlaskClient) -> None:
    holder, other = desk.publisher(), desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder, stories=[story.uri], quota=3, territory="Texas", fee_note="100 a month")
    key = key_of(desk.house, holder)
    listed = client.get("/v1/agreements", headers=key).get_json()
    (told,) = listed["agreements"]
    assert (told["quota"], told["quota_used"], told["in_force"]) == (3, 0, True)
    policy = client.get(told["policy"].removeprefix(BASE_URL), headers=key)
    assert policy.mimetype == "application/ld+json"
    read = policy.get_json()
    assert (read["@type"], read["uid"], read["assigner"]) == ("Agreement", told["policy"], BASE_URL)
    assert read["assignee"]["vcard:fn"] == holder.name
    (permission,) = read["permission"]
    assert permission["target"] == f"{BASE_URL}/stories/{story.public_id}"
    operands = [(each["leftOperand"], each["operator"]) for each in permission["constraint"]]
    assert operands == [("dateTime", "gteq"), ("dateTime", "lt"), ("count", "lteq")]
    context = json.loads((SCHEMAS / "odrl" / "ODRL22.jsonld").read_text("utf-8"))["@context"]
    used = {*permission["action"], *read["prohibition"][0]["action"], *(name for name, _ in operands), "Agreement"}
    assert used <= set(context)
    free = client.get(listed["free_use"].removeprefix(BASE_URL), headers=key).get_json()
    assert free["permission"][0]["target"] == f"{BASE_URL}/stories/"
    stranger = client.get(told["policy"].removeprefix(BASE_URL), headers=key_of(desk.house, other))
    assert stranger.status_code == 404


def test_a_licensed_story_names_no_free_license(desk: Desk, client: FlaskClient) -> None:
    holder = desk.publisher()
    story = desk.publish(rights=Rights.LICENSED).story
    agree(desk, holder)
    key = key_of(desk.house, holder)
    free = desk.house.config.license_url
    for form in ("ninjs", "newsml", "jsonld", "jsonfeed", "html", "text"):
        text = client.get(f"/v1/stories/{story.public_id}?format={form}", headers=key).text
        assert free not in text, form
        assert f"{BASE_URL}/licensing" in text, form
