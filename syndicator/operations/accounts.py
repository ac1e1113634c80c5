"""Users: making them, their passwords, staff roles and endings. What changes how a user signs in ends every sign-in of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from syndicator.domain.accounts import OneTimeLink, SignIn, StaffRole, User, fold_email
from syndicator.domain.base import new_id
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations import audit
from syndicator.operations.letters import one_line, read_email
from syndicator.operations.passwords import check_password, hash_password

LONGEST_NAME = 120


def find_user(session: Session, email: str) -> User | None:
    return session.scalars(select(User).where(User.email == fold_email(email))).one_or_none()


def get_user(session: Session, reference: str, *, lock: bool = False) -> User:
    """Return the user by public id or e-mail address; raises NotFound."""
    wanted = select(User).where((User.public_id == reference) | (User.email == fold_email(reference)))
    user = session.scalars(wanted.with_for_update(of=User) if lock else wanted).one_or_none()
    if user is None:
        raise NotFound(f"there is no user {reference!r}")
    return user


def user_called(session: Session, email: str, *, at: datetime, name: str = "") -> User:
    """Return the user with this e-mail address, made if there is none. Raises InvalidRequest for what is no address."""
    folded = fold_email(read_email(email))
    user = find_user(session, folded)
    if user is not None:
        return user
    fresh = User(public_id=new_id("usr_"), email=folded, name=one_line(name, LONGEST_NAME), created_at=at)
    try:
        with session.begin_nested():
            session.add(fresh)
    except IntegrityError:  # somebody else has just made it
        return get_user(session, folded)
    return fresh


def staff_users(session: Session) -> Sequence[User]:
    return session.scalars(select(User).where(User.staff_role.is_not(None)).order_by(User.email).limit(500)).all()


def add_staff(session: Session, *, email: str, role: StaffRole, name: str, actor: str, at: datetime) -> User:
    """Give the person with `email` a place at the desk. Raises Conflict for one who has a place already."""
    user = user_called(session, email, at=at, name=name)
    if user.staff_role is not None:
        raise Conflict(f"{user.email} is {user.staff_role.value} already")
    user.staff_role = role
    end_sign_ins(session, user, at=at)
    audit.record(session, actor, "user.add", user.public_id, at=at, email=user.email, role=role.value)
    return user


def change_staff_role(session: Session, user: User, role: StaffRole | None, *, actor: str, at: datetime) -> None:
    """Give `user` another role, or None: no place at the desk any more. Raises Conflict for the last administrator."""
    before = user.staff_role
    if before is StaffRole.ADMIN and role is not StaffRole.ADMIN:
        _require_another_admin(session, user)
    user.staff_role = role
    end_sign_ins(session, user, at=at)
    words = {"before": before.value if before else None, "after": role.value if role else None}
    audit.record(session, actor, "user.role", user.public_id, at=at, **words)


def set_password(session: Session, user: User, password: str, *, actor: str, at: datetime, keep: SignIn | None = None) -> None:
    """Let `user` sign in with `password` from now on; every sign-in but `keep` ends. Raises InvalidRequest for a weak one."""
    check_password(password, user.email, user.name)
    user.password_hash = hash_password(password)
    end_sign_ins(session, user, at=at, keep=keep)
    _spend_links(session, user, at=at)
    audit.record(session, actor, "user.password", user.public_id, at=at)


def disable(session: Session, user: User, *, actor: str, at: datetime) -> None:
    """Let `user` in no more. Raises Conflict for the last administrator."""
    if user.disabled_at is not None:
        raise Conflict(f"{user.email} is disabled already")
    if user.staff_role is StaffRole.ADMIN:
        _require_another_admin(session, user)
    user.disabled_at = at
    end_sign_ins(session, user, at=at)
    _spend_links(session, user, at=at)
    audit.record(session, actor, "user.disable", user.public_id, at=at)


def enable(session: Session, user: User, *, actor: str, at: datetime) -> None:
    if user.disabled_at is None:
        raise Conflict(f"{user.email} is not disabled")
    user.disabled_at = None
    audit.record(session, actor, "user.enable", user.public_id, at=at)


def reset(session: Session, user: User, *, actor: str, at: datetime) -> None:
    """Forget password and second factor, for one who lost them; the next way in is a link by e-mail."""
    user.password_hash = user.totp_secret = user.totp_since = None
    end_sign_ins(session, user, at=at)
    _spend_links(session, user, at=at)
    audit.record(session, actor, "user.reset", user.public_id, at=at)


def rename(session: Session, user: User, name: str, *, actor: str, at: datetime) -> None:
    if not one_line(name, LONGEST_NAME):
        raise InvalidRequest("Say what you are called.", "name")
    user.name = one_line(name, LONGEST_NAME)
    audit.record(session, actor, "user.rename", user.public_id, at=at, name=user.name)


def end_sign_ins(session: Session, user: User, *, at: datetime, keep: SignIn | None = None) -> None:
    """End every sign-in of `user` but `keep`."""
    live = update(SignIn).where(SignIn.user_id == user.id, SignIn.ended_at.is_(None))
    session.execute((live if keep is None else live.where(SignIn.id != keep.id)).values(ended_at=at))


def _spend_links(session: Session, user: User, *, at: datetime) -> None:
    """Make links that lie in a mailbox worthless: whoever reads it may be why the password is changed."""
    links = update(OneTimeLink).where(OneTimeLink.user_id == user.id, OneTimeLink.used_at.is_(None))
    session.execute(links.values(used_at=at))


def _require_another_admin(session: Session, user: User) -> None:
    admins = select(User.id).where(User.staff_role == StaffRole.ADMIN, User.disabled_at.is_(None)).order_by(User.id)
    if set(session.scalars(admins.with_for_update())) <= {user.id}:
        raise Conflict("this is the last administrator; make somebody else one first")
