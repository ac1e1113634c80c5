"""Sources: added, paused, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.base import new_id
from syndicator.domain.stories import PubStatus, Source, SourceKind, Story
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.outbound import Outbound

PULLED = (SourceKind.WORDPRESS, SourceKind.FEED)


def add_source(
    session: Session,
    house: House,
    outbound: Outbound,
    *,
    kind: SourceKind,
    url: str,
    name: str,
    section: str,
    every_seconds: int | None,
    credentials: str,
    actor: str,
    at: datetime,
) -> Source:
    """Pull from `url` from now on. A WordPress site of which an export was imported keeps the stories that came of it.

    Raises InvalidRequest, AddressRefused, Conflict for a name that is taken.
    """
    if kind not in PULLED:
        raise InvalidRequest(f"a {kind.value} source is not pulled; there are {', '.join(PULLED)}", "kind")
    if credentials and ":" not in credentials:
        raise InvalidRequest("must be USER:PASSWORD", "credentials")
    if every_seconds is not None and not 15 <= every_seconds <= 7 * 86_400:
        raise InvalidRequest("must be from 15 seconds to a week", "every")
    outbound.check_url(url)
    name = name or urlsplit(url).hostname or ""
    source = _imported(session, url) if kind is SourceKind.WORDPRESS else None
    if session.scalar(select(Source.id).where(Source.name == name, Source.id != (source.id if source else 0))) is not None:
        raise Conflict(f"there is a source called {name!r} already; choose another --name")
    source = source or Source(cursor={}, paused=False, failures=0)
    source.name, source.kind, source.url, source.section = name, kind, url, section
    source.every_seconds = every_seconds or house.config.intake.default_every_seconds
    source.credentials = house.vault.lock(credentials) if credentials else None
    source.next_pull_at = at
    session.add(source)
    session.flush()
    audit.record(session, actor, "source.add", name, at=at, kind=kind.value, url=url)
    return source


def site_called(address: str) -> str:
    """Return what a site is known by, as `example.org` or, in a network of sites, `example.org/town`; empty for no site."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return ""
    return host and f"{host}{parts.path.partition('/wp-json')[0].rstrip('/')}"[:80]


def _imported(session: Session, url: str) -> Source | None:
    """Return the source of a site's exports: it knows stories by the same numbers as the site itself."""
    return session.scalars(select(Source).where(Source.kind == SourceKind.WXR, Source.name == site_called(url))).one_or_none()


def get_source(session: Session, name: str) -> Source:
    """Return the source called `name`; raises NotFound."""
    source = session.scalars(select(Source).where(Source.name == name)).one_or_none()
    if source is None:
        raise NotFound(f"there is no source {name!r}")
    return source


def pulled_sources(session: Session) -> Sequence[Source]:
    """Return the sources that are pulled and not paused."""
    wanted = select(Source).where(Source.kind.in_(PULLED), Source.paused.is_(False), Source.next_pull_at.is_not(None))
    return session.scalars(wanted.order_by(Source.name)).all()


def all_sources(session: Session) -> Sequence[Source]:
    """Return every source that has not been removed, also those that push to us."""
    wanted = select(Source).where(Source.name.not_like("% (removed %)")).order_by(Source.name).limit(500)
    return session.scalars(wanted).all()


def vanished(session: Session, source: Source) -> list[tuple[Story, str]]:
    """Return our stories that the source no longer shows, with what it says of each; those that are withdrawn here left out."""
    gone = source.cursor.get("gone") or {}
    wanted = select(Story).where(Story.source_id == source.id, Story.external_id.in_(gone), Story.pubstatus == PubStatus.USABLE)
    stories = session.scalars(wanted.options(joinedload(Story.current)).order_by(Story.id))
    return [(story, gone[story.external_id]["why"]) for story in stories]


def pull_soon(session: Session, name: str, *, actor: str, at: datetime) -> None:
    """Have the timetable pull the source within seconds. Raises NotFound, Conflict for one that is paused or not pulled."""
    source = get_source(session, name)
    if source.paused or source.next_pull_at is None:
        raise Conflict(f"{name} is {'paused' if source.next_pull_at else 'not pulled; it sends to us'}")
    source.next_pull_at = at
    audit.record(session, actor, "source.pull", name, at=at)


def set_paused(session: Session, name: str, *, paused: bool, actor: str, at: datetime) -> None:
    """Pause the source or pull it again, at once."""
    source = get_source(session, name)
    source.paused = paused
    source.next_pull_at = source.next_pull_at if paused else at
    audit.record(session, actor, "source.pause" if paused else "source.resume", name, at=at)


def remove_source(session: Session, name: str, *, actor: str, at: datetime) -> None:
    """Pull it no more and forget its credentials. Its stories keep knowing where they came from."""
    source = get_source(session, name)
    source.paused, source.next_pull_at, source.credentials = True, None, None
    source.name = f"{name[:60]} (removed {new_id('', 6)})"
    audit.record(session, actor, "source.remove", name, at=at)
