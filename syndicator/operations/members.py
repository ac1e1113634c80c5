"""Who may act for a publisher: invitations, roles, and leaving. A publisher that has members keeps at least one owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.accounts import LINK_LASTS, Invitation, LinkPurpose, MemberRole, Membership, User, fold_email
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher
from syndicator.errors import Conflict, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.accounts import end_sign_ins, user_called
from syndicator.operations.letters import read_email, write_letter
from syndicator.operations.links import lasting, make_link, use_link

MOST_OPEN_INVITATIONS = 20


def members_of(session: Session, publisher_id: int) -> Sequence[Membership]:
    wanted = select(Membership).where(Membership.publisher_id == publisher_id).options(joinedload(Membership.user))
    return session.scalars(wanted.order_by(Membership.id).limit(500)).all()


def memberships_of(session: Session, user_id: int) -> Sequence[Membership]:
    wanted = select(Membership).where(Membership.user_id == user_id).options(joinedload(Membership.publisher))
    return session.scalars(wanted.order_by(Membership.id).limit(100)).all()


def open_invitations(session: Session, publisher_id: int, *, at: datetime) -> Sequence[Invitation]:
    wanted = select(Invitation).where(
        Invitation.publisher_id == publisher_id,
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
        Invitation.expires_at > at,
    )
    return session.scalars(wanted.order_by(Invitation.id).limit(MOST_OPEN_INVITATIONS)).all()


def get_member(session: Session, publisher_id: int, user_public_id: str) -> Membership:
    """Return the membership of the user at this publisher, all members of which are locked by their publisher's row, so that two
    who leave at once neither wait in a circle nor leave nobody behind. Raises NotFound, also for a member of another."""
    session.execute(select(Publisher.id).where(Publisher.id == publisher_id).with_for_update())
    wanted = (
        select(Membership).join(Membership.user).where(Membership.publisher_id == publisher_id, User.public_id == user_public_id)
    )
    member = session.scalars(wanted).one_or_none()
    if member is None:
        raise NotFound(f"there is no member {user_public_id!r} here")
    return member


def add_member(session: Session, publisher: Publisher, user: User, role: MemberRole, *, actor: str, at: datetime) -> Membership:
    """Give `user` a place at `publisher`. Raises Conflict for one who has a place there."""
    if any(each.publisher_id == publisher.id for each in memberships_of(session, user.id)):
        raise Conflict(f"{user.email} is a member already")
    member = Membership(user_id=user.id, publisher_id=publisher.id, role=role, created_at=at)
    session.add(member)
    session.flush()
    audit.record(session, actor, "member.add", publisher.public_id, at=at, email=user.email, role=role.value)
    return member


def invite(
    session: Session, house: House, publisher: Publisher, *, email: str, role: MemberRole, inviter: str, actor: str, at: datetime
) -> tuple[Invitation, str]:
    """Write an invitation to `email`; returns it and its link, which is never seen again.

    Raises InvalidRequest for what is no address, Conflict for a member or a second invitation.
    """
    folded = fold_email(read_email(email))
    waiting = open_invitations(session, publisher.id, at=at)
    if any(each.email == folded for each in waiting):
        raise Conflict(f"{folded} has an invitation already; withdraw it to send another.")
    if len(waiting) >= MOST_OPEN_INVITATIONS:
        raise Conflict(f"There are {len(waiting)} open invitations; withdraw some first.")
    if any(each.user.email == folded for each in members_of(session, publisher.id)):
        raise Conflict(f"{folded} is a member already.")
    invitation = Invitation(
        public_id=new_id("inv_"),
        publisher_id=publisher.id,
        email=folded,
        role=role,
        invited_by=actor,
        created_at=at,
        expires_at=at + LINK_LASTS[LinkPurpose.INVITATION],
    )
    session.add(invitation)
    address = make_link(session, house, LinkPurpose.INVITATION, at=at, about=invitation.public_id)
    write_letter(
        session,
        house,
        "invitation",
        to=folded,
        at=at,
        secret=address,
        publisher=publisher,
        lasts=lasting(LinkPurpose.INVITATION),
        inviter=inviter,
        publisher_name=publisher.name,
        role=role.value,
    )
    audit.record(session, actor, "member.invite", publisher.public_id, at=at, email=folded, role=role.value)
    return invitation, address


def get_invitation(session: Session, public_id: str, *, at: datetime) -> Invitation:
    """Return the invitation that is still open, locked; raises NotFound."""
    invitation = session.scalars(select(Invitation).where(Invitation.public_id == public_id).with_for_update()).one_or_none()
    if invitation is None or not invitation.open(at):
        raise NotFound("this invitation is unknown, used, withdrawn or over")
    return invitation


def accept_invitation(session: Session, token: str, *, name: str, at: datetime) -> User:
    """Use the letter's link: its reader becomes a member. Raises NotFound when it is used, withdrawn or over."""
    link = use_link(session, token, LinkPurpose.INVITATION, at=at)
    invitation = get_invitation(session, link.about, at=at)
    invitation.accepted_at = at
    user = user_called(session, invitation.email, at=at, name=name)
    if user.disabled_at is not None:
        raise NotFound("this invitation is unknown, used, withdrawn or over")
    user.email_verified_at = user.email_verified_at or at
    add_member(session, invitation.publisher, user, invitation.role, actor=user.email, at=at)
    return user


def withdraw_invitation(session: Session, publisher_id: int, public_id: str, *, actor: str, at: datetime) -> Invitation:
    """Make an invitation of this publisher worthless; raises NotFound, also for one of another."""
    invitation = get_invitation(session, public_id, at=at)
    if invitation.publisher_id != publisher_id:
        raise NotFound("there is no such invitation here")
    invitation.revoked_at = at
    audit.record(session, actor, "member.withdraw_invitation", invitation.publisher.public_id, at=at, email=invitation.email)
    return invitation


def change_role(session: Session, member: Membership, role: MemberRole, *, actor: str, at: datetime) -> None:
    """Give a member another role; its sign-ins end. Raises Conflict for the last owner."""
    before = member.role
    if before is MemberRole.OWNER and role is not MemberRole.OWNER:
        _require_another_owner(session, member)
    member.role = role
    end_sign_ins(session, member.user, at=at)
    words = {"email": member.user.email, "before": before.value, "after": role.value}
    audit.record(session, actor, "member.role", member.publisher.public_id, at=at, **words)


def remove(session: Session, member: Membership, *, actor: str, at: datetime) -> None:
    """End a membership; the person's sign-ins end. Raises Conflict for the last owner."""
    if member.role is MemberRole.OWNER:
        _require_another_owner(session, member)
    end_sign_ins(session, member.user, at=at)
    email, publisher = member.user.email, member.publisher.public_id
    session.delete(member)
    audit.record(session, actor, "member.remove", publisher, at=at, email=email)


def _require_another_owner(session: Session, member: Membership) -> None:
    owners = select(Membership.id).where(Membership.publisher_id == member.publisher_id, Membership.role == MemberRole.OWNER)
    if set(session.scalars(owners)) <= {member.id}:
        raise Conflict("This is the last owner; make somebody else one first.")
