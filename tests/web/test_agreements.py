"""Licensed stories through the API: who gets them, what is counted, and what a list does not count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.domain.agreements import Take, Way
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Rights
from syndicator.operations.agreements import add_agreement
from tests.desk import Desk
from tests.web.callers import key_of


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
