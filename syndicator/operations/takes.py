"""The usage ledger: which publisher took which story first, when and how; and what is read from it for statements.

What is pulled from the API is written down once per publisher and story. What is pushed stands in the deliveries already and is
read from there, so that a push costs nothing more. Feed documents are polled whole and are not counted by story.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, joinedload

from syndicator.access import Decision, denied
from syndicator.catalogue import Catalogue
from syndicator.domain.agreements import Agreement, Grant, Take, Way
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event, EventType, Rights, Story
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.operations.agreements import grant_of, quota_used
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
from syndicator.storage.queries import insert_once

CONTENT = frozenset(kind for kind in EventType if not kind.withdraws)


@dataclass(frozen=True, slots=True)
class Use:
    """One line of a usage statement."""

    publisher: str
    uri: str
    headline: str
    section: str
    first_taken_at: datetime
    way: Way
    agreement: str  # public id; empty: under the free-use license


@dataclass(frozen=True, slots=True)
class Taking:
    """A story that the gate let its asker have."""

    story: Story
    decision: Decision


def note_takes(house: House, publisher: Publisher, takings: Sequence[Taking], way: Way, *, at: datetime) -> None:
    """Write down that `publisher` takes stories which it was granted, unless that stands there already. Commits by itself.

    A quota is counted once more under a lock, so that two requests at once cannot both take the last story of a period. Raises
    AccessDenied in that case, and nothing is written.
    """
    new = {taking.story.id: taking for taking in takings}
    with reading(house.sessions) as session:
        known = select(Take.story_id).where(Take.publisher_id == publisher.id, Take.story_id.in_(new))
        for story_id in session.scalars(known):
            del new[story_id]
    if not new:
        return
    with house.sessions.begin() as session:
        for taking in new.values():
            _keep_quota(session, publisher, taking, at)
            insert_once(session, Take, [_row(publisher, taking, way, at)])


def _keep_quota(session: Session, publisher: Publisher, taking: Taking, at: datetime) -> None:
    grant = taking.decision.grant
    if grant is None or grant.quota is None:
        return
    agreement = session.get_one(Agreement, grant.agreement_id, with_for_update=True)
    if session.get(Take, (publisher.id, taking.story.id)) is not None:
        return  # somebody else of theirs took it at the same moment
    if quota_used(session, agreement, at=at) >= grant.quota:
        denied(Reason.LICENSE_REQUIRED, f"The quota of agreement {grant.public_id} is spent for this period.").require()


def _row(publisher: Publisher, taking: Taking, way: Way, at: datetime) -> dict[str, Any]:
    grant = taking.decision.grant
    return {
        "publisher_id": publisher.id,
        "story_id": taking.story.id,
        "first_taken_at": at,
        "version_number": taking.story.version_number,
        "way": way,
        "agreement_id": grant.agreement_id if grant else None,
    }


def usage(
    session: Session,
    catalogue: Catalogue,
    *,
    since: datetime,
    until: datetime,
    publisher_id: int | None = None,
    most: int = 100_000,
) -> list[Use]:
    """Return what was first taken in [since, until), the oldest first: each story once for each publisher."""
    first: dict[tuple[int, int], Use] = {}
    for publisher, story, use in sorted(
        (*_taken(session, since, until, publisher_id, most), *_pushed(session, catalogue, since, until, publisher_id, most)),
        key=lambda line: (line[2].first_taken_at, line[1]),
    ):
        first.setdefault((publisher, story), use)
    return list(first.values())


def usage_rows(uses: Iterable[Use]) -> Iterator[tuple[str, ...]]:
    """Yield the header and the lines of a usage statement, as cells of text."""
    yield ("publisher", "story", "headline", "section", "first_taken_at", "way", "agreement")
    for use in uses:
        moment = use.first_taken_at.isoformat(timespec="seconds")
        yield (use.publisher, use.uri, use.headline, use.section, moment, use.way.value, use.agreement)


Line = tuple[int, int, Use]


def _taken(session: Session, since: datetime, until: datetime, publisher_id: int | None, most: int) -> Iterator[Line]:
    wanted = (
        select(Take, Publisher.name, Agreement.public_id)
        .join(Publisher, Publisher.id == Take.publisher_id)
        .outerjoin(Agreement, Agreement.id == Take.agreement_id)
        .where(Take.first_taken_at >= since, Take.first_taken_at < until)
        .options(joinedload(Take.story).joinedload(Story.current))
        .order_by(Take.first_taken_at)
        .limit(most)
    )
    if publisher_id is not None:
        wanted = wanted.where(Take.publisher_id == publisher_id)
    for take, name, agreement in session.execute(wanted):
        said = take.story.current
        use = Use(name, take.story.uri, said.headline, said.section, take.first_taken_at, take.way, agreement or "")
        yield take.publisher_id, take.story_id, use


def _pushed(
    session: Session, catalogue: Catalogue, since: datetime, until: datetime, publisher_id: int | None, most: int
) -> Iterator[Line]:
    """Yield the first delivery of each story to each publisher that was made in the time, unless an earlier one was.

    A push writes no agreement down: the one that covers a licensed story now, and was in force then, is named.
    """
    grants = _grants(session, catalogue, publisher_id)
    earlier, its = aliased(Delivery), aliased(Subscription)
    before = (
        select(earlier.id)
        .join(its, its.id == earlier.subscription_id)
        .where(
            earlier.story_id == Delivery.story_id,
            its.publisher_id == Subscription.publisher_id,
            earlier.state == DeliveryState.DELIVERED,
            earlier.settled_at < Delivery.settled_at,
        )
        .exists()
    )
    wanted = (
        select(Delivery.settled_at, Publisher.id, Publisher.name, Story)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(Publisher, Publisher.id == Subscription.publisher_id)
        .join(Event, Event.seq == Delivery.event_seq)
        .join(Story, Story.id == Delivery.story_id)
        .options(joinedload(Story.current))
        .where(
            Delivery.state == DeliveryState.DELIVERED,
            Delivery.settled_at >= since,
            Delivery.settled_at < until,
            Event.type.in_(CONTENT),
            ~before,
        )
        .order_by(Delivery.settled_at)
        .limit(most)
    )
    if publisher_id is not None:
        wanted = wanted.where(Subscription.publisher_id == publisher_id)
    taken_before = select(Take.story_id).where(Take.publisher_id == Publisher.id, Take.story_id == Delivery.story_id)
    wanted = wanted.where(~taken_before.where(Take.first_taken_at < since).exists())
    for settled_at, owner, name, story in session.execute(wanted):
        at, said = settled_at or since, story.current
        held = grants[owner] if story.rights is Rights.LICENSED else ()
        agreement = next((grant.public_id for grant in held if grant.in_force(at) and grant.covers(story)), "")
        yield owner, story.id, Use(name, story.uri, said.headline, said.section, at, Way.PUSH, agreement)


def _grants(session: Session, catalogue: Catalogue, publisher_id: int | None) -> defaultdict[int, list[Grant]]:
    """Return all agreements by which stories are pushed, those without a quota, also past ones, by publisher."""
    wanted = select(Agreement).where(Agreement.quota.is_(None)).order_by(Agreement.id)
    found = defaultdict[int, list[Grant]](list)
    for agreement in session.scalars(wanted if publisher_id is None else wanted.where(Agreement.publisher_id == publisher_id)):
        found[agreement.publisher_id].append(grant_of(catalogue, agreement))
    return found
