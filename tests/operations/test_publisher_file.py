"""The file on a publisher: all that is kept about it, and nothing that opens a door."""

from __future__ import annotations

import json

from sqlalchemy import select

from syndicator.domain.publishers import ApiKey, Publisher
from syndicator.domain.tables import TABLES
from syndicator.operations.keys import create_key, create_token
from syndicator.operations.publisher_file import LEFT_OUT, file_of
from tests.desk import Desk


def test_all_that_is_kept_about_a_publisher_is_in_its_file(desk: Desk) -> None:
    publisher, other = desk.publisher(), desk.publisher()
    desk.subscription(publisher, endpoint="https://courier.example/in")
    desk.subscription(other, endpoint="https://other.example/in")
    with desk.house.sessions.begin() as session:
        owner = session.get_one(Publisher, publisher.id)
        _, key = create_key(session, owner, actor="test", at=desk.house.clock())
        _, token = create_token(session, desk.house.catalogue, owner, "partners", actor="test", at=desk.house.clock())
    with desk.house.sessions() as session:
        told = file_of(session, session.get_one(Publisher, publisher.id))
        hashes = session.scalars(select(ApiKey.secret_hash)).all()
    kept = {name for name, table in TABLES.tables.items() if "publisher_id" in table.c}
    assert set(told) == {"publisher", *kept} - LEFT_OUT
    assert (told["publisher"]["name"], told["publisher"]["state"]) == (publisher.name, "approved")
    assert [each["to_state"] for each in told["eligibility_decisions"]] == ["approved"]
    assert [each["endpoint"] for each in told["subscriptions"]] == ["https://courier.example/in"]
    text = json.dumps(told, default=str)
    assert not any(secret in text for secret in (key, token, *hashes))
    assert other.name not in text
