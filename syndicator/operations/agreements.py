"""Agreements: recorded, ended, listed, and read as the grants that the gate judges by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.access import Viewer, viewer_of
from syndicator.catalogue import Catalogue
from syndicator.config import Config
from syndicator.domain.agreements import Agreement, Grant, QuotaPeriod, Take, period_start
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher, Scope
from syndicator.domain.stories import label_key
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.storage.queries import get_story

MOST_IN_SCOPE = 500  # names of feeds, sections or stories in one agreement


def add_agreement(
    session: Session,
    house: House,
    publisher: Publisher,
    *,
    title: str,
    valid_from: datetime,
    valid_until: datetime,
    feeds: Sequence[str] = (),
    sections: Sequence[str] = (),
    stories: Sequence[str] = (),
    territory: str = "",
    fee_note: str = "",
    quota: int | None = None,
    quota_period: QuotaPeriod = QuotaPeriod.TERM,
    embargo_trusted: bool = False,
    actor: str,
    at: datetime,
) -> Agreement:
    """Record what was agreed with `publisher`. Without feeds, sections and stories it covers everything on offer.

    Raises FeedNotFound, StoryNotFound, and InvalidRequest that names the field.
    """
    if not title.strip() or len(title) > 200:
        raise InvalidRequest("a title of 1 to 200 characters is needed, such as the contract's number", "title")
    if valid_until <= valid_from:
        raise InvalidRequest("must lie after the beginning of the term", "valid_until")
    if quota is not None and quota < 1:
        raise InvalidRequest("must be at least 1; leave it out for no limit", "quota")
    if max(map(len, (feeds, sections, stories))) > MOST_IN_SCOPE:
        raise InvalidRequest(f"at most {MOST_IN_SCOPE} names of a kind", "scope")
    if len(territory) > 200:
        raise InvalidRequest("at most 200 characters", "territory")
    agreement = Agreement(
        public_id=new_id("agr_"),
        publisher=publisher,
        title=" ".join(title.split()),
        feeds=sorted({house.catalogue.get(name).name for name in feeds}),
        sections=sorted({" ".join(name.split()) for name in sections if name.strip()}),
        stories=sorted({get_story(session, reference).public_id for reference in stories}),
        territory=territory.strip(),
        fee_note=fee_note.strip(),
        quota=quota,
        quota_period=quota_period,
        embargo_trusted=embargo_trusted,
        valid_from=valid_from,
        valid_until=valid_until,
        created_at=at,
    )
    session.add(agreement)
    session.flush()
    details = {"publisher": publisher.public_id, "title": agreement.title, "until": valid_until.isoformat(), "quota": quota}
    scope = {"feeds": agreement.feeds, "sections": agreement.sections, "stories": agreement.stories}
    audit.record(session, actor, "agreement.add", agreement.public_id, at=at, **details, **scope)
    return agreement


def end_agreement(session: Session, reference: str, *, reason: str, actor: str, at: datetime) -> Agreement:
    """End it now; everything refuses at once. Raises NotFound, Conflict when it has ended, InvalidRequest without a reason."""
    if not reason.strip():
        raise InvalidRequest("say why it ends", "reason")
    agreement = get_agreement(session, reference, lock=True)
    if agreement.ended_at is not None:
        raise Conflict(f"agreement {reference} has ended already")
    agreement.ended_at, agreement.end_reason = at, reason.strip()
    audit.record(session, actor, "agreement.end", agreement.public_id, at=at, reason=reason.strip())
    return agreement


def move_end(session: Session, reference: str, *, valid_until: datetime, reason: str, actor: str, at: datetime) -> Agreement:
    """Let it last until another instant. Raises NotFound, Conflict when it was ended, and InvalidRequest that names the field."""
    if not reason.strip():
        raise InvalidRequest("say why", "reason")
    agreement = get_agreement(session, reference, lock=True)
    if agreement.ended_at is not None:
        raise Conflict(f"agreement {reference} has ended already")
    if valid_until <= max(at, agreement.valid_from):
        raise InvalidRequest("must lie ahead, and after the beginning of the term; to end it now, end it", "valid_until")
    before, agreement.valid_until = agreement.valid_until, valid_until
    details = {"from": before.isoformat(), "until": valid_until.isoformat(), "reason": reason.strip()}
    audit.record(session, actor, "agreement.move-end", agreement.public_id, at=at, **details)
    return agreement


def get_agreement(session: Session, reference: str, *, publisher_id: int | None = None, lock: bool = False) -> Agreement:
    """Return the agreement by its public id; one of another publisher than `publisher_id` is as unknown as none."""
    wanted = select(Agreement).where(Agreement.public_id == reference)
    if publisher_id is not None:
        wanted = wanted.where(Agreement.publisher_id == publisher_id)
    if lock:
        wanted = wanted.with_for_update(of=Agreement)
    agreement = session.scalars(wanted).one_or_none()
    if agreement is None:
        raise NotFound(f"there is no agreement {reference!r}")
    return agreement


def policy_url(config: Config, reference: str) -> str:
    """Return where the ODRL policy of an agreement stands: its holder alone may read it."""
    return f"{config.site.base_url}/v1/agreements/{reference}.jsonld"


def agreements_of(session: Session, publisher_id: int | None = None, *, limit: int = 500) -> Sequence[Agreement]:
    """Return agreements, of one publisher or of all, the newest first."""
    wanted = select(Agreement).order_by(Agreement.id.desc()).limit(limit)
    return session.scalars(wanted if publisher_id is None else wanted.where(Agreement.publisher_id == publisher_id)).all()


def read_viewer(
    session: Session, house: House, publisher: Publisher, *, at: datetime, scopes: frozenset[Scope] = frozenset()
) -> Viewer:
    """Return `publisher` as the gate sees it now, its agreements included: two queries, a third for each quota."""
    grants = grants_of(session, house.catalogue, [publisher.id], at=at)
    return viewer_of(publisher, house.config.license.version, scopes, grants[publisher.id])


def grants_of(
    session: Session, catalogue: Catalogue, publisher_ids: Collection[int], *, at: datetime
) -> defaultdict[int, tuple[Grant, ...]]:
    """Return the agreements in force now, by publisher."""
    wanted = select(Agreement).where(
        Agreement.publisher_id.in_(publisher_ids),
        Agreement.valid_until > at,
        Agreement.valid_from <= at,
        Agreement.ended_at.is_(None),
    )
    found: defaultdict[int, tuple[Grant, ...]] = defaultdict(tuple)
    for agreement in session.scalars(wanted.order_by(Agreement.id)):
        found[agreement.publisher_id] += (_grant(session, catalogue, agreement, at),)
    return found


def quota_used(session: Session, agreement: Agreement, *, at: datetime) -> int:
    """Return how many stories were taken under the agreement in the present period."""
    since = period_start(agreement.quota_period, agreement.valid_from, at)
    taken = select(func.count()).select_from(Take)
    return session.scalar(taken.where(Take.agreement_id == agreement.id, Take.first_taken_at >= since)) or 0


def _grant(session: Session, catalogue: Catalogue, agreement: Agreement, at: datetime) -> Grant:
    left = None if agreement.quota is None else max(agreement.quota - quota_used(session, agreement, at=at), 0)
    # Only who has nothing left needs to be known by the stories it took before, under whichever agreement.
    before = select(Take.story_id).where(Take.publisher_id == agreement.publisher_id, Take.agreement_id.is_not(None))
    return grant_of(catalogue, agreement, left=left, taken=session.scalars(before).all() if left == 0 else ())


def grant_of(catalogue: Catalogue, agreement: Agreement, *, left: int | None = None, taken: Collection[int] = ()) -> Grant:
    """Return `agreement` as the gate judges by it, with what is left of its quota and the stories that are free of it."""
    definitions = [definition for name in agreement.feeds if (definition := catalogue.find(name))]
    return Grant(
        agreement_id=agreement.id,
        public_id=agreement.public_id,
        feeds=frozenset(agreement.feeds),
        selections=tuple(definition.select for definition in definitions),
        sections=frozenset(map(label_key, agreement.sections)),
        stories=frozenset(agreement.stories),
        valid_from=agreement.valid_from,
        valid_until=min(agreement.valid_until, agreement.ended_at or agreement.valid_until),
        embargo_trusted=agreement.embargo_trusted,
        quota=agreement.quota,
        quota_left=left,
        taken=frozenset(taken),
    )
