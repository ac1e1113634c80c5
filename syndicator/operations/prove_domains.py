"""Proof of domains: tokens, the wish to be checked, and the checks themselves, which run in a job and never in a web request.

A proof that goes missing is told to its publisher and the desk; how long it still counts is the policy's matter
(domain/eligibility.py), and nobody is suspended by a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher, PublisherDomain, PublisherState
from syndicator.errors import Conflict, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.proof import TOKEN_PREFIX, Found, Prover
from syndicator.proof import NotFound as Missing

TOKEN_LASTS = timedelta(days=30)
BATCH = 8  # asked side by side, so that sites that never answer hold up few others
LEASE = timedelta(minutes=5)  # a check that died is made again after so long
AGAIN_AFTER_LOSS = timedelta(days=1)
ACTOR = "job:prove-domains"


def new_token() -> str:
    """Return a token of 160 random bits."""
    return new_id(TOKEN_PREFIX, 32)


def get_domain(session: Session, publisher_id: int, domain: str) -> PublisherDomain:
    """Return this publisher's domain, locked; raises NotFound, also for one of another."""
    wanted = select(PublisherDomain).where(PublisherDomain.publisher_id == publisher_id, PublisherDomain.domain == domain)
    found = session.scalars(wanted.with_for_update(of=PublisherDomain)).one_or_none()
    if found is None:
        raise NotFound(f"there is no site {domain!r} here")
    return found


def give_token(domain: PublisherDomain, *, at: datetime) -> None:
    """Give the domain a token unless it has one that still holds."""
    over = domain.proof_expires_at is not None and at >= domain.proof_expires_at
    if not domain.proof_token or over:
        domain.proof_token, domain.proof_expires_at = new_token(), at + TOKEN_LASTS
        domain.check_words, domain.checked_at, domain.check_due_at, domain.check_wanted_at = "", None, None, None


def want_check(session: Session, publisher_id: int, name: str, *, at: datetime) -> PublisherDomain:
    """Have the job look for the proof soon. Raises Conflict when the token is over: the page then shows a new one."""
    domain = get_domain(session, publisher_id, name)
    if not domain.proof_token or (domain.proof_expires_at is not None and at >= domain.proof_expires_at):
        raise Conflict("The token was too old. Here is a new one; please put it in its place and check again.")
    domain.check_wanted_at = domain.check_wanted_at or at
    domain.check_due_at = at
    return domain


def vouch(session: Session, publisher: Publisher, name: str, *, actor: str, reason: str, at: datetime) -> None:
    """Let a person of the desk say that the site is the publisher's; it is not looked for again."""
    domain = get_domain(session, publisher.id, name)
    domain.verified_at, domain.verified_by = at, actor
    domain.proof_expires_at = domain.check_due_at = domain.check_wanted_at = domain.lost_at = None
    audit.record(session, actor, "domain.vouch", publisher.public_id, at=at, domain=name, reason=reason)


def check_due(house: House, prover: Prover) -> int:
    """Make the checks that are due, a few at a time; returns how many. No transaction is open while a site is asked."""
    due = _claim(house)
    with ThreadPoolExecutor(max(len(due), 1)) as threads:
        asked = {threads.submit(prover.look, domain.domain, domain.proof_token): domain for domain in due}
        for answered in as_completed(asked):
            with house.sessions.begin() as session:
                _record(session, house, asked[answered], answered.result())
    return len(due)


def _claim(house: House) -> Sequence[PublisherDomain]:
    at = house.clock()
    due = (
        select(PublisherDomain)
        .join(PublisherDomain.publisher)
        .where(PublisherDomain.check_due_at <= at, Publisher.state.not_in((PublisherState.DECLINED, PublisherState.REVOKED)))
        .order_by(PublisherDomain.check_due_at, PublisherDomain.id)
        .limit(BATCH)
        .options(contains_eager(PublisherDomain.publisher))
    )
    with house.sessions.begin() as session:
        domains = session.scalars(due.with_for_update(of=PublisherDomain, skip_locked=True)).all()
        for domain in domains:
            domain.check_due_at = at + LEASE
        return domains


def _record(session: Session, house: House, claimed: PublisherDomain, outcome: Found | Missing) -> None:
    """Keep what was found. A token that was replaced meanwhile, or a domain taken out, makes the answer worthless."""
    at = house.clock()
    domain = session.get(PublisherDomain, claimed.id, with_for_update={"of": PublisherDomain})
    if domain is None or domain.proof_token != claimed.proof_token:
        return
    again = at + timedelta(days=house.config.eligibility.domain_recheck_days)
    domain.checked_at, domain.check_wanted_at = at, None
    if isinstance(outcome, Found):
        _found(session, domain, outcome, again, at)
    elif domain.verified_at is None:
        domain.check_words, domain.check_due_at = outcome.words, None
    else:
        _lost(domain, outcome, min(again, at + AGAIN_AFTER_LOSS), at)


def _found(session: Session, domain: PublisherDomain, outcome: Found, again: datetime, at: datetime) -> None:
    news = domain.verified_at is None or domain.lost_at is not None
    domain.verified_at, domain.verified_by = domain.verified_at or at, outcome.way
    domain.proof_expires_at = domain.lost_at = None
    domain.check_words, domain.check_due_at = "", again
    if news:
        audit.record(session, ACTOR, "domain.proven", domain.publisher.public_id, at=at, domain=domain.domain, way=outcome.way)


def _lost(domain: PublisherDomain, outcome: Missing, again: datetime, at: datetime) -> None:
    """Note the loss, and try again tomorrow: sites are sometimes away. The reminders tell the publisher if it lasts."""
    domain.check_words, domain.check_due_at = outcome.words, again
    domain.lost_at = domain.lost_at or at
