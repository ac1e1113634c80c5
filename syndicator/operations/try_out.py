"""Trying an endpoint out: an example is sent to a webhook or mailbox once, or we log in where a channel needs that, and what came
is kept.

The engine sends to webhooks; a job of the timetable does the rest (`try_logins`). Nothing is done while somebody waits for a
page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.base import new_id
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Trial
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations import audit

MOST_AN_HOUR = 20


def ask_for_trial(session: Session, subscription: Subscription, *, actor: str, at: datetime) -> Trial:
    """Ask that the subscription's endpoint be tried, which may be paused; a later look shows what came of it.

    Raises InvalidRequest for WebSub, Conflict when it has ended, a test is under way, or there were too many within an hour.
    """
    if subscription.channel is ChannelKind.WEBSUB:
        raise InvalidRequest(f"subscriptions by {subscription.channel.words} cannot be tried out", "channel")
    if subscription.state is SubscriptionState.ENDED:
        raise Conflict("this subscription has ended")
    waiting = select(Trial.id).where(Trial.subscription_id == subscription.id, Trial.due_at.is_not(None))
    if session.scalar(waiting.limit(1)) is not None:
        raise Conflict("a test of this subscription is under way")
    recent = select(func.count()).select_from(Trial).where(Trial.subscription_id == subscription.id)
    if (session.scalar(recent.where(Trial.asked_at > at - timedelta(hours=1))) or 0) >= MOST_AN_HOUR:
        raise Conflict(f"it has been tried {MOST_AN_HOUR} times within an hour; wait a while")
    test = Trial(public_id=new_id("tst_"), subscription=subscription, asked_at=at, due_at=at)
    session.add(test)
    session.flush()
    audit.record(session, actor, "subscription.test", subscription.public_id, at=at, test=test.public_id)
    return test


def get_trial(session: Session, subscription: Subscription, public_id: str) -> Trial:
    """Return a test of this subscription. Raises NotFound."""
    wanted = select(Trial).where(Trial.public_id == public_id, Trial.subscription_id == subscription.id)
    test = session.scalars(wanted).one_or_none()
    if test is None:
        raise NotFound(f"there is no test {public_id!r}")
    return test


def trials_of(session: Session, subscription: Subscription, limit: int = 10) -> Sequence[Trial]:
    """Return the newest tests, newest first."""
    wanted = select(Trial).where(Trial.subscription_id == subscription.id).order_by(Trial.id.desc()).limit(limit)
    return session.scalars(wanted).all()
