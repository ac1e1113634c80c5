"""Trying an endpoint out, when its owner asks: a test send, or a login before a subscription counts. What came of it is kept.

The engine posts to webhooks and callbacks (delivery/trials.py); a job of the timetable converses with the rest
(delivery/trial_talks.py). Nothing is done while somebody waits for a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.bell import ring_after
from syndicator.channels import Accepted, Outcome
from syndicator.channels.answers import in_words
from syndicator.domain.base import new_id
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Trial, TrialKind
from syndicator.errors import Conflict, NotFound
from syndicator.operations import audit
from syndicator.operations.subscriptions import pause

MOST_AN_HOUR = 20
TRYING = "waits until we could log in there"
FAILED = "we could not log in there: "
# What a test send does, for whoever is about to ask for one.
WILL_DO = {
    ChannelKind.WEBHOOK: "A test posts a message of the type “test” to your server, signed as stories are. It holds no story.",
    ChannelKind.WEBSUB: (
        "A test posts the feed to your callback as our hub does, signed if you gave a secret. It holds no more than the newest "
        "story that we have brought there before. Nothing is made up for it, since your readers would take that for news."
    ),
    ChannelKind.EMAIL: "A test sends a letter to the mailbox that looks as stories do and says that it is an example.",
    ChannelKind.SFTP: (
        "A test writes an example into the folder, in your format and by your pattern of names, as stories are written. EXAMPLE "
        "stands in its name, and its status is “canceled”, like a killed story's, so that no importer publishes it. It stays "
        "there for you to see; delete it as you like."
    ),
    ChannelKind.WORDPRESS: (
        "A test makes an example as a draft, whatever you chose for stories, and puts it into the trash at once. Its title says "
        "that it is not for publication. Your WordPress empties its trash by itself after a while."
    ),
}


def ask_for_trial(
    session: Session, subscription: Subscription, *, kind: TrialKind = TrialKind.SEND, actor: str, at: datetime
) -> Trial:
    """Ask that the subscription's endpoint be tried, which may be paused; a later look shows what came of it.

    Raises Conflict when it has ended, a test is under way, or there were too many within an hour.
    """
    lease_is_over = subscription.lease_until is not None and subscription.lease_until <= at
    if subscription.state is SubscriptionState.ENDED or lease_is_over:
        raise Conflict("this subscription has ended")
    waiting = select(Trial.id).where(Trial.subscription_id == subscription.id, Trial.due_at.is_not(None))
    if session.scalar(waiting.limit(1)) is not None:
        raise Conflict("a test of this subscription is under way")
    recent = select(func.count()).select_from(Trial).where(Trial.subscription_id == subscription.id)
    if (session.scalar(recent.where(Trial.asked_at > at - timedelta(hours=1))) or 0) >= MOST_AN_HOUR:
        raise Conflict(f"it has been tried {MOST_AN_HOUR} times within an hour; wait a while")
    test = Trial(public_id=new_id("tst_"), subscription=subscription, kind=kind, asked_at=at, due_at=at)
    session.add(test)
    session.flush()
    ring_after(session)
    audit.record(session, actor, "subscription.test", subscription.public_id, at=at, test=test.public_id, kind=kind.value)
    return test


def hold_until_login(session: Session, subscription: Subscription, *, actor: str, at: datetime) -> None:
    """Have the login tried; nothing is sent before it worked. Raises Conflict when a test is under way, or when it has ended."""
    ask_for_trial(session, subscription, kind=TrialKind.LOGIN, actor=actor, at=at)
    if subscription.state is SubscriptionState.ACTIVE:
        pause(session, subscription, reason=TRYING, actor=actor, at=at)
    subscription.state_reason = TRYING


def finish(trial: Trial, outcome: Outcome, *, at: datetime) -> None:
    """Write down what came of a trial; it is not tried any more."""
    trial.due_at, trial.finished_at = None, at
    trial.outcome = type(outcome).__name__.lower()
    if isinstance(outcome, Accepted):
        trial.reason, trial.done = "", outcome.done or trial.done
    else:
        trial.reason = outcome.reason[:200]


def told_of(trial: Trial) -> str:
    """Say what came of a trial: what stood in the way or there is now; of one that goes on, what it waits for, if anything."""
    status = f"status {trial.status}" if trial.status else ""
    return "; ".join(words for words in (in_words(trial.reason) or status, trial.done) if words)


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
