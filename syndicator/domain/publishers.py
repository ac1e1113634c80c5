"""Publishers (partner accounts), their domains and decisions, and the keys and tokens by which they show who they are."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from syndicator.domain.base import Base, choice
from syndicator.domain.lookalikes import look_of, shown_domain
from syndicator.domain.visible import one_visible_line
from syndicator.errors import InvalidRequest

LONGEST_DOMAIN = 253  # RFC 1035, 2.3.4, less the lengths at both ends
MOST_NETWORKS = 12  # from which one feed token is read in a day before somebody is told


class PublisherState(StrEnum):
    APPLICANT = "applicant"
    APPROVED = "approved"
    DECLINED = "declined"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"


# Which states may follow which; a decision outside this table is refused.
NEXT_STATES: dict[PublisherState, frozenset[PublisherState]] = {
    PublisherState.APPLICANT: frozenset({PublisherState.APPROVED, PublisherState.DECLINED}),
    PublisherState.DECLINED: frozenset({PublisherState.APPLICANT, PublisherState.APPROVED}),
    PublisherState.APPROVED: frozenset(
        {PublisherState.APPROVED, PublisherState.SUSPENDED, PublisherState.EXPIRED, PublisherState.REVOKED}
    ),
    PublisherState.SUSPENDED: frozenset({PublisherState.APPROVED, PublisherState.REVOKED}),
    PublisherState.EXPIRED: frozenset({PublisherState.APPROVED, PublisherState.REVOKED}),
    PublisherState.REVOKED: frozenset(),
}


_HAD_APPROVAL = frozenset({PublisherState.APPROVED, PublisherState.SUSPENDED, PublisherState.EXPIRED, PublisherState.REVOKED})


class Scope(StrEnum):
    """What a key may do. `newsroom` is for our own systems and never given to a publisher."""

    READ = "read"
    SUBSCRIBE = "subscribe"
    NEWSROOM = "newsroom"


class Publisher(Base):
    """A partner: an organisation that takes stories, or would like to."""

    __tablename__ = "publishers"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    name_look: Mapped[str] = mapped_column(String(200), default="", index=True)  # equal for names that read alike
    email: Mapped[str] = mapped_column(String(254), index=True)
    state: Mapped[PublisherState] = mapped_column(choice(PublisherState), default=PublisherState.APPLICANT)
    state_reason: Mapped[str] = mapped_column(Text, default="")
    approved_until: Mapped[datetime | None]
    terms_version: Mapped[str] = mapped_column(String(40), default="")  # the license version accepted last
    terms_accepted_at: Mapped[datetime | None]
    terms_until: Mapped[datetime | None]  # until when that version counts although a newer one is in force
    embargo_trusted: Mapped[bool] = mapped_column(default=False)
    # The phone list: whom to reach when a kill is not acknowledged. Address for letters, and a name with a number for people.
    urgent_email: Mapped[str] = mapped_column(String(254), default="")
    urgent_contact: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]

    domains: Mapped[list[PublisherDomain]] = relationship(back_populates="publisher", order_by="PublisherDomain.id")
    decisions: Mapped[list[EligibilityDecision]] = relationship(order_by="EligibilityDecision.id")

    @validates("name")
    def _keep_look(self, _key: str, name: str) -> str:
        self.name_look = look_of(name)
        return name


class PublisherDomain(Base):
    """A site a publisher says is its own, when that was proven, and how the last look for the proof went.

    The token is bound to this row, so to one publisher and one domain. Until it has been found it expires; afterwards it stays,
    and is looked for again on a schedule.
    """

    __tablename__ = "publisher_domains"
    __table_args__ = (
        UniqueConstraint("publisher_id", "domain"),
        Index("ix_publisher_domains_domain", "domain"),
        Index("ix_publisher_domains_look", "look"),
        Index("ix_publisher_domains_due", "check_due_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    domain: Mapped[str] = mapped_column(String(253))
    look: Mapped[str] = mapped_column(String(200), default="")  # equal for domain names that read alike
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[str] = mapped_column(String(254), default="")  # dns, meta, file, or the staff member who vouched
    proof_token: Mapped[str] = mapped_column(String(64), default="")
    proof_expires_at: Mapped[datetime | None]  # None once found
    check_due_at: Mapped[datetime | None]  # when to look for the proof; None: never
    check_wanted_at: Mapped[datetime | None]  # somebody waits for the answer; None once it is there
    checked_at: Mapped[datetime | None]
    check_words: Mapped[str] = mapped_column(Text, default="")  # what was found, in words for its owner
    lost_at: Mapped[datetime | None]  # when a proof that was there was first missing

    publisher: Mapped[Publisher] = relationship(back_populates="domains")

    @validates("domain")
    def _keep_look(self, _key: str, domain: str) -> str:
        self.look = look_of(shown_domain(domain))
        return domain


class EligibilityDecision(Base):
    """Who changed a publisher's state, when, why, for how long, and on which facts and policy."""

    __tablename__ = "eligibility_decisions"
    __table_args__ = (Index("ix_eligibility_decisions_publisher", "publisher_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    from_state: Mapped[PublisherState] = mapped_column(choice(PublisherState))
    to_state: Mapped[PublisherState] = mapped_column(choice(PublisherState))
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(254))
    decided_at: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)

    @property
    def words(self) -> str:
        """What it came to. Only a renewal is declined to somebody who has, or had, an approval; the state stays."""
        declined = self.to_state is PublisherState.DECLINED
        return "renewal declined" if declined and self.from_state in _HAD_APPROVAL else self.to_state.value


