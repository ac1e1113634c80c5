"""The examples that owners asked for: taken once, sent once, and what came of it written down."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.channels import Accepted, Answer, Refused
from syndicator.channels.answers import read_answer
from syndicator.channels.webhook import trial_request
from syndicator.delivery.errands import Errand
from syndicator.delivery.parcels import secrets_of
from syndicator.delivery.settling import KEPT_OF_ANSWER, storable
from syndicator.domain.subscriptions import ChannelKind, Subscription, Trial
from syndicator.house import House

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
SENT = Subscription.channel == ChannelKind.WEBHOOK  # where we log in, a job of the timetable tries it


class Trials:
    """Errands (see errands.py)."""

    def anything_due(self, session: Session, *, at: datetime) -> bool:
        return session.scalar(select(Trial.id).join(Trial.subscription).where(Trial.due_at <= at, SENT).limit(1)) is not None

    def claim_due(self, session: Session, house: House, *, at: datetime, limit: int) -> list[Errand]:
        due = select(Trial).join(Trial.subscription).where(Trial.due_at <= at, SENT).order_by(Trial.due_at).limit(limit)
        wanted = due.options(joinedload(Trial.subscription)).with_for_update(of=Trial, skip_locked=True)
        errands = []
        for test in session.scalars(wanted):
            try:
                errands.append(_errand(test, house, at))
                test.due_at = at + LEASE
            except Exception:  # such as a secret that cannot be read; it must not stop the others
                log.exception("test not made test=%s", test.public_id)
                test.due_at, test.finished_at, test.outcome, test.reason = None, at, "deferred", "not-made"
        return errands

    def settle(self, session: Session, house: House, answered: Sequence[tuple[Errand, Answer]], *, at: datetime) -> None:
        for errand, answer in answered:
            test = session.get(Trial, errand.row_id, with_for_update=True)
            if test is None or test.due_at is None:
                continue
            outcome = read_answer(answer, at)
            test.outcome = type(outcome).__name__.lower()
            test.reason = "" if isinstance(outcome, Accepted) else outcome.reason[:200]
            test.status, test.duration_ms = answer.status or None, answer.duration_ms
            test.answer = storable(answer.body[:KEPT_OF_ANSWER].decode("utf-8", "replace"))
            test.due_at, test.finished_at = None, at
            gone = isinstance(outcome, Refused)
            log.info("test sent test=%s outcome=%s status=%s gone=%s", test.public_id, test.outcome, answer.status, gone)


def _errand(test: Trial, house: House, at: datetime) -> Errand:
    subscription = test.subscription
    secrets, signing_key = secrets_of(subscription, house, at)
    request = trial_request(subscription.endpoint, test.public_id, secrets, signing_key, at, feed=subscription.feed)
    return Errand(test.id, request)
