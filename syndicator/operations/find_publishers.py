"""Finding publishers for the desk: by words, state and nearing end of the approval, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from syndicator.domain.publishers import ApiKey, EligibilityDecision, FeedToken, Publisher, PublisherDomain, PublisherState
from syndicator.domain.subscriptions import Subscription

LONGEST_SEARCH = 100


def find_publishers(
    session: Session,
    *,
    words: str = "",
    state: PublisherState | None = None,
    ends_within_days: int | None = None,
    at: datetime,
    after: int = 0,
    limit: int,
) -> Sequence[Publisher]:
    """Return publishers with their domains, the longest known first; `words` are looked for in names, addresses and domains.

    There are some thousands of publishers at most, so words are looked for in every one.
    """
    wanted = select(Publisher).where(Publisher.id > after).order_by(Publisher.id).limit(limit)
    if words:
        like = f"%{_as_it_is(words[:LONGEST_SEARCH].strip().lower())}%"
        by_domain = select(PublisherDomain.publisher_id).where(PublisherDomain.domain.like(like, escape="\\"))
        wanted = wanted.where(
            or_(
                func.lower(Publisher.name).like(like, escape="\\"),
                func.lower(Publisher.email).like(like, escape="\\"),
                Publisher.public_id == words,
                Publisher.id.in_(by_domain),
            )
        )
    if state is not None:
        wanted = wanted.where(Publisher.state == state)
    if ends_within_days is not None:
        end = at + timedelta(days=ends_within_days)
        wanted = wanted.where(
            Publisher.state == PublisherState.APPROVED, Publisher.approved_until > at, Publisher.approved_until <= end
        )
    return session.scalars(wanted.options(selectinload(Publisher.domains))).all()


def decisions_of(session: Session, publisher_id: int) -> Sequence[EligibilityDecision]:
    """Return what was decided about the publisher, the newest first."""
    wanted = select(EligibilityDecision).where(EligibilityDecision.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(EligibilityDecision.id.desc()).limit(100)).all()


def last_signs(session: Session, publisher_id: int) -> dict[str, datetime | None]:
    """Return when the publisher was last seen to take something, by way."""
    key = select(func.max(ApiKey.last_used_at)).where(ApiKey.publisher_id == publisher_id)
    token = select(func.max(FeedToken.last_used_at)).where(FeedToken.publisher_id == publisher_id)
    push = select(func.max(Subscription.last_delivered_at)).where(Subscription.publisher_id == publisher_id)
    return {"API": session.scalar(key), "private feeds": session.scalar(token), "push": session.scalar(push)}


def _as_it_is(text: str) -> str:
    """Return `text` with no sign that LIKE reads as a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
