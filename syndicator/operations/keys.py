"""API keys and feed tokens: made, shown once, recognised by hash, revoked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syndicator.catalogue import Catalogue
from syndicator.domain.base import new_id
from syndicator.domain.publishers import MOST_NETWORKS, ApiKey, FeedToken, Publisher, Scope
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.denials import deny_token
from syndicator.operations.letters import write_letter
from syndicator.vault import hash_token, new_token, well_formed

log = logging.getLogger(__name__)
KEY_PREFIX = "syn_key"
TOKEN_PREFIX = "syn_feed"  # noqa: S105 -- the part in front of every token, no secret
PUBLISHER_SCOPES = (Scope.READ, Scope.SUBSCRIBE)
USE_IS_NOTED_EVERY = timedelta(minutes=1)
MOST_OF_A_NAME = 2  # the old and the new one, while a system is given the new
MOST_LIVE = 20


def create_key(
    session: Session,
    publisher: Publisher | None,
    *,
    actor: str,
    at: datetime,
    scopes: tuple[Scope, ...] | None = None,
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for `publisher`, or for our own newsroom if None; returns it and the secret, which is never seen again.

    Raises InvalidRequest for a scope that its holder may not have, Conflict for a publisher's third live key of one name.
    """
    allowed = PUBLISHER_SCOPES if publisher else (Scope.NEWSROOM, *PUBLISHER_SCOPES)
    granted = scopes or (PUBLISHER_SCOPES if publisher else (Scope.NEWSROOM,))
    for scope in granted:
        if scope not in allowed:
            raise InvalidRequest(f"a publisher's key cannot have the scope {scope.value!r}", "scopes")
    if publisher is not None:
        _require_room(keys_of(session, publisher.id), name, at)
    secret = new_token(KEY_PREFIX)
    key = ApiKey(
        public_id=new_id("key_"),
        publisher=publisher,
        name=name,
        prefix=secret[: len(KEY_PREFIX) + 7],
        secret_hash=hash_token(secret),
        scopes=[scope.value for scope in granted],
        created_at=at,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    holder = publisher.public_id if publisher else "newsroom"
    audit.record(session, actor, "key.create", key.public_id, at=at, holder=holder, scopes=key.scopes)
    return key, secret


def keys_of(session: Session, publisher_id: int) -> Sequence[ApiKey]:
    """Return the publisher's newest keys, also those that no longer work."""
    wanted = select(ApiKey).where(ApiKey.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(ApiKey.id.desc()).limit(100)).all()


def tokens_of(session: Session, publisher_id: int) -> Sequence[FeedToken]:
    """Return the publisher's feed tokens that work, the newest first."""
    wanted = select(FeedToken).where(FeedToken.publisher_id == publisher_id, FeedToken.revoked_at.is_(None))
    return session.scalars(wanted.order_by(FeedToken.id.desc()).limit(200)).all()


def _require_room(keys: Sequence[ApiKey], name: str, at: datetime) -> None:
    live = [key for key in keys if key.live(at)]
    if name and sum(key.name == name for key in live) >= MOST_OF_A_NAME:
        raise Conflict(f"There are two live keys called “{name}” already; revoke one of them first.")
    if len(live) >= MOST_LIVE:
        raise Conflict(f"There are {len(live)} live keys already; revoke one of them first.")


def find_key(session: Session, secret: str, *, at: datetime) -> ApiKey | None:
    """Return the live key that `secret` is; a word that can be none costs no look-up."""
    if not well_formed(secret, KEY_PREFIX):
        return None
    key = session.scalars(select(ApiKey).where(ApiKey.secret_hash == hash_token(secret))).one_or_none()
    return key if key and key.live(at) else None


def create_token(
    session: Session, catalogue: Catalogue, publisher: Publisher, feed: str, *, actor: str, at: datetime
) -> tuple[FeedToken, str]:
    """Make a token by which a feed reader has `feed` for `publisher`. Raises FeedNotFound; InvalidRequest for a public feed."""
    if catalogue.get(feed).public:
        raise InvalidRequest(f"the feed {feed!r} is public and needs no token", "feed")
    secret = new_token(TOKEN_PREFIX)
    token = FeedToken(
        public_id=new_id("tok_"),
        publisher=publisher,
        feed=feed,
        prefix=secret[: len(TOKEN_PREFIX) + 7],
        secret_hash=hash_token(secret),
        created_at=at,
    )
    session.add(token)
    session.flush()
    audit.record(session, actor, "token.create", token.public_id, at=at, holder=publisher.public_id, feed=feed)
    return token, secret


def find_token(session: Session, secret: str) -> FeedToken | None:
    """Return the token that `secret` is, unless revoked."""
    if not well_formed(secret, TOKEN_PREFIX):
        return None
    token = session.scalars(select(FeedToken).where(FeedToken.secret_hash == hash_token(secret))).one_or_none()
    return token if token and token.revoked_at is None else None


def use_is_news(credential: ApiKey | FeedToken, at: datetime) -> bool:
    """Whether a use of it is to be noted: once a minute, so that a poll seldom writes."""
    return credential.last_used_at is None or at - credential.last_used_at >= USE_IS_NOTED_EVERY


def note_reader(session: Session, house: House, token: FeedToken, address: str, *, at: datetime) -> None:
    """Note where a feed token is read from; who holds one that is read from many places has a letter about it, once a day."""
    row = session.get_one(FeedToken, token.id, with_for_update={"of": FeedToken})
    if row.note_reader(address, at):
        log.warning("feed token read from many networks token_id=%s publisher=%s", row.public_id, row.publisher.public_id)
        write_letter(
            session,
            house,
            "note",
            to=row.publisher.email,
            at=at,
            publisher=row.publisher,
            about=row.public_id,
            heading=f"Your address of the feed “{row.feed}” is read from many places",
            words=f"Today it was read from more than {MOST_NETWORKS} networks. If these are not all yours, others know the"
            f" address. Make another one at {house.config.site.base_url}/portal/feeds, and revoke that which begins with"
            f" {row.prefix}…",
        )


def get_credential(session: Session, reference: str, *, publisher_id: int | None = None) -> ApiKey | FeedToken:
    """Return the key or token with the public id or prefix `reference`; with `publisher_id`, only if it is that publisher's.

    Raises NotFound, also for a prefix that several have.
    """
    found: list[ApiKey | FeedToken] = []
    for kind in (ApiKey, FeedToken):
        wanted = select(kind).where(or_(kind.public_id == reference, kind.prefix == reference)).limit(2)
        found += session.scalars(wanted if publisher_id is None else wanted.where(kind.publisher_id == publisher_id))
    if len(found) != 1:
        raise NotFound(f"there is no key or token {reference!r}")
    return found[0]


def revoke(session: Session, reference: str, *, actor: str, at: datetime, publisher_id: int | None = None) -> ApiKey | FeedToken:
    """Revoke the key or token `reference`, as get_credential finds it; what was subscribed to by a token's address is denied.

    Raises NotFound; Conflict when it already is.
    """
    credential = get_credential(session, reference, publisher_id=publisher_id)
    if credential.revoked_at is not None:
        raise Conflict(f"{credential.public_id} has been revoked already")
    credential.revoked_at = at
    if isinstance(credential, FeedToken):
        deny_token(session, credential, at=at)
    audit.record(session, actor, "credential.revoke", credential.public_id, at=at)
    return credential
