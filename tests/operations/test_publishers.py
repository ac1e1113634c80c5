"""Publishers by their names: what an applicant calls itself gets in nobody's way."""

from __future__ import annotations

from syndicator.house import House
from syndicator.operations.publishers import add_publisher, get_publisher
from tests.desk import Desk


def test_an_organisation_named_like_anothers_id_does_not_hide_it(house: House, desk: Desk) -> None:
    publisher = desk.publisher()
    with house.sessions.begin() as session:
        squatter = add_publisher(
            session, name=publisher.public_id, email="x@evil.example", domains=[], actor="test", at=house.clock()
        )
        assert get_publisher(session, publisher.public_id).id == publisher.id
        assert get_publisher(session, squatter.public_id).id == squatter.id
