"""What every view of the portal starts from: the publisher that the member acts for, and what the gate says of it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from syndicator.access import Decision, Viewer, decide_viewer
from syndicator.domain.publishers import Publisher
from syndicator.operations.agreements import read_viewer
from syndicator.web.guard import mine
from syndicator.web.identity import the_house


def own(session: Session) -> Publisher:
    """Return the publisher the member acts for, in this session."""
    return session.get_one(Publisher, mine().publisher_id)


def own_viewer(session: Session) -> Viewer:
    """Return the publisher as the gate sees it now."""
    house = the_house()
    return read_viewer(session, house, own(session), at=house.clock())


def standing(session: Session) -> Decision:
    """Say whether the publisher may take anything at all now."""
    return decide_viewer(own_viewer(session), the_house().clock())
