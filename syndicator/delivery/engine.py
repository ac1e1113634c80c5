"""The engine: renders what is stale, claims what is due, hands it to the sender, records what came back. One thread, no waiting
for any one receiver, no transaction open while bytes move.

Deliveries are claimed only up to the event that the feed documents already show, so that no push leaves before the document that
a poller would get contains it. Keys given to the sender: a delivery's id, or a hub request's id negated.
"""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from syndicator.channels import Answer, Deferred, Parcel, PostChannel
from syndicator.delivery import hub_requests
from syndicator.delivery.ledger import (
    Result,
    anything_due,
    cancel,
    claim_due,
    count_due,
    postpone,
    release,
    release_all,
    renew_claims,
    settle,
)
from syndicator.delivery.living import Living
from syndicator.delivery.parcels import load_parcels
from syndicator.delivery.sender import Sender
from syndicator.house import House
from syndicator.operations.render_feeds import render_stale, stale_feeds
from syndicator.storage.engine import reading
from syndicator.storage.queries import last_value

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
RENEW_SECONDS = 30.0
LOOK_FOR_DEAD_SECONDS = 10.0
BATCH = 500
BUSY_PAUSE = timedelta(seconds=2)


@dataclass(slots=True)
class Turn:
    """What one turn of the engine did."""

    rendered: int = 0
    claimed: int = 0
    finished: int = 0

    @property
    def idle(self) -> bool:
        return not (self.rendered or self.claimed or self.finished)


