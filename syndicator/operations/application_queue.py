"""The desk's queue of applications, page by page, and what stands beside one: earlier decisions, letters, other applications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, selectinload

from syndicator.domain.applications import OPEN_STATES, WAITING_STATES, Application, ApplicationState
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import EligibilityDecision, Publisher

SHOWN = tuple(state for state in ApplicationState if state is not ApplicationState.DRAFT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reviewer asked to see. `state` None: all that are open. `owner`: an e-mail address, or `nobody`."""

    state: ApplicationState | None = None
    owner: str = ""


def applications(session: Session, wanted: Wanted, *, after: int = 0, limit: int) -> Sequence[Application]:
    """Return applications that were sent, the longest waiting first, after the one with the id `after`."""
    query = select(Application).where(Application.submitted_at.is_not(None))
    if after:
        since = select(Application.submitted_at).where(Application.id == after).scalar_subquery()
        later = and_(Application.submitted_at == since, Application.id > after)
        query = query.where(or_(Application.submitted_at > since, later))
    if wanted.state is None:
        query = query.where(Application.state.in_(OPEN_STATES))
    else:
        query = query.where(Application.state == wanted.state)
    if wanted.owner:
        query = query.where(Application.owner == ("" if wanted.owner == "nobody" else wanted.owner))
    with_sites = selectinload(Application.publisher).selectinload(Publisher.domains)
    return session.scalars(query.order_by(Application.submitted_at, Application.id).limit(limit).options(with_sites)).all()


def next_waiting(session: Session, application: Application) -> Application | None:
    """Return another application that waits for the desk, the longest waiting."""
    waiting = select(Application).where(Application.state.in_(WAITING_STATES), Application.id != application.id)
    return session.scalars(waiting.order_by(Application.submitted_at, Application.id).limit(1)).one_or_none()


def counts(session: Session) -> dict[ApplicationState, int]:
    """How many applications that were sent are in each state."""
    sent = select(Application.state, func.count()).where(Application.submitted_at.is_not(None)).group_by(Application.state)
    found = dict(session.execute(sent).all())
    return {state: found.get(state, 0) for state in SHOWN}


def owners(session: Session) -> Sequence[str]:
    """Who has taken an open application."""
    wanted = select(Application.owner).where(Application.state.in_(OPEN_STATES), Application.owner != "")
    return session.scalars(wanted.distinct().order_by(Application.owner).limit(50)).all()


def decision_on(session: Session, application: Application) -> EligibilityDecision | None:
    """Return what was decided about this application, if it has been."""
    wanted = select(EligibilityDecision).where(
        EligibilityDecision.publisher_id == application.publisher_id, EligibilityDecision.decided_at == application.decided_at
    )
    return session.scalars(wanted.order_by(EligibilityDecision.id.desc()).limit(1)).one_or_none()


def decisions_of(session: Session, publisher_id: int) -> Sequence[EligibilityDecision]:
    """The newest first."""
    wanted = select(EligibilityDecision).where(EligibilityDecision.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(EligibilityDecision.id.desc()).limit(50)).all()


def letters_to(session: Session, publisher_id: int) -> Sequence[Letter]:
    """The newest first."""
    wanted = select(Letter).where(Letter.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(Letter.id.desc()).limit(20)).all()
