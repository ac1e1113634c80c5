"""Remembering requests for a day, so that one sent again has the same answer and no second effect.

A request is claimed before it is carried out. The transaction of its effect notes that it took effect, so that a crash between
the effect and its answer is known for what it was. A request that was refused is forgotten, as is one that broke before it did
anything: either may be sent again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, delete, update
from sqlalchemy.orm import Session

from syndicator.domain.requests import RememberedRequest
from syndicator.errors import Conflict, InvalidRequest, StillRunning

REMEMBERED_FOR = timedelta(hours=24)
CLAIM_LASTS = timedelta(minutes=2)  # longer than any request; afterwards its process is taken for dead


def claim(session: Session, holder: str, key_hash: str, request_hash: str, *, at: datetime) -> RememberedRequest:
    """Claim the request, or return the one that was carried out already, with its answer.

    Raises InvalidRequest when the key was used for another request, StillRunning while the first one runs, Conflict when it took
    effect and its answer was lost.
    """
    found = session.get(RememberedRequest, (holder, key_hash), with_for_update=True)
    if found is not None and found.claimed_at <= at - REMEMBERED_FOR:
        session.delete(found)
        session.flush()
        found = None
    if found is None:
        made = RememberedRequest(holder=holder, key_hash=key_hash, request_hash=request_hash, claimed_at=at, took_effect=False)
        session.add(made)
        session.flush()
        return made
    if found.request_hash != request_hash:
        raise InvalidRequest("was used for another request; choose a new one", "Idempotency-Key")
    if found.answer is not None:
        return found
    if found.claimed_at > at - CLAIM_LASTS:
        raise StillRunning
    if found.took_effect:
        raise Conflict("this request was carried out, but its answer was lost; look at what it made")
    found.claimed_at = at
    return found


def note_effect(session: Session, claimed: RememberedRequest) -> None:
    """Note in the transaction of the effect that the request took effect. Raises Conflict when somebody else took it over."""
    noted = update(RememberedRequest).where(*_is(claimed)).values(took_effect=True)
    outcome = session.execute(noted.execution_options(synchronize_session=False))
    if isinstance(outcome, CursorResult) and outcome.rowcount != 1:
        raise StillRunning


def remember(session: Session, claimed: RememberedRequest, answer: str) -> None:
    """Keep the answer, encrypted by the caller."""
    kept = update(RememberedRequest).where(*_is(claimed)).values(answer=answer)
    session.execute(kept.execution_options(synchronize_session=False))


def give_up(session: Session, claimed: RememberedRequest, *, refused: bool) -> None:
    """Forget a request that failed; one that broke after it took effect stays known, so that nothing is done twice."""
    failed = delete(RememberedRequest).where(*_is(claimed))
    if not refused:
        failed = failed.where(RememberedRequest.took_effect.is_(False))
    session.execute(failed.execution_options(synchronize_session=False))


def forget_requests(session: Session, *, at: datetime) -> int:
    """Forget what is older than a day; returns how many."""
    old = delete(RememberedRequest).where(RememberedRequest.claimed_at <= at - REMEMBERED_FOR)
    return session.execute(old.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined, no-any-return]


def _is(claimed: RememberedRequest) -> tuple[ColumnElement[bool], ...]:
    return (
        RememberedRequest.holder == claimed.holder,
        RememberedRequest.key_hash == claimed.key_hash,
        RememberedRequest.claimed_at == claimed.claimed_at,
    )