@dataclass(slots=True)
class Engine:
    """Sends what is owed. `chance` draws from [0, 1) and spreads retries."""

    house: House
    sender: Sender
    channels: Mapping[str, PostChannel]
    chance: Callable[[], float] = random.random
    worker: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{random.getrandbits(32):08x}")
    under_way: dict[int, Parcel] = field(default_factory=dict)
    verifying: dict[int, hub_requests.Verification] = field(default_factory=dict)
    renewed_at: float = field(default_factory=monotonic)
    living: Living | None = None
    looked_for_dead_at: float = 0.0

    def turn(self, wait_seconds: float) -> Turn:
        """Do what there is to do now, and wait at most `wait_seconds` for answers."""
        done = Turn()
        self._look_for_dead()
        seq = self._newest_seq()
        done.rendered = len(render_stale(self.house))
        done.claimed = self._claim(seq) + self._claim_hub_requests()
        self._keep_claims()
        answers = self.sender.pump(wait_seconds)
        self._record(answers)
        done.finished = len(answers)
        return done

    def run(self, stopping: Callable[[], bool], *, idle_seconds: float = 0.1) -> None:
        """Take turns until `stopping()`, then let what is under way end and give the rest back."""
        while not stopping():
            self.turn(idle_seconds)
        self.drain(seconds=5.0)

    def work_off(self, stopping: Callable[[], bool]) -> None:
        """Take turns until nothing is due or under way, or until `stopping()`."""
        while not stopping():
            if self.turn(0.1 if self.sender.in_flight else 0.0).idle and not self.sender.in_flight:
                return

    def drain_due(self) -> int:
        """Send everything that is due now; returns how many attempts were made."""
        attempts = 0
        while True:
            done = self.turn(0.2 if self.sender.in_flight else 0.0)
            attempts += done.finished
            if done.idle and not self.sender.in_flight:
                return attempts

    def drain(self, *, seconds: float) -> None:
        """Claim nothing more; wait at most `seconds` for what is under way, then release it unsettled."""
        deadline = monotonic() + seconds
        while self.sender.in_flight and monotonic() < deadline:
            self._record(self.sender.pump(0.1))
        with self.house.sessions.begin() as session:
            release(session, list(self.under_way), worker=self.worker)
        self.close()

    def close(self) -> None:
        """Break off what is under way, and leave no sign of life."""
        self.sender.close()
        if self.living is not None:
            self.living.close()
            self.living = None

    def _look_for_dead(self) -> None:
        """Show that we live, and take back what workers of this machine had claimed when they died."""
        if self.living is None:
            self.living = Living(self.house.config.data_dir / "locks", self.worker)
        elif monotonic() - self.looked_for_dead_at < LOOK_FOR_DEAD_SECONDS:
            return
        self.looked_for_dead_at = monotonic()
        with self.living.dead() as names:
            if names:
                with self.house.sessions.begin() as session:
                    count = release_all(session, names)
                log.warning("workers died workers=%s claims_back=%s", len(names), count)

    def _newest_seq(self) -> int:
        with reading(self.house.sessions) as session:
            return last_value(session, "events")

    def _claim(self, up_to_seq: int) -> int:
        room = min(self.sender.room(), BATCH)
        at = self.house.clock()
        if room <= 0:
            return 0
        with reading(self.house.sessions) as session:
            if not anything_due(session, at=at):
                return 0
        with self.house.sessions.begin() as session:
            ids = claim_due(session, worker=self.worker, at=at, limit=room, up_to_seq=up_to_seq, lease=LEASE)
        if not ids:
            return 0
        with reading(self.house.sessions) as session:
            load = load_parcels(session, self.house, ids, at=at)
        if load.refused:
            with self.house.sessions.begin() as session:
                cancel(session, load.refused, worker=self.worker, at=at)
        for parcel in load.parcels:
            self.under_way[parcel.delivery_id] = parcel
            self.sender.submit(parcel.delivery_id, self.channels[parcel.channel].request(parcel, at))
        return len(ids)

    def _claim_hub_requests(self) -> int:
        at = self.house.clock()
        with reading(self.house.sessions) as session:
            if not hub_requests.anything_due(session, at=at):
                return 0
        with self.house.sessions.begin() as session:
            verifications = hub_requests.claim_due(session, self.house.vault, at=at, limit=BATCH)
        for verification in verifications:
            self.verifying[verification.request_id] = verification
            self.sender.submit(-verification.request_id, verification.request)
        return len(verifications)

    def _keep_claims(self) -> None:
        """Renew the claims of what is under way before they lapse."""
        if not self.under_way or monotonic() - self.renewed_at < RENEW_SECONDS:
            return
        self.renewed_at = monotonic()
        with self.house.sessions.begin() as session:
            kept = renew_claims(session, list(self.under_way), worker=self.worker, at=self.house.clock(), lease=LEASE)
        for lost in set(self.under_way) - kept:
            log.warning("claim lost delivery=%s", lost)
            del self.under_way[lost]

    def _record(self, answers: list[tuple[int, Answer]]) -> None:
        at = self.house.clock()
        results, busy = [], []
        verified = [(self.verifying.pop(-key), answer) for key, answer in answers if -key in self.verifying]
        for key, answer in answers:
            parcel = self.under_way.pop(key, None)
            if parcel is None:
                continue
            if answer.error == "busy":
                busy.append(key)
            else:
                results.append(self._judge(parcel, answer, at))
        if verified:
            with self.house.sessions.begin() as session:
                hub_requests.settle(session, self.house, verified, at=at)
        if busy:
            with self.house.sessions.begin() as session:
                postpone(session, busy, worker=self.worker, until=at + BUSY_PAUSE)
        if results:
            self._settle(results, at)

    def _judge(self, parcel: Parcel, answer: Answer, at: datetime) -> Result:
        outcome = self.channels[parcel.channel].read(answer, at)
        reason = outcome.reason if isinstance(outcome, Deferred) else type(outcome).__name__.lower()
        log.info(
            "attempt delivery=%s channel=%s outcome=%s status=%s ms=%s",
            parcel.uid,
            parcel.channel,
            reason,
            answer.status,
            answer.duration_ms,
        )
        return Result(parcel.delivery_id, outcome, answer)

    def _settle(self, results: list[Result], at: datetime) -> None:
        push = self.house.config.push
        with self.house.sessions.begin() as session:
            given_up = settle(
                session,
                results,
                worker=self.worker,
                at=at,
                schedule_seconds=push.retry_schedule_seconds,
                spread={result.delivery_id: self.chance() for result in results},
                disable_after=timedelta(days=push.disable_after_days),
            )
        for delivery in given_up:
            log.warning("delivery given up delivery=%s reason=%s", delivery.id, delivery.last_reason)


def count_to_do(house: House) -> int:
    """Say how much an engine would find to do now: deliveries due (counted up to some thousands), stale feeds, hub requests."""
    at = house.clock()
    with reading(house.sessions) as session:
        return count_due(session, at=at) + len(stale_feeds(session)) + hub_requests.anything_due(session, at=at)
