"""Logins tried before a subscription counts: it is paused until we got in where it leads, and active as soon as we did. Examples
by e-mail are sent here too.

Who asks for it is answered at once; a job of the timetable logs in, several at a time, and writes down what stood in the way. A
try that was taken and not written down comes back by itself.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.carriers import open_carrier
from syndicator.channels import Accepted
from syndicator.channels.answers import in_words
from syndicator.channels.email import Email, Reader, trial_letter
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Trial
from syndicator.house import House
from syndicator.operations.destinations import try_login
from syndicator.operations.subscriptions import pause, resume
from syndicator.operations.try_out import ask_for_trial
from syndicator.operations.unsubscribe import unsubscribe_url
from syndicator.outbound import Outbound

log = logging.getLogger(__name__)
TRYING = "waits until we could log in there"
FAILED = "we could not log in there: "
LEASE = timedelta(minutes=5)
AT_ONCE = 8
BATCH = 16
ACTOR = "job:try-logins"


@dataclass(frozen=True, slots=True)
class Login:
    """What one try needs to know, read before the transaction ends."""

    trial_id: int
    uid: str
    channel: ChannelKind
    endpoint: str
    feed: str
    options: dict[str, Any]
    credential: str  # for e-mail, the address that ends the subscription


def hold_until_login(session: Session, subscription: Subscription, *, actor: str, at: datetime) -> None:
    """Have the login tried; nothing is sent before it worked. Raises Conflict when one is under way, or when it has ended."""
    ask_for_trial(session, subscription, actor=actor, at=at)
    if subscription.state is SubscriptionState.ACTIVE:
        pause(session, subscription, reason=TRYING, actor=actor, at=at)
    subscription.state_reason = TRYING


def try_due(house: House, outbound: Outbound) -> int:
    """Log in where somebody waits for it; returns how many were tried."""
    with house.sessions.begin() as session:
        logins = _claim(session, house, at=house.clock())
    if not logins:
        return 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="login") as pool:
        troubles = list(pool.map(lambda login: _try(house, outbound, login), logins))
    with house.sessions.begin() as session:
        for login, trouble in zip(logins, troubles, strict=True):
            _settle(session, login, trouble, at=house.clock())
    return len(logins)


def _claim(session: Session, house: House, *, at: datetime) -> list[Login]:
    """Return what is due and let nobody else take it for a while."""
    due = select(Trial).join(Trial.subscription).where(Trial.due_at <= at, Subscription.channel.in_(TRIED_HERE))
    wanted = due.order_by(Trial.due_at).limit(BATCH).options(joinedload(Trial.subscription))
    logins = []
    for trial in session.scalars(wanted.with_for_update(of=Trial, skip_locked=True)):
        trial.due_at, found = at + LEASE, trial.subscription
        credential = house.vault.unlock(found.secret) if found.secret else ""
        if found.channel is ChannelKind.EMAIL:
            credential = unsubscribe_url(house, found.public_id)
        uid = trial.public_id
        logins.append(Login(trial.id, uid, found.channel, found.endpoint, found.feed, dict(found.options), credential))
    return logins


def _try(house: House, outbound: Outbound, login: Login) -> str:
    try:
        if login.channel is ChannelKind.EMAIL:
            reader = Reader(login.endpoint, login.feed, login.credential, house.clock())
            letter = trial_letter(house.config, reader, login.uid)
            outcome = Email(house.config, open_carrier(house.config)).carry(letter, login.endpoint)
            return "" if isinstance(outcome, Accepted) else outcome.reason
        return try_login(outbound, login.channel, login.endpoint, login.options, login.credential, house.clock())
    except Exception:  # a fault of ours: the others are told of theirs all the same
        log.exception("login not tried trial=%s", login.trial_id)
        return "it could not be tried; ask for it again"


def _settle(session: Session, login: Login, trouble: str, *, at: datetime) -> None:
    trial = session.get(Trial, login.trial_id, with_for_update=True)
    if trial is None or trial.due_at is None:
        return
    trial.due_at, trial.finished_at = None, at
    trial.outcome, trial.reason = "refused" if trouble else "accepted", trouble[:200]
    held = trial.subscription
    log.info("login tried subscription=%s outcome=%s", held.public_id, trial.outcome)
    if held.state is not SubscriptionState.PAUSED or held.state_reason != TRYING:
        return  # its owner has paused or ended it meanwhile, or only wanted to know
    if trouble:
        held.state_reason = f"{FAILED}{in_words(trouble)}"
    else:
        resume(session, held, actor=ACTOR, at=at)


TRIED_HERE = (ChannelKind.EMAIL, *(channel for channel in ChannelKind if channel.logs_in))
