"""Keys and tokens, as callers of the API hold them."""

from __future__ import annotations

from syndicator.domain.publishers import Publisher, Scope
from syndicator.house import House
from syndicator.operations.keys import create_key, create_token


def key_of(house: House, publisher: Publisher | None, *scopes: Scope) -> dict[str, str]:
    with house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id) if publisher else None
        _, secret = create_key(session, holder, actor="test", at=house.clock(), scopes=scopes)
    return {"Authorization": f"Bearer {secret}"}


def token_of(house: House, publisher: Publisher) -> tuple[str, str]:
    with house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id)
        token, secret = create_token(session, house.catalogue, holder, "partners", actor="test", at=house.clock())
    return token.public_id, secret
