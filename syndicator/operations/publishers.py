"""Publishers: making their records, and deciding about them. Each decision has an actor, a reason and a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from syndicator.domain.base import new_id
from syndicator.domain.publishers import (
    EligibilityDecision,
    Publisher,
    PublisherDomain,
    PublisherState,
    read_domain,
    read_name,
    state_may_follow,
)
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit, eligibility, terms
from syndicator.operations.denials import deny_publisher

CONTACT_CHARACTERS = 200
ID_PREFIX = "pub_"


def add_publisher(session: Session, *, name: str, email: str, domains: list[str], actor: str, at: datetime) -> Publisher:
    """Make the record of a publisher that has yet to be decided about. Raises InvalidRequest naming the field."""
    name = read_name(name)
    _require_address(email, "email")
    publisher = Publisher(
        public_id=new_id(ID_PREFIX),
        name=name,
        email=email,
        state=PublisherState.APPLICANT,
        created_at=at,
        domains=[PublisherDomain(domain=read_domain(domain)) for domain in domains],
    )
    session.add(publisher)
    session.flush()
    audit.record(session, actor, "publisher.add", publisher.public_id, at=at, name=publisher.name)
    return publisher


def put_on_phone_list(session: Session, publisher: Publisher, *, email: str, contact: str, actor: str, at: datetime) -> None:
    """Say whom to reach when a kill is not acknowledged: an address, and a name with a number; either may be empty.

    Raises InvalidRequest.
    """
    email, contact = email.strip(), " ".join(contact.split())
    if email:
        _require_address(email, "email")
    if len(contact) > CONTACT_CHARACTERS:
        raise InvalidRequest(f"a contact has {CONTACT_CHARACTERS} characters at most", "contact")
    publisher.urgent_email, publisher.urgent_contact = email, contact
    audit.record(session, actor, "publisher.phone-list", publisher.public_id, at=at, given=bool(email or contact))


def _require_address(email: str, field: str) -> None:
    if "@" not in email.strip("@") or len(email) > 254 or any(character.isspace() for character in email):
        raise InvalidRequest(f"{email!r} is no e-mail address", field)


def get_publisher(session: Session, reference: str, *, lock: bool = False) -> Publisher:
    """Return the publisher by public id, one of its domains, e-mail address or exact name; raises NotFound.

    An id is nothing but an id: applicants choose their names, and must not get in the way of another's page.
    """
    by_domain = select(PublisherDomain.publisher_id).where(PublisherDomain.domain == reference.lower())
    named = or_(Publisher.email == reference, Publisher.name == reference, Publisher.id.in_(by_domain))
    if reference.startswith(ID_PREFIX):
        named = Publisher.public_id == reference
    wanted = select(Publisher).where(named).order_by(Publisher.id).limit(2)
    if lock:
        wanted = wanted.with_for_update()
    found = session.scalars(wanted).all()
    if not found:
        raise NotFound(f"there is no publisher {reference!r}")
    if len(found) > 1:
        raise Conflict(f"{reference!r} names more than one publisher; use the id, such as {found[0].public_id}")
    return found[0]


def decide(
    session: Session,
    house: House,
    reference: str,
    new_state: PublisherState,
    *,
    reason: str,
    actor: str,
    at: datetime,
    days: int | None = None,
    terms_signed: bool = False,
) -> EligibilityDecision:
    """Move the publisher to `new_state`. An approval lasts `days`, or the policy's term.

    `terms_signed`: the actor vouches that the publisher has accepted the terms in force. Raises InvalidRequest without a reason,
    Conflict for a move that its present state does not allow.
    """
    if not reason.strip():
        raise InvalidRequest("every decision needs a reason; the publisher reads it", "reason")
    publisher = get_publisher(session, reference, lock=True)
    old = publisher.state
    if not state_may_follow(old, new_state):
        raise Conflict(f"{publisher.name} is {old.value} and cannot become {new_state.value}")
    publisher.state, publisher.state_reason = new_state, reason.strip()
    if new_state is PublisherState.APPROVED and (old is not PublisherState.SUSPENDED or days is not None):
        publisher.approved_until = at + timedelta(days=days or house.config.eligibility.term_days)
    if terms_signed:
        version = house.config.license.version
        terms.accept(
            session, house.config, publisher, license_version=version, accepted_by=actor, signer=f"vouched for by {actor}", at=at
        )
    decision = _keep(session, house, publisher, old, new_state, reason, actor, at)
    if new_state in {PublisherState.SUSPENDED, PublisherState.REVOKED}:
        deny_publisher(session, publisher.id, f"the publisher was {new_state.value}", at=at)
    if new_state is PublisherState.REVOKED:
        _pause_subscriptions(session, publisher)
    audit.record(
        session, actor, f"publisher.{new_state.value}", publisher.public_id, at=at, reason=reason.strip(), before=old.value
    )
    return decision


def keep_refusal(session: Session, house: House, publisher: Publisher, *, reason: str, actor: str, at: datetime) -> None:
    """Keep a no to a renewal, on which facts and policy; what the publisher has stays its own until the end."""
    _keep(session, house, publisher, publisher.state, PublisherState.DECLINED, reason, actor, at)


def _keep(
    session: Session,
    house: House,
    publisher: Publisher,
    old: PublisherState,
    new: PublisherState,
    reason: str,
    actor: str,
    at: datetime,
) -> EligibilityDecision:
    decision = EligibilityDecision(
        publisher_id=publisher.id,
        from_state=old,
        to_state=new,
        reason=reason.strip(),
        actor=actor,
        decided_at=at,
        valid_until=publisher.approved_until if new is PublisherState.APPROVED else None,
        facts=eligibility.record_of(session, house.config, publisher, at=at),
        policy=eligibility.policy_record(house.config),
    )
    session.add(decision)
    return decision


def _pause_subscriptions(session: Session, publisher: Publisher) -> None:
    """Pause what a revoked publisher subscribed to; paused, it still hears of kills of stories that it had."""
    session.execute(
        update(Subscription)
        .where(Subscription.publisher_id == publisher.id, Subscription.state != SubscriptionState.ENDED)
        .values(state=SubscriptionState.PAUSED, state_reason="the publisher's approval was revoked")
    )