class ApiKey(Base):
    """A bearer key. Only its hash is kept; `prefix` lets people tell keys apart."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_publisher", "publisher_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int | None] = mapped_column(ForeignKey("publishers.id"))  # None: our own newsroom
    name: Mapped[str] = mapped_column(String(120), default="")
    prefix: Mapped[str] = mapped_column(String(24))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256, hex
    scopes: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute, so that a poll seldom writes
    last_used_from: Mapped[str] = mapped_column(String(64), default="")  # an address

    publisher: Mapped[Publisher | None] = relationship(lazy="joined")

    def live(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class FeedToken(Base):
    """Lets a feed reader have one eligible feed on behalf of one publisher, by URL or HTTP Basic."""

    __tablename__ = "feed_tokens"
    __table_args__ = (Index("ix_feed_tokens_publisher", "publisher_id", "feed"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    feed: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(24))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_from: Mapped[str] = mapped_column(String(64), default="")
    networks: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by day (UTC), of the newest day with any

    publisher: Mapped[Publisher] = relationship(lazy="joined", innerjoin=True)

    def spread(self, at: datetime) -> bool:
        """Whether it was read today from more networks than one reader has: it may have become known to others."""
        return len(self.networks.get(at.date().isoformat(), ())) > MOST_NETWORKS

    def note_reader(self, address: str, at: datetime) -> bool:
        """Note a use from `address`; returns whether it has just become one too many today."""
        self.last_used_at, self.last_used_from = at, address[:64]
        day, network = at.date().isoformat(), network_of(address)
        known = self.networks.get(day, [])
        if network in known or self.spread(at):
            return False
        self.networks = {day: [*known, network]}
        return self.spread(at)


def network_of(address: str) -> str:
    """Return the network that one customer of a provider mostly has: /24 of IPv4, /48 of IPv6; what is no address, as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def state_may_follow(old: PublisherState, new: PublisherState) -> bool:
    return new in NEXT_STATES[old]


def read_domain(text: str) -> str:
    """Return the host name in its canonical ASCII form. Raises InvalidRequest for what is none."""
    try:
        domain = text.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError as error:
        raise InvalidRequest(f"{text!r} is no domain name", "domain") from error
    labels = domain.split(".")
    well_formed = all(label and label.replace("-", "").isalnum() for label in labels) and not labels[-1].isdigit()
    if len(labels) < 2 or not well_formed or len(domain) > LONGEST_DOMAIN:
        raise InvalidRequest(f"{text!r} is no domain name", "domain")
    return domain


def read_name(text: str) -> str:
    """Return a name in one line, without control, bidi and invisible characters. Raises InvalidRequest."""
    name = one_visible_line(text)
    if not name or len(name) > 200:
        raise InvalidRequest("a name of 1 to 200 characters is needed", "name")
    return name
