"""Places at the desk with their first link: by letter, or shown once to whoever sets the service up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from syndicator.domain.accounts import LinkPurpose, StaffRole, User
from syndicator.house import House
from syndicator.operations.accounts import add_staff
from syndicator.operations.letters import write_letter
from syndicator.operations.links import lasting, make_link


def welcome(session: Session, house: House, *, email: str, role: StaffRole, name: str, actor: str, at: datetime) -> User:
    """Give the person with `email` a place and write them a letter with a link. Raises InvalidRequest, Conflict."""
    user = add_staff(session, email=email, role=role, name=name, actor=actor, at=at)
    address = make_link(session, house, LinkPurpose.SIGN_IN, at=at, user=user, next_path="/account/")
    write_letter(
        session, house, "welcome", to=user.email, at=at, secret=address, role=role.value, lasts=lasting(LinkPurpose.SIGN_IN)
    )
    return user
