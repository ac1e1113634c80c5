"""Trials that are conversations: examples by e-mail, SFTP and WordPress, brought by the channels as stories are, and logins.

Whoever asks for one is answered at once; a job of the timetable holds several at a time, and one that hangs takes a place and
keeps nobody waiting. A try that was taken and not written down comes back by itself, and so does one whose answer got lost
half-way: it finds what it left there by its own key, which is the same for all its tries.
"""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.channels import Accepted, Deferred, Outcome, Parcel, Refused
from syndicator.channels.answers import in_words
from syndicator.delivery.conversations import Conversations
from syndicator.delivery.parcels import secrets_of
from syndicator.domain.stories import EventType
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Trial, TrialKind
from syndicator.house import House
from syndicator.operations.subscriptions import get_subscription, resume
from syndicator.operations.try_login import try_login
from syndicator.operations.try_out import FAILED, TRYING, ask_for_trial, finish
from syndicator.outbound import Outbound
from syndicator.render.example import example_entry

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)  # more than the longest conversation
LOOKED_AFTER = timedelta(minutes=10)  # since it was asked for; then a lost answer is told as it is
AT_ONCE = 8
LOOK_SECONDS = 1.0
CONVERSING = [channel for channel in ChannelKind if channel.converses]
ACTOR = "job:try-out"


@dataclass(frozen=True, slots=True)
class Try:
    """What one try needs to know, read before the transaction ends."""

    trial_id: int
    kind: TrialKind
    parcel: Parcel


class TrialTalks:
    """Holds the conversations of trials, by the same channels that bring stories."""

    def __init__(self, house: House, outbound: Outbound) -> None:
        self._house, self._outbound = house, outbound
        self._conversations = Conversations(house)

    def hold_due(self) -> int:
        """Hold what is due, and what falls due meanwhile; returns how many."""
        count, held = 0, dict[Future[Outcome], Try]()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="trial") as pool:
            while True:
                for due in self._claim(AT_ONCE - len(held)):
                    held[pool.submit(self._hold, due)] = due
                if not held:
                    return count
                for ended in wait(held, LOOK_SECONDS, FIRST_COMPLETED).done:
                    self._settle(held.pop(ended), ended.result())
                    count += 1

    def hold_now(self, subscription_id: str, *, actor: str) -> Trial:
        """Try a subscription out for whoever waits for it, and return what came of it. Raises what `ask_for_trial` does."""
        at = self._house.clock()
        with self._house.sessions.begin() as session:
            trial = ask_for_trial(session, get_subscription(session, subscription_id), actor=actor, at=at)
            found = self._take(trial, at)
        if found is not None:
            self._settle(found, self._hold(found))
        with self._house.sessions() as session:
            return session.get_one(Trial, trial.id)

    def _claim(self, limit: int) -> list[Try]:
        """Return what is due and let nobody else take it for a while."""
        at = self._house.clock()
        due = select(Trial).join(Trial.subscription).where(Trial.due_at <= at, Subscription.channel.in_(CONVERSING))
        wanted = due.order_by(Trial.due_at).limit(limit).options(joinedload(Trial.subscription))
        with self._house.sessions.begin() as session:
            trials = session.scalars(wanted.with_for_update(of=Trial, skip_locked=True)).all()
            return [found for trial in trials if (found := self._take(trial, at)) is not None]

    def _take(self, trial: Trial, at: datetime) -> Try | None:
        """Claim one; None if nothing can be made of it, such as when its secret cannot be read, which stops no other."""
        try:
            found = Try(trial.id, trial.kind, _example(trial, self._house, at))
        except Exception:
            log.exception("test not made test=%s", trial.public_id)
            finish(trial, Deferred("not-made"), at=at)
            return None
        trial.due_at = at + LEASE
        return found

    def _hold(self, due: Try) -> Outcome:
        parcel, at = due.parcel, self._house.clock()
        try:
            if due.kind is TrialKind.SEND:
                return self._conversations[parcel.channel].deliver(parcel, at)
            channel, options = ChannelKind(parcel.channel), dict(parcel.options)
            trouble = try_login(self._outbound, channel, parcel.endpoint, options, parcel.secrets[0], at)
            return Refused(trouble) if trouble else Accepted("we could log in; nothing was written")
        except Exception:  # a fault of ours: the others are told of theirs all the same
            log.exception("test failed test=%s", parcel.uid)
            return Deferred("not-made")

    def _settle(self, held: Try, outcome: Outcome) -> None:
        at = self._house.clock()
        with self._house.sessions.begin() as session:
            trial = session.get(Trial, held.trial_id, with_for_update=True)
            if trial is None or trial.due_at is None:
                return
            if isinstance(outcome, Deferred) and (again_at := _again_at(trial, outcome, at)):
                trial.due_at, trial.reason = again_at, outcome.reason[:200]
                return
            finish(trial, outcome, at=at)
            log.info("endpoint tried test=%s kind=%s outcome=%s", trial.public_id, trial.kind.value, trial.outcome)
            if trial.kind is TrialKind.LOGIN:
                _let_in(session, trial.subscription, outcome, at=at)


def _example(trial: Trial, house: House, at: datetime) -> Parcel:
    """Return the parcel that brings the example of `trial`: the same bytes and names for all its tries."""
    subscription, asked_at = trial.subscription, trial.asked_at
    secrets, _ = secrets_of(subscription, house, at)
    return Parcel(
        delivery_id=0,
        subscription_id=subscription.id,
        uid=trial.public_id,
        channel=subscription.channel.value,
        endpoint=subscription.endpoint,
        options=dict(subscription.options),
        secrets=secrets,
        seq=0,
        sequence=0,
        event=EventType.PUBLISHED,
        at=asked_at,
        feeds=(subscription.feed,),
        entry=example_entry(
            house.terms,
            uid=trial.public_id,
            authority=house.config.site.authority,
            feed=subscription.feed,
            language=house.config.site.language,
            at=asked_at,
        ),
        terms=house.terms,
        subscribed=subscription.feed,
    )


def _again_at(trial: Trial, outcome: Deferred, at: datetime) -> datetime | None:
    """Return when to look again, where the channel wants that: something of ours may have been left there."""
    if not outcome.retry_after_seconds:
        return None
    then = at + timedelta(seconds=outcome.retry_after_seconds)
    return then if then <= trial.asked_at + LOOKED_AFTER else None


def _let_in(session: Session, held: Subscription, outcome: Outcome, *, at: datetime) -> None:
    """Have the subscription count, or say why it does not, unless its owner has paused or ended it meanwhile."""
    if held.state is not SubscriptionState.PAUSED or held.state_reason != TRYING:
        return
    if isinstance(outcome, Accepted):
        resume(session, held, actor=ACTOR, at=at)
    else:
        held.state_reason = f"{FAILED}{in_words(outcome.reason)}"
