"""Daily digests: what waits for a subscriber's hour leaves in one letter, once.

A story owed to a digest lies in a lane of its own, due at that hour, which the engine does not look at. Corrections and kills are
in the engine's lanes and never wait. Claims lapse and are settled as the engine's are, so a crash delays a letter and loses none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from time import monotonic

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.channels import Answer, Deferred, Outcome, Parcel
from syndicator.channels.email import Email, digest_letter
from syndicator.channels.options import EmailOptions, next_digest_at
from syndicator.delivery.ledger import KEEP, cancel, moment, park, unclaimed
from syndicator.delivery.parcels import load_parcels
from syndicator.delivery.settling import Result, settle
from syndicator.domain.deliveries import DIGEST_LANE, OWED, Delivery
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.operations.render_feeds import NotRendered, render_stale
from syndicator.operations.tallies import add_tallies, attempt_counts
from syndicator.storage.engine import reading

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
STORIES = 200  # in one letter; what is left over comes in the next
LETTERS = 500  # in one run


@dataclass(frozen=True, slots=True)
class Digests:
    house: House
    email: Email

    def send_due(self) -> int:
        """Send a letter to each subscriber whose hour has come; returns how many left."""
        at, worker = self.house.clock(), f"digests:{token_hex(8)}"
        with self.house.sessions.begin() as session:
            _set_next_hours(session, at)
        with reading(self.house.sessions) as session:
            subscriptions = session.scalars(_due(at).with_only_columns(Delivery.subscription_id).distinct().limit(LETTERS)).all()
        if subscriptions:
            with suppress(NotRendered):  # a document that cannot be made holds up no letter
                while render_stale(self.house):
                    """No letter leaves before the documents that a poller would get show its stories."""
        return sum(self._send(subscription_id, worker, at) for subscription_id in subscriptions)

    def _send(self, subscription_id: int, worker: str, at: datetime) -> int:
        """Claim what is due to one subscriber, send it, and record what became of it; returns how many letters left."""
        with self.house.sessions.begin() as session:
            ids = _claim(session, subscription_id, worker, at)
        with reading(self.house.sessions) as session:
            load = load_parcels(session, self.house, ids, at=at)
        parcels = sorted(load.parcels, key=lambda parcel: parcel.seq)
        started = monotonic()
        outcome = self._carry(parcels) if parcels else None
        answer = Answer(status=0, duration_ms=int((monotonic() - started) * 1000))
        results = [Result(parcel.delivery_id, outcome, answer) for parcel in parcels if outcome]
        results += [Result(delivery_id, Deferred("not-made"), Answer(status=0)) for delivery_id in load.unmade]
        with self.house.sessions.begin() as session:
            cancel(session, load.refused, worker=worker, at=at)
            park(session, load.paused, worker=worker)
            settle(session, self.house, results, worker=worker, at=at, spread={})
            if outcome is not None:
                add_tallies(session, attempt_counts("email", type(outcome).__name__.lower(), answer.duration_ms / 1000))
        if outcome is None:
            return 0
        log.info(
            "attempt delivery=%s channel=email outcome=%s status=0 ms=%s stories=%s",
            _uid(parcels),
            outcome.reason if isinstance(outcome, Deferred) else type(outcome).__name__.lower(),
            answer.duration_ms,
            len(parcels),
        )
        return 1

    def _carry(self, parcels: Sequence[Parcel]) -> Outcome:
        first = parcels[0]
        feed = self.house.catalogue.find(first.subscribed)
        title = f"{self.house.config.site.name}, {feed.title if feed else first.subscribed}"
        return self.email.carry(digest_letter(self.house.config, parcels, title, _uid(parcels)), first.endpoint)


def _uid(parcels: Sequence[Parcel]) -> str:
    return parcels[0].uid.replace("dlv_", "dgt_", 1)


def _set_next_hours(session: Session, at: datetime) -> None:
    """Have stories from now on wait for the next day's hour, where this day's has come."""
    passed = select(Subscription).where(Subscription.digest_at <= at).limit(10_000)
    for subscription in session.scalars(passed):
        subscription.digest_at = next_digest_at(EmailOptions.model_validate(subscription.options), at)


def _claim(session: Session, subscription_id: int, worker: str, at: datetime) -> Sequence[int]:
    mine = _due(at).with_only_columns(Delivery.id).where(Delivery.subscription_id == subscription_id)
    ids = session.scalars(mine.order_by(Delivery.event_seq).limit(STORIES).with_for_update(skip_locked=True)).all()
    claimed = update(Delivery).where(Delivery.id.in_(ids)).values(claimed_by=worker, claimed_until=at + LEASE)
    session.execute(claimed, execution_options=KEEP)
    return ids


def _due(at: datetime):  # type: ignore[no-untyped-def]  # its columns are chosen by the callers
    due = select(Delivery).where(
        Delivery.state == OWED, Delivery.lane == DIGEST_LANE, Delivery.next_attempt_at <= at, unclaimed()
    )
    return due.params(moment(at))
