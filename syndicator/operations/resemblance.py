"""What a reviewer should know before deciding: others with the same site, contact or file, and names that read like others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import Membership, User, fold_email
from syndicator.domain.applications import AudienceEvidence, PublisherContact
from syndicator.domain.lookalikes import look_of, mixed_words, shown_domain
from syndicator.domain.mailboxes import mail_domain, public_mailbox, same_organisation
from syndicator.domain.publishers import Publisher, PublisherDomain

MOST = 20


@dataclass(frozen=True, slots=True)
class Remark:
    """`other` is the publisher it is about; None: the applicant itself."""

    words: str
    other: Publisher | None = None


def remarks_on(session: Session, publisher: Publisher) -> list[Remark]:
    """Return what stands out, the gravest first; at most MOST of each kind."""
    return [
        *_own_letters(publisher),
        *_alike(session, publisher),
        *_same_site(session, publisher),
        *_same_people(session, publisher),
        *_same_file(session, publisher),
    ]


def _own_letters(publisher: Publisher) -> Iterable[Remark]:
    """Letters of several scripts in one word (reliability S23)."""
    for word in mixed_words(publisher.name):
        yield Remark(f"“{word}” in the name mixes letters of several scripts.")
    for domain in publisher.domains:
        for label in mixed_words(domain.domain):
            yield Remark(f"“{label}” in {domain.domain} mixes letters of several scripts.")


def _alike(session: Session, publisher: Publisher) -> Iterable[Remark]:
    looks = {look_of(shown_domain(domain.domain)) for domain in publisher.domains}
    named = select(Publisher).where(Publisher.name_look == look_of(publisher.name), Publisher.id != publisher.id)
    for other in session.scalars(named.order_by(Publisher.id).limit(MOST)):
        yield Remark(f"The name reads like {other.name} ({other.state.value}).", other)
    sites = (
        select(PublisherDomain)
        .where(PublisherDomain.look.in_(looks), PublisherDomain.publisher_id != publisher.id)
        .where(PublisherDomain.domain.not_in([domain.domain for domain in publisher.domains]))
    )
    for site in session.scalars(sites.order_by(PublisherDomain.id).limit(MOST)):
        yield Remark(f"A site reads like {shown_domain(site.domain)} of {site.publisher.name}.", site.publisher)


def _same_site(session: Session, publisher: Publisher) -> Iterable[Remark]:
    """The same site, one above it or one below it."""
    for domain in publisher.domains:
        labels = domain.domain.split(".")
        above = [".".join(labels[start:]) for start in range(len(labels) - 1)]
        below = PublisherDomain.domain.endswith(f".{domain.domain}", autoescape=True)
        wanted = select(PublisherDomain).where(
            or_(PublisherDomain.domain.in_(above), below), PublisherDomain.publisher_id != publisher.id
        )
        for other in session.scalars(wanted.order_by(PublisherDomain.id).limit(MOST)):
            proven = "proven by" if other.verified_at else "also named by"
            yield Remark(f"{other.domain} is {proven} {other.publisher.name} ({other.publisher.state.value}).", other.publisher)


def _same_people(session: Session, publisher: Publisher) -> Iterable[Remark]:
    """Others with the same contact or applicant; then what the applicant's mailbox says about who writes."""
    contacts = select(PublisherContact.email).where(PublisherContact.publisher_id == publisher.id)
    mine = {fold_email(each) for each in (publisher.email, *session.scalars(contacts))}
    sharing = (
        select(PublisherContact.email, Publisher)
        .join(Publisher, Publisher.id == PublisherContact.publisher_id)
        .where(PublisherContact.email.in_(mine), Publisher.id != publisher.id)
    )
    for email, other in session.execute(sharing.order_by(Publisher.id).limit(MOST)):
        yield Remark(f"{email} is a contact of {other.name} too ({other.state.value}).", other)
    belonging = (
        select(User.email, Publisher)
        .join(Membership, Membership.user_id == User.id)
        .join(Publisher, Publisher.id == Membership.publisher_id)
        .where(User.email.in_(mine), Publisher.id != publisher.id)
    )
    for email, other in session.execute(belonging.order_by(Publisher.id).limit(MOST)):
        yield Remark(f"{email} is a member of {other.name} too ({other.state.value}).", other)
    yield from _mailbox(session, publisher)


def _mailbox(session: Session, publisher: Publisher) -> Iterable[Remark]:
    """Where the applicant writes from: where anybody can, from somebody else's site, or beside others who applied."""
    domain = mail_domain(publisher.email)
    if public_mailbox(domain):
        yield Remark(f"The applicant writes from {domain}, where anybody can have a mailbox.")
        return
    if not any(same_organisation(domain, site.domain) for site in publisher.domains):
        sites = select(PublisherDomain).where(PublisherDomain.domain == domain, PublisherDomain.publisher_id != publisher.id)
        for site in session.scalars(sites.order_by(PublisherDomain.id).limit(MOST)):
            yield Remark(f"The applicant writes from {domain}, a site of {site.publisher.name}.", site.publisher)
    beside = Publisher.email.iendswith(f"@{domain}", autoescape=True)
    others = select(Publisher).where(beside, Publisher.id != publisher.id, func.lower(Publisher.email) != publisher.email.lower())
    for other in session.scalars(others.order_by(Publisher.id).limit(MOST)):
        yield Remark(f"{other.email} at the same mail domain applied for {other.name} ({other.state.value}).", other)


def _same_file(session: Session, publisher: Publisher) -> Iterable[Remark]:
    mine = select(AudienceEvidence.sha256).where(AudienceEvidence.publisher_id == publisher.id, AudienceEvidence.sha256 != "")
    wanted = (
        select(Publisher)
        .join(AudienceEvidence, AudienceEvidence.publisher_id == Publisher.id)
        .where(AudienceEvidence.sha256.in_(mine), Publisher.id != publisher.id)
        .distinct()
    )
    for other in session.scalars(wanted.order_by(Publisher.id).limit(MOST)):
        yield Remark(f"The same evidence file was given by {other.name}.", other)
