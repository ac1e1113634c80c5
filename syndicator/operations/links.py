"""One-time links: made, asked for, looked at, used once.

Whoever asks for a link by typing an e-mail address gets the same answer in the same time whether there is such a user: the
request only notes the wish, and `answer_requests`, run where letters are sent, looks the user up (reliability S16).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import LINK_LASTS, LinkPurpose, LinkRequest, OneTimeLink, User, fold_email
from syndicator.errors import NotFound, TooManyTries
from syndicator.house import House
from syndicator.operations.accounts import find_user
from syndicator.operations.letters import read_email, write_letter
from syndicator.operations.sign_in import Browser, rows_deleted
from syndicator.vault import hash_token, new_token, well_formed

LINK_PREFIX = "syn_link"
ASKED_FROM_ONE_PER_HOUR = 30
LETTERS_TO_ONE_PER_HOUR = 5
KEPT = timedelta(days=30)
# Where each kind of link leads; web/auth.py answers there.
PATHS = {
    LinkPurpose.SIGN_IN: "/sign-in/link",
    LinkPurpose.RESET: "/reset",
    LinkPurpose.VERIFY_EMAIL: "/apply/confirm",
    LinkPurpose.INVITATION: "/invitation",
}


def make_link(
    session: Session,
    house: House,
    purpose: LinkPurpose,
    *,
    at: datetime,
    user: User | None = None,
    about: str = "",
    next_path: str = "",
) -> str:
    """Return the address of a new link, which is never seen again; hand it to `write_letter` as `secret`."""
    token = new_token(LINK_PREFIX)
    session.add(
        OneTimeLink(
            token_hash=hash_token(token),
            purpose=purpose,
            user=user,
            about=about,
            next_path=next_path,
            created_at=at,
            expires_at=at + LINK_LASTS[purpose],
        )
    )
    session.flush()
    return f"{house.config.site.base_url}{PATHS[purpose]}/{token}"


def get_link(session: Session, token: str, purpose: LinkPurpose, *, at: datetime, lock: bool = False) -> OneTimeLink:
    """Return the link that can still be used; raises NotFound for every other, and says no more."""
    wanted = select(OneTimeLink).where(OneTimeLink.token_hash == hash_token(token), OneTimeLink.purpose == purpose)
    link = (
        session.scalars(wanted.with_for_update() if lock else wanted).one_or_none() if well_formed(token, LINK_PREFIX) else None
    )
    if link is None or not link.live(at) or (link.user is not None and link.user.disabled_at is not None):
        raise NotFound("this link is unknown, used or over")
    return link


def use_link(session: Session, token: str, purpose: LinkPurpose, *, at: datetime) -> OneTimeLink:
    """Use the link up. Its user has shown that the mailbox is theirs."""
    link = get_link(session, token, purpose, at=at, lock=True)
    link.used_at = at
    if link.user is not None and link.user.email_verified_at is None:
        link.user.email_verified_at = at
    return link


def ask_for_link(
    session: Session, email: str, purpose: LinkPurpose, browser: Browser, *, at: datetime, next_path: str = ""
) -> None:
    """Note that somebody wants a link. Raises InvalidRequest for what is no address, TooManyTries for a flood from one place."""
    recent = select(func.count()).select_from(LinkRequest).where(LinkRequest.asked_at > at - timedelta(hours=1))
    if (session.scalar(recent.where(LinkRequest.address == browser.address)) or 0) >= ASKED_FROM_ONE_PER_HOUR:
        raise TooManyTries("Too many letters have been asked for from here. Please try again in an hour.", 3600)
    session.add(
        LinkRequest(
            email=fold_email(read_email(email)), purpose=purpose, next_path=next_path, address=browser.address, asked_at=at
        )
    )


def answer_requests(session: Session, house: House, *, at: datetime) -> int:
    """Write the letters that were asked for; returns how many. An unknown or disabled user gets none, nor a flooded mailbox."""
    written = 0
    wanted = select(LinkRequest).where(LinkRequest.answered_at.is_(None)).order_by(LinkRequest.id).limit(100)
    for request in session.scalars(wanted.with_for_update(skip_locked=True)):
        request.answered_at = at
        user = find_user(session, request.email)
        if user is None or user.disabled_at is not None or _flooded(session, request):
            continue
        address = make_link(session, house, request.purpose, at=at, user=user, next_path=request.next_path)
        lasts = lasting(request.purpose)
        write_letter(session, house, request.purpose.value, to=user.email, at=at, secret=address, lasts=lasts)
        written += 1
    return written


def forget_old(session: Session, *, at: datetime) -> int:
    """Delete what was asked for and what ended a month ago; returns how many rows."""
    links = delete(OneTimeLink).where(OneTimeLink.expires_at < at - KEPT)
    requests = delete(LinkRequest).where(LinkRequest.answered_at < at - KEPT)
    return sum(rows_deleted(session, each) for each in (links, requests))


def lasting(purpose: LinkPurpose) -> str:
    """Say how long a link holds, in words."""
    seconds = LINK_LASTS[purpose].total_seconds()
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if count > 1 else ''}"
    raise ValueError(purpose)


def _flooded(session: Session, request: LinkRequest) -> bool:
    recent = (
        select(func.count())
        .select_from(LinkRequest)
        .where(
            LinkRequest.email == request.email,
            LinkRequest.asked_at > request.asked_at - timedelta(hours=1),
            LinkRequest.id < request.id,
        )
    )
    return (session.scalar(recent) or 0) >= LETTERS_TO_ONE_PER_HOUR
