"""People: users, what they may do (staff roles, memberships), how they prove who they are, and where they are signed in.

No password, token or code is kept readable: passwords as argon2id, tokens as SHA-256, TOTP secrets locked by the vault.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.base import Base, choice
from syndicator.domain.publishers import Publisher

STAFF_IDLE = timedelta(minutes=30)
PROOF_HOLDS = timedelta(minutes=10)  # how long a password or code just given counts for what asks for it again
LONGEST_PASSWORD = 128
SHORTEST_PASSWORD = 12


class StaffRole(StrEnum):
    EDITOR = "editor"  # stories, feeds, sources
    LICENSING = "licensing"  # applications, publishers, inquiries, agreements
    ADMIN = "admin"  # everything, and who else may do what


class MemberRole(StrEnum):
    OWNER = "owner"  # everything, and who else may do what
    EDITOR = "editor"  # reads and takes stories
    TECHNICIAN = "technician"  # keys, feeds, subscriptions, deliveries


class LinkPurpose(StrEnum):
    SIGN_IN = "sign-in"
    RESET = "reset"
    VERIFY_EMAIL = "verify-email"
    INVITATION = "invitation"


LINK_LASTS: dict[LinkPurpose, timedelta] = {
    LinkPurpose.SIGN_IN: timedelta(minutes=20),
    LinkPurpose.RESET: timedelta(hours=1),
    LinkPurpose.VERIFY_EMAIL: timedelta(days=3),
    LinkPurpose.INVITATION: timedelta(days=7),
}


class User(Base):
    """A person. Staff has a `staff_role`, partners have memberships; an applicant may have neither yet."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)  # as fold_email writes it
    name: Mapped[str] = mapped_column(String(120), default="")
    staff_role: Mapped[StaffRole | None] = mapped_column(choice(StaffRole))
    password_hash: Mapped[str | None] = mapped_column(String(200))  # argon2id; None: signs in by link
    totp_secret: Mapped[str | None] = mapped_column(Text)  # locked by the vault
    totp_since: Mapped[datetime | None]  # None: no second factor, though one may be in the making
    totp_step: Mapped[int] = mapped_column(default=0)  # the newest 30-second step whose code was taken; none is taken twice
    email_verified_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    memberships: Mapped[list[Membership]] = relationship(back_populates="user", order_by="Membership.id")

    @property
    def called(self) -> str:
        return self.name or self.email

    @property
    def second_factor(self) -> bool:
        return self.totp_since is not None


class Membership(Base):
    """A user's place at a publisher."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("user_id", "publisher_id"), Index("ix_memberships_publisher", "publisher_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    role: Mapped[MemberRole] = mapped_column(choice(MemberRole))
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="memberships")
    publisher: Mapped[Publisher] = relationship()


class Invitation(Base):
    """An owner's offer of a place at its publisher; the letter's link is a OneTimeLink about `public_id`."""

    __tablename__ = "invitations"
    __table_args__ = (Index("ix_invitations_publisher", "publisher_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[MemberRole] = mapped_column(choice(MemberRole))
    invited_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    publisher: Mapped[Publisher] = relationship()

    def open(self, at: datetime) -> bool:
        return self.accepted_at is None and self.revoked_at is None and at < self.expires_at


class OneTimeLink(Base):
    """A link that proves a mailbox once. `about` is the public id of what it is for, such as an invitation."""

    __tablename__ = "one_time_links"
    __table_args__ = (Index("ix_one_time_links_user", "user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    purpose: Mapped[LinkPurpose] = mapped_column(choice(LinkPurpose))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    about: Mapped[str] = mapped_column(String(32), default="")
    next_path: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    user: Mapped[User | None] = relationship()

    def live(self, at: datetime) -> bool:
        return self.used_at is None and at < self.expires_at


class LinkRequest(Base):
    """Somebody typed an e-mail address and asked for a link. Whether there is such a user is looked up later, out of the request,
    so that neither words nor time tell (reliability S16)."""

    __tablename__ = "link_requests"
    __table_args__ = (
        Index("ix_link_requests_address", "address", "asked_at"),
        Index("ix_link_requests_email", "email", "asked_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    purpose: Mapped[LinkPurpose] = mapped_column(choice(LinkPurpose))
    next_path: Mapped[str] = mapped_column(String(500), default="")
    address: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None] = mapped_column(index=True)


class SignIn(Base):
    """One browser in which a user is signed in. Only the hash of its cookie is known here."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index("ix_sign_ins_user", "user_id", "ended_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    publisher_id: Mapped[int | None] = mapped_column(ForeignKey("publishers.id"))  # which of several the portal shows
    code_due: Mapped[bool] = mapped_column(default=False)  # the second factor is still to be given; nothing is allowed before
    address: Mapped[str] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]  # to the minute
    proven_at: Mapped[datetime]  # when a password, code or link was last given in it
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    def live(self, at: datetime) -> bool:
        """Whether this sign-in still counts; one of staff ends by itself when idle (reliability S17)."""
        idle_too_long = self.user.staff_role is not None and at - self.seen_at >= STAFF_IDLE
        return self.ended_at is None and at < self.expires_at and not idle_too_long and self.user.disabled_at is None

    def proven_lately(self, at: datetime) -> bool:
        return at - self.proven_at < PROOF_HOLDS


class SignInTry(Base):
    """One try at a password or code that has not succeeded; counted, so that guessing is slow."""

    __tablename__ = "sign_in_tries"
    __table_args__ = (
        Index("ix_sign_in_tries_account", "account_hash", "at", "address"),
        Index("ix_sign_in_tries_address", "address", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_hash: Mapped[str] = mapped_column(String(64))  # of what was typed, which may be a password in the wrong field
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


def fold_email(text: str) -> str:
    """Return an e-mail address as users are told apart by it: without case, since no provider in use tells cases apart."""
    return text.strip().casefold()


def address_of(text: str) -> str:
    """Return whom to count for the client address `text`: an IPv6 customer has a whole /64."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text[:64]
    if address.version == 6:
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network(f"{address}/64", strict=False))
    return str(address)
