"""Eligibility against the store: the policy from the settings, the facts of a publisher from its rows, and *what if*."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from syndicator.config import Config
from syndicator.domain.applications import Application, AudienceEvidence, PublisherContact
from syndicator.domain.eligibility import Checklist, DomainFact, Facts, Figure, Measured, Policy, Requirement, judge
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.operations.beacons import measured_audiences

BATCH = 200


def policy_of(config: Config) -> Policy:
    settings = config.eligibility
    return Policy(
        minimum_monthly_audience=settings.minimum_monthly_audience,
        evidence_max_age_days=settings.evidence_max_age_days,
        require_verified_domain=settings.require_verified_domain,
        required=frozenset(Requirement(name) for name in settings.required),
        lost_proof_days=settings.lost_proof_days,
    )


def policy_record(config: Config) -> dict[str, Any]:
    """Return the policy as it is stored with a decision; `version` is the same for the same policy."""
    settings = config.eligibility.model_dump(mode="json")
    version = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    return {**settings, "version": version}


def record_of(session: Session, config: Config, publisher: Publisher, *, at: datetime) -> dict[str, Any]:
    """Return facts and checklist as they are stored with a decision."""
    facts = facts_of(session, [publisher], at=at)[publisher.id]
    judged = judge(facts, policy_of(config), at)
    items = [{"item": item.requirement, "verdict": item.verdict, "words": item.words} for item in judged.items]
    plain: dict[str, Any] = json.loads(json.dumps({**asdict(facts), "items": items, "audience": judged.audience}, default=_plain))
    return plain


def checklists(session: Session, policy: Policy, publishers: Sequence[Publisher], *, at: datetime) -> dict[int, Checklist]:
    """Return the checklist of each publisher by its id, with seven queries for all of them."""
    facts = facts_of(session, publishers, at=at)
    return {publisher.id: judge(facts[publisher.id], policy, at) for publisher in publishers}


def facts_of(session: Session, publishers: Sequence[Publisher], *, at: datetime) -> dict[int, Facts]:
    """Return what is known of each publisher, by its id; what beacons measured is of the days before `at`."""
    ids = [publisher.id for publisher in publishers]
    evidence = _by_publisher(
        session.scalars(select(AudienceEvidence).where(AudienceEvidence.publisher_id.in_(ids)).order_by(AudienceEvidence.id))
    )
    contacts = _by_publisher(session.scalars(select(PublisherContact).where(PublisherContact.publisher_id.in_(ids))))
    newest = select(func.max(Application.id)).where(Application.publisher_id.in_(ids)).group_by(Application.publisher_id)
    applications = _by_publisher(session.scalars(select(Application).where(Application.id.in_(newest))))
    measured = measured_audiences(session, ids, at=at)
    return {
        publisher.id: _facts(
            publisher,
            measured[publisher.id],
            evidence.get(publisher.id, []),
            contacts.get(publisher.id, []),
            next(iter(applications.get(publisher.id, [])), None),
        )
        for publisher in publishers
    }


@dataclass(frozen=True, slots=True)
class FallsOut:
    """A publisher that is approved now and would not pass; `lost` are the items that pass today and then would not."""

    publisher: Publisher
    audience: int
    lost: tuple[str, ...]


def what_if(session: Session, config: Config, *, minimum: int, at: datetime) -> list[FallsOut]:
    """Return which approved publishers would no longer pass if the floor were `minimum`, the smallest first. Changes nothing."""
    policy = policy_of(config)
    other = replace(policy, minimum_monthly_audience=minimum)
    fallen = []
    for publishers in _approved(session):
        facts = facts_of(session, publishers, at=at)
        for publisher in publishers:
            today, then = (judge(facts[publisher.id], each, at) for each in (policy, other))
            open_today = {item.requirement for item in today.open}
            lost = tuple(item.heading for item in then.open if item.requirement not in open_today)
            if lost:
                fallen.append(FallsOut(publisher, then.audience, lost))
    return sorted(fallen, key=lambda each: (each.audience, each.publisher.id))


def count_approved(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Publisher).where(Publisher.state == PublisherState.APPROVED)) or 0


def _approved(session: Session) -> Iterator[Sequence[Publisher]]:
    last = 0
    while True:
        wanted = select(Publisher).where(Publisher.state == PublisherState.APPROVED, Publisher.id > last)
        some = session.scalars(wanted.order_by(Publisher.id).limit(BATCH).options(selectinload(Publisher.domains))).all()
        if not some:
            return
        yield some
        last = some[-1].id


def _facts(
    publisher: Publisher,
    measured: Measured,
    evidence: Sequence[AudienceEvidence],
    contacts: Sequence[PublisherContact],
    application: Application | None,
) -> Facts:
    answers: Mapping[str, Any] = application.answers if application is not None else {}
    return Facts(
        email_verified=True if application is not None else None,  # an application begins with a confirmed address
        domains=tuple(DomainFact(each.domain, each.verified_at, each.lost_at) for each in publisher.domains),
        figures=tuple(
            Figure(each.site, each.last_month, each.unique_visitors, shown=bool(each.sha256 or each.link)) for each in evidence
        ),
        about_url=answers.get("about_url") or None,
        corrections_url=answers.get("corrections_url") or None,
        contacts=frozenset(contact.kind.value for contact in contacts),
        use=answers.get("use") or None,
        passes_on={"yes": True, "no": False}.get(answers.get("passes_on", "")),
        measured=measured,
    )


def _by_publisher(rows: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.publisher_id, []).append(row)
    return found


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value))
