"""Signing in and out. A try is counted before the slow hash and forgotten when it succeeds: guessing in parallel gains nothing.

Limits (reliability S15), each in a quarter of an hour: 10 tries of one account from one address; 100 from one address; 100 of one
account from addresses where its owner has never signed in, so that strangers lock nobody out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, Delete, Select, delete, func, select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import SignIn, SignInTry, User, address_of, fold_email
from syndicator.domain.base import new_id
from syndicator.errors import TooManyTries
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.letters import one_line
from syndicator.vault import hash_token, new_token, well_formed

WINDOW = timedelta(minutes=15)
TRIES_OF_ONE_FROM_ONE = 10
TRIES_FROM_ONE = 100
TRIES_OF_ONE_FROM_STRANGERS = 100
COOKIE_PREFIX = "syn_in"
CODE_WAITS = timedelta(minutes=10)
SEEN_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a request came from: an address to count by, and what the browser calls itself."""

    address: str
    agent: str


def browser_of(address: str, agent: str) -> Browser:
    return Browser(address_of(address), one_line(agent, 200))


def count_try(session: Session, account: str, browser: Browser, *, at: datetime) -> None:
    """Count one try at `account` (an e-mail address as typed, or a user's public id), before it is looked at.

    Raises TooManyTries instead of counting on.
    """
    account_hash = _account_hash(account)
    recent = select(func.count()).select_from(SignInTry).where(SignInTry.at > at - WINDOW)
    of_account = recent.where(SignInTry.account_hash == account_hash)
    here = recent.where(SignInTry.address == browser.address)
    too_many = (
        _count(session, of_account.where(SignInTry.address == browser.address)) >= TRIES_OF_ONE_FROM_ONE
        or _count(session, here) >= TRIES_FROM_ONE
        or (_count(session, of_account) >= TRIES_OF_ONE_FROM_STRANGERS and not _has_been_here(session, account, browser))
    )
    if too_many:
        raise TooManyTries("Too many tries. Wait a quarter of an hour, or have a link sent to you.", int(WINDOW.total_seconds()))
    session.add(SignInTry(account_hash=account_hash, address=browser.address, at=at))


def forget_tries(session: Session, account: str, browser: Browser) -> None:
    """Forget the tries at `account` from here: the right one has come."""
    session.execute(
        delete(SignInTry).where(SignInTry.account_hash == _account_hash(account), SignInTry.address == browser.address)
    )


def begin(
    session: Session, house: House, user: User, browser: Browser, *, at: datetime, code_given: bool = False
) -> tuple[SignIn, str]:
    """Sign `user` in at `browser`; returns the row and the cookie's value, which is never seen again.

    With a second factor the sign-in allows nothing until its code is given, which begins another one (`code_given`).
    """
    token = new_token(COOKIE_PREFIX)
    code_due = user.second_factor and not code_given
    lasts = CODE_WAITS if code_due else timedelta(hours=house.config.security.session_hours)
    sign_in = SignIn(
        public_id=new_id("in_"),
        token_hash=hash_token(token),
        user=user,
        code_due=code_due,
        address=browser.address,
        agent=browser.agent,
        created_at=at,
        seen_at=at,
        proven_at=at,
        expires_at=at + lasts,
    )
    session.add(sign_in)
    session.flush()
    if not sign_in.code_due:
        audit.record(session, user.email, "user.sign_in", user.public_id, at=at, address=browser.address)
    return sign_in, token


def find_sign_in(session: Session, token: str, *, at: datetime) -> SignIn | None:
    """Return the live sign-in of the cookie `token`, its user with it."""
    if not well_formed(token, COOKIE_PREFIX):
        return None
    found = session.scalars(select(SignIn).where(SignIn.token_hash == hash_token(token))).one_or_none()
    return found if found is not None and found.live(at) else None


def live_sign_ins(session: Session, user: User, *, at: datetime) -> Sequence[SignIn]:
    """Return where `user` is signed in, newest first."""
    wanted = select(SignIn).where(SignIn.user_id == user.id, SignIn.ended_at.is_(None), SignIn.expires_at > at)
    return [each for each in session.scalars(wanted.order_by(SignIn.id.desc()).limit(100)) if each.live(at)]


def end(session: Session, sign_in: SignIn, *, actor: str, at: datetime) -> None:
    """End `sign_in`; its cookie is worth nothing from the commit on."""
    if sign_in.ended_at is None:
        sign_in.ended_at = at
        audit.record(session, actor, "user.sign_out", sign_in.user.public_id, at=at, sign_in=sign_in.public_id)


def forget_old(session: Session, *, at: datetime) -> int:
    """Delete tries that no longer count, and sign-ins that ended a month ago; returns how many rows."""
    tries = delete(SignInTry).where(SignInTry.at <= at - WINDOW)
    sign_ins = delete(SignIn).where(SignIn.expires_at < at - timedelta(days=30))
    return sum(rows_deleted(session, each) for each in (tries, sign_ins))


def rows_deleted(session: Session, order: Delete) -> int:
    result = session.execute(order)
    return result.rowcount if isinstance(result, CursorResult) else 0


def _count(session: Session, counting: Select[int]) -> int:
    return session.scalar(counting) or 0


def _has_been_here(session: Session, account: str, browser: Browser) -> bool:
    """Whether the owner of `account` has signed in from this address before."""
    owner = (User.email == fold_email(account)) | (User.public_id == account)
    been = select(SignIn.id).join(SignIn.user).where(owner, SignIn.address == browser.address, SignIn.code_due.is_(False))
    return session.scalar(been.limit(1)) is not None


def _account_hash(account: str) -> str:
    return hashlib.sha256(fold_email(account).encode()).hexdigest()
