"""The engine: renders what is stale, claims what is due, hands it to the sender, records what came back. One thread, no waiting
for any one receiver, no transaction open while bytes move.

Deliveries are claimed only up to the event that the feed documents already show, so that no push leaves before the document that
a poller would get contains it. What waits for its turn is judged again twice a second, and taken back when something newer, a
kill or the gate has overtaken it. What was sent is remembered until it is recorded: while the database is away, or refuses
because of a deadlock, nothing is forgotten and the same is tried again. A row that nothing can be made of, for whatever reason,
stops no other. Keys given to the sender: a delivery's id, or a negative number for an errand.
"""

from __future__ import annotations

import logging
import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from syndicator.bell import Bell
from syndicator.channels import Answer, ConversationChannel, Deferred, Parcel, PostChannel
from syndicator.clock import ticks
from syndicator.delivery.errands import Errand, Errands
from syndicator.delivery.hub_requests import HubRequests
from syndicator.delivery.ledger import (
    DUE_AT_ALL,
    cancel,
    claim_due,
    count_due,
    moment,
    park,
    postpone,
    release,
    release_all,
    renew_claims,
)
from syndicator.delivery.living import Living
from syndicator.delivery.pace import Pace
from syndicator.delivery.parcels import Load, load_parcels, may_still_go
from syndicator.delivery.sender import Sender
from syndicator.delivery.settling import Result, settle
from syndicator.delivery.talkers import Talk, Talkers
from syndicator.delivery.trials import Trials
from syndicator.house import House
from syndicator.operations.mirror import on_many_machines, shown_everywhere
from syndicator.operations.render_feeds import STALE_FEEDS, NotRendered, is_being_rendered, render_feeds, stale_feeds
from syndicator.operations.tallies import add_tallies, attempt_counts
from syndicator.storage.engine import passing, reading
from syndicator.storage.queries import NEWEST

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
MARGIN_SECONDS = 20.0  # a request that starts so long before its claim lapses ends before it
RENEW_SECONDS = 30.0
LOOK_FOR_DEAD_SECONDS = 10.0
TALLY_SECONDS = 5.0
IDLE_SECONDS = 0.25  # how long an idle engine waits before it looks by itself; what comes to be owed on this machine rings a bell
RECALL_SECONDS = 0.5  # what has waited so long for its turn is judged again
SPOILT_SECONDS = 5.0  # a feed whose documents could not be made is left alone for so long
BATCH = 500
STRETCH = 64  # so many are handed out before those that left are looked after
BUSY_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE_SECONDS = 5.0
ERRANDS: tuple[Errands, ...] = (HubRequests(), Trials())
NOT_MADE = Deferred("not-made")
# What there may be to do, seen at one moment: the newest event, a stale feed, a delivery, errands of each kind. A look takes no
# write lock.
LOOK = select(
    NEWEST.scalar_subquery(), *(rows.exists() for rows in (STALE_FEEDS, DUE_AT_ALL, *(errands.due for errands in ERRANDS)))
)


class Sight(NamedTuple):
    """What a look saw."""

    newest_seq: int
    stale: bool
    due: bool
    errands: list[Errands]

    @classmethod
    def of(cls, session: Session, at: datetime) -> Sight:
        newest, stale, due, *errands = session.execute(LOOK, {"counter": "events", **moment(at)}).one()
        return cls(newest or 0, stale, due, [kind for kind, waits in zip(ERRANDS, errands, strict=True) if waits])


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
    """Sends what is owed. `chance` draws from [0, 1) and spreads retries; `ticks` measures how long claims have left."""

    house: House
    sender: Sender
    channels: Mapping[str, PostChannel]
    conversations: Mapping[str, ConversationChannel] = field(default_factory=dict)
    talkers: Talkers = field(default_factory=Talkers)
    chance: Callable[[], float] = random.random
    ticks: Callable[[], float] = ticks
    worker: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{random.getrandbits(32):08x}")
    under_way: dict[int, Parcel] = field(default_factory=dict)
    carrying: dict[int, tuple[Errands, Errand]] = field(default_factory=dict)  # errands, by negative keys
    last_errand: int = 0
    unread: list[int] = field(default_factory=list)  # claimed, and not yet made into parcels
    judged: dict[int, float] = field(default_factory=dict)  # when the gate was last asked, in ticks, for what waits for its turn
    spoilt: dict[str, float] = field(default_factory=dict)  # feeds whose documents could not be made, and until when they rest
    answers: list[tuple[int, Answer]] = field(default_factory=list)  # came back, and not yet recorded
    talks: list[Talk] = field(default_factory=list)  # ended, and not yet recorded
    claims_until: float = 0.0  # in ticks; what is under way is ours at least till then
    renewed_at: float = 0.0
    tally: Counter[tuple[str, str]] = field(default_factory=Counter)  # counted, and not yet added to everybody's
    tallied_at: float = 0.0
    living: Living | None = None
    bell: Bell | None = None
    pace: Pace | None = None  # only for who goes on: `drain_due` sends what is due and does not wait
    looked_for_dead_at: float = 0.0
    shown_seq: int = 0  # many machines: the event up to which all of them show everything

    def __post_init__(self) -> None:
        self.sender.may_start = self.talkers.may_start = self._may_start

    @property
    def in_flight(self) -> int:
        """What has been handed out and has not come back."""
        return self.sender.in_flight + self.talkers.in_flight

    def turn(self, wait_seconds: float) -> Turn:
        """Do what there is to do now, and wait at most `wait_seconds` for answers. Raises DBAPIError when the database does not
        do its part; nothing is lost then, and the next turn goes on where this one stopped."""
        done = Turn()
        self._look_for_dead()
        self._keep_claims()
        done.finished = self._record()
        with reading(self.house.sessions) as session:
            seen = Sight.of(session, self.house.clock())
        up_to_seq, done.rendered = self._render(seen)
        self._recall()
        done.claimed = (self._claim(up_to_seq) if seen.due or self.unread else 0) + self._claim_errands(seen.errands)
        self._pump(0.0 if self.unrecorded else wait_seconds)  # what is not recorded keeps its places: nothing may be able to move
        done.finished += self._record()
        self.tally["renders", ""] += done.rendered
        if self.ticks() - self.tallied_at >= TALLY_SECONDS:
            self._add_tally()
        return done

    def run(self, stopping: Callable[[], bool], *, idle_seconds: float = IDLE_SECONDS) -> None:
        """Take turns until `stopping()`, then let what is under way end and give the rest back."""
        pause = 0.0
        self.bell = Bell(self.house.config.data_dir / "locks", self.worker)
        self.sender.listen(self.bell.descriptor)
        self.pace = Pace(self.ticks)
        while not stopping():
            pause = self._turn_or_pause(idle_seconds, pause, stopping)[1]
        self.drain(seconds=5.0)

    def work_off(self, stopping: Callable[[], bool]) -> None:
        """Take turns until nothing is due or under way, or until `stopping()`."""
        pause = 0.0
        self.pace = pace = self.pace or Pace(self.ticks)
        while not stopping():
            waits = self.in_flight or pace.holding
            done, pause = self._turn_or_pause(0.1 if waits else 0.0, pause, stopping)
            if done is not None and done.idle and not self.in_flight and not pace.holding:
                return

    def drain_due(self) -> int:
        """Send everything that is due now; returns how many attempts were made."""
        attempts = 0
        while True:
            done = self.turn(0.2 if self.in_flight else 0.0)
            attempts += done.finished
            if done.idle and not self.in_flight:
                return attempts

    def drain(self, *, seconds: float) -> None:
        """Claim and start nothing more; wait at most `seconds` for what is under way, then give back what has not been sent."""
        deadline = self.ticks() + seconds
        self.claims_until = 0.0  # nothing that still waits may start
        while (self.in_flight or self.unrecorded) and self.ticks() < deadline:
            self._pump(0.1)
            self._try(self._record)
        self._try(self._release)
        self._try(self._add_tally)
        self.close()

    def close(self) -> None:
        """Break off what is under way, and leave no sign of life."""
        self.sender.close()
        self.talkers.close()
        if self.living is not None:
            self.living.close()
            self.living = None
        if self.bell is not None:
            self.bell.close()
            self.bell = None

    def _turn_or_pause(self, wait_seconds: float, pause: float, stopping: Callable[[], bool]) -> tuple[Turn | None, float]:
        """Take a turn; where the database does not do its part, go on without it for a while, longer each time (`pause`)."""
        try:
            return self.turn(wait_seconds), 0.0
        except SQLAlchemyError as error:
            pause = min(max(2 * pause, 0.1), LONGEST_PAUSE_SECONDS)
            log.warning("database not usable error=%s unrecorded=%s", _word(error), self.unrecorded)
            self._pump_for(pause * (0.5 + self.chance() / 2), stopping)
            return None, pause

    def _pump_for(self, seconds: float, stopping: Callable[[], bool]) -> None:
        """Go on with what is under way, without the database."""
        until = self.ticks() + seconds
        while self.ticks() < until and not stopping():
            self._pump(min(0.1, seconds))

    def _pump(self, seconds: float) -> None:
        """Move what is under way on, and keep what came back."""
        if self.talkers.in_flight and not self.sender.in_flight:
            self.talks += self.talkers.finished(min(seconds, 0.1))
            seconds = 0.0
        self.sender.unrecorded = sum(answer.tried for _, answer in self.answers)
        self.answers += self.sender.pump(min(seconds, 0.02) if self.talkers.in_flight else seconds)
        self.talks += self.talkers.finished()
        if self.bell is not None:
            self.bell.hush()

    @property
    def unrecorded(self) -> int:
        return len(self.answers) + len(self.talks)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except SQLAlchemyError as error:
            log.warning("database not usable error=%s unrecorded=%s", _word(error), self.unrecorded)

    def _release(self) -> None:
        with self.house.sessions.begin() as session:
            release(session, [*self.under_way, *self.unread], worker=self.worker)

    def _add_tally(self) -> None:
        counts = {key: count for key, count in self.tally.items() if count}
        if counts:
            with self.house.sessions.begin() as session:
                add_tallies(session, counts)
        self.tally.clear()
        self.tallied_at = self.ticks()

    def _look_for_dead(self) -> None:
        """Show that we live, and take back what workers of this machine had claimed when they died."""
        if self.living is None:
            self.living = Living(self.house.config.data_dir / "locks", self.worker)
        elif self.ticks() - self.looked_for_dead_at < LOOK_FOR_DEAD_SECONDS:
            return
        with self.living.dead() as names:
            if names:
                with self.house.sessions.begin() as session:
                    count = release_all(session, names)
                log.warning("workers died workers=%s claims_back=%s", len(names), count)
        self.looked_for_dead_at = self.ticks()

    def _may_start(self, key: int) -> bool:
        """Whether the request `key` may leave now: its claim is ours for as long as an exchange can take."""
        return key < 0 or (key in self.under_way and self.ticks() < self.claims_until - MARGIN_SECONDS)

    def _keep_claims(self) -> None:
        """Renew the claims of what is under way before they lapse; what others took meanwhile is not sent."""
        ids = [*self.under_way, *self.unread]
        if not ids or self.ticks() - self.renewed_at < RENEW_SECONDS:
            return
        started = self.ticks()
        with self.house.sessions.begin() as session:
            kept = renew_claims(session, ids, worker=self.worker, at=self.house.clock(), lease=LEASE)
        self.renewed_at, self.claims_until = started, started + LEASE.total_seconds()
        self.unread = [delivery_id for delivery_id in self.unread if delivery_id in kept]
        for lost in set(self.under_way) - kept:
            log.warning("claim lost delivery=%s", self.under_way[lost].uid)
            del self.under_way[lost]

    def _recall(self) -> None:
        """Take back what waits for its turn and may not go any more; what becomes of it is decided when it is claimed again."""
        now = self.ticks()
        waiting = self.sender.waiting() | self.talkers.waiting() if self.judged else set()
        self.judged = {key: judged for key, judged in self.judged.items() if key in waiting}
        stale = {key for key, judged in self.judged.items() if now - judged >= RECALL_SECONDS}
        owed = [key for key in stale if key in self.under_way]
        going: set[int] = set()
        if owed:
            with reading(self.house.sessions) as session:
                going = may_still_go(session, self.house, owed, worker=self.worker, at=self.house.clock())
        self.judged.update(dict.fromkeys(going, now))
        recalled = stale - going
        if recalled:
            self.sender.take_back(recalled)
            self.talkers.take_back(recalled)

    def _render(self, seen: Sight) -> tuple[int, int]:
        """Bring the documents up to date; returns the event up to which they show everything, and how many were rendered.

        A document that cannot be made must hold up neither other feeds nor any push: it is logged, and the rest goes on.
        """
        now, seq, stale = self.ticks(), seen.newest_seq, list[str]()
        if seen.stale:
            with reading(self.house.sessions) as session:
                known = [name for name in stale_feeds(session) if self.house.catalogue.find(name)]
                stale = [name for name in known if self.spoilt.get(name, 0.0) <= now]
                if self.pace is not None:
                    stale, seq = self.pace.choose(session, stale, seq)
        elif self.pace is not None:
            self.pace.holding = False
        # Each worker takes the feeds in an order of its own, those that another is about last, so that several share the work.
        waiting, rendered = sorted(stale, key=lambda _: self.chance()), 0
        while waiting:
            name = next((name for name in waiting if not is_being_rendered(self.house, name)), waiting[0])
            waiting.remove(name)
            rendered += self._render_feed(name)
            self._pump(0.0)
        return (self._shown_everywhere(seq) if on_many_machines(self.house) else seq), rendered

    def _render_feed(self, name: str) -> bool:
        try:
            done = render_feeds(self.house, [name])
        except Exception as error:
            if passing(error):
                raise
            if not isinstance(error, NotRendered):  # that has been logged
                log.exception("feed documents not rendered feed=%s", name)
            self.spoilt[name] = self.ticks() + SPOILT_SECONDS
            return False
        if self.pace is not None:
            self.pace.rendered(done)
        return True

    def _shown_everywhere(self, seq: int) -> int:
        """Return the event up to which every web machine shows everything: `seq`, or what it was when all were up to date."""
        with reading(self.house.sessions) as session:
            if shown_everywhere(session, at=self.house.clock()):
                self.shown_seq = seq
        return self.shown_seq

    def _claim(self, up_to_seq: int) -> int:
        if not self.unread:
            self._claim_rows(up_to_seq)
        count = len(self.unread)
        if count:
            self._submit_claimed()
        return count

    def _claim_rows(self, up_to_seq: int) -> None:
        room = min(self.sender.room(), BATCH)
        at = self.house.clock()
        if room <= 0:
            return
        started = self.ticks()
        held = Counter(parcel.subscription_id for parcel in self.under_way.values())
        with self.house.sessions.begin() as session:
            ids = claim_due(session, worker=self.worker, at=at, limit=room, up_to_seq=up_to_seq, lease=LEASE, held=held)
        self.unread = [delivery_id for delivery_id in ids if delivery_id not in self.under_way]
        if not self.under_way:
            self.renewed_at, self.claims_until = started, started + LEASE.total_seconds()

    def _submit_claimed(self) -> None:
        at = self.house.clock()
        load = self._load(self.unread, at)
        if load.refused or load.paused:
            with self.house.sessions.begin() as session:
                cancel(session, load.refused, worker=self.worker, at=at)
                park(session, load.paused, worker=self.worker)
        self.unread = []
        unmade = load.unmade
        for number, parcel in enumerate(load.parcels, 1):
            if number % STRETCH == 0:
                self._pump(0.0)
            try:
                self._hand_out(parcel, at)
            except Exception:  # one story or endpoint that we cannot make a request of must not stop the others
                log.exception("request not made delivery=%s channel=%s", parcel.uid, parcel.channel)
                unmade.append(parcel.delivery_id)
        self._settle([Result(delivery_id, NOT_MADE, Answer(status=0, error=NOT_MADE.reason)) for delivery_id in unmade], at)

    def _load(self, ids: Sequence[int], at: datetime) -> Load:
        """Make parcels of `ids`; where one of them spoils that for all, each alone."""
        try:
            with reading(self.house.sessions) as session:
                return load_parcels(session, self.house, ids, at=at)
        except Exception as error:
            if passing(error):
                raise
            if len(ids) > 1:
                return Load.joined([self._load([delivery_id], at) for delivery_id in ids])
            log.exception("parcel not made delivery=%s", ids[0])
            return Load(unmade=list(ids))

    def _hand_out(self, parcel: Parcel, at: datetime) -> None:
        key = parcel.delivery_id
        channel = self.channels.get(parcel.channel)
        if channel is not None:
            request = channel.request(parcel, at)
            self.under_way[key] = parcel
            self.sender.submit(key, request, urgent=parcel.urgent)
        else:
            conversation = self.conversations[parcel.channel]
            party = conversation.party(parcel)
            self.under_way[key] = parcel
            self.talkers.submit(Talk(key, party, partial(conversation.deliver, parcel, at), parcel.urgent))
        self.judged[key] = self.ticks()

    def _claim_errands(self, kinds: Sequence[Errands]) -> int:
        at, count = self.house.clock(), 0
        for kind in kinds:
            with self.house.sessions.begin() as session:
                errands = kind.claim_due(session, self.house, at=at, limit=BATCH)
            for errand in errands:
                self.last_errand -= 1
                self.carrying[self.last_errand] = kind, errand
                self.sender.submit(self.last_errand, errand.request, urgent=True)  # somebody waits for it, and they are few
                if errand.carries_story:
                    self.judged[self.last_errand] = self.ticks()
            count += len(errands)
        return count

    def _record(self) -> int:
        """Record what came back; returns how many. What could not be recorded is kept for the next time."""
        if not self.unrecorded:
            return 0
        at = self.house.clock()
        answers, talks = list(self.answers), list(self.talks)
        self._record_errands([(key, answer) for key, answer in answers if key in self.carrying], at)
        ours = [(self.under_way[key], answer) for key, answer in answers if key in self.under_way]
        busy = [parcel for parcel, answer in ours if answer.error == "busy"]
        busy += [self.under_way[talk.key] for talk in talks if talk.busy and talk.key in self.under_way]
        self._give_back(busy, at + BUSY_PAUSE)
        held_back = [parcel for parcel, answer in ours if answer.error == "not-started"]
        held_back += [self.under_way[talk.key] for talk in talks if talk.outcome is None and talk.key in self.under_way]
        self._give_back(held_back, None)
        tried = [(parcel, answer) for parcel, answer in ours if answer.tried]
        results = [self._judge(parcel, answer, at) for parcel, answer in tried]
        results += [
            Result(talk.key, talk.outcome, Answer(status=0, duration_ms=talk.duration_ms))
            for talk in talks
            if talk.outcome is not None and talk.key in self.under_way
        ]
        self._settle(results, at)
        del self.answers[: len(answers)], self.talks[: len(talks)]
        return len(answers) + len(talks)

    def _record_errands(self, answers: Sequence[tuple[int, Answer]], at: datetime) -> None:
        for kind in ERRANDS:
            done = [(self.carrying[key][1], answer) for key, answer in answers if self.carrying[key][0] is kind]
            if done:
                self._settle_errands(kind, done, at)
        for key, _ in answers:
            del self.carrying[key]
        if any(answer.tried for _, answer in answers):
            self.judged = dict.fromkeys(self.judged, 0.0)  # a subscription may have ended; nothing more leaves to it

    def _settle_errands(self, kind: Errands, done: Sequence[tuple[Errand, Answer]], at: datetime) -> None:
        """Record what came of errands; one that cannot be recorded for a reason of its own comes back alone."""
        try:
            with self.house.sessions.begin() as session:
                kind.settle(session, self.house, done, at=at)
        except Exception as error:
            if passing(error):
                raise
            if len(done) > 1:
                for errand in done:
                    self._settle_errands(kind, [errand], at)
                return
            log.exception("errand not recorded kind=%s row=%s", type(kind).__name__, done[0][0].row_id)

    def _give_back(self, parcels: Sequence[Parcel], until: datetime | None) -> None:
        """Let go of what was not tried: to be claimed again from `until` on, or at once."""
        ids = [parcel.delivery_id for parcel in parcels]
        if not ids:
            return
        with self.house.sessions.begin() as session:
            if until is None:
                release(session, ids, worker=self.worker)
            else:
                postpone(session, ids, worker=self.worker, until=until)
        for delivery_id in ids:
            self.under_way.pop(delivery_id, None)

    def _judge(self, parcel: Parcel, answer: Answer, at: datetime) -> Result:
        outcome = self.channels[parcel.channel].read(answer, at)
        return Result(parcel.delivery_id, outcome, answer)

    def _settle(self, results: Sequence[Result], at: datetime) -> None:
        """Record the attempts, in one transaction; one that cannot be recorded for a reason of its own is set aside alone."""
        if not results:
            return
        try:
            with self.house.sessions.begin() as session:
                spread = {result.delivery_id: self.chance() for result in results}
                given_up = settle(session, self.house, results, worker=self.worker, at=at, spread=spread)
        except Exception as error:
            if passing(error):
                raise
            if len(results) > 1:
                for result in results:
                    self._settle([result], at)
                return
            log.exception("attempt not recorded delivery=%s", results[0].delivery_id)  # it is tried again when its claim lapses
            given_up = []
        for result in results:
            if (parcel := self.under_way.pop(result.delivery_id, None)) is not None:
                self._log_attempt(parcel, result)
        for delivery in given_up:
            log.warning("delivery given up delivery=%s reason=%s", delivery.id, delivery.last_reason)

    def _log_attempt(self, parcel: Parcel, result: Result) -> None:
        outcome, answer = result.outcome, result.answer
        self.tally.update(attempt_counts(parcel.channel, type(outcome).__name__.lower(), answer.duration_ms / 1000))
        log.info(
            "attempt delivery=%s channel=%s outcome=%s status=%s ms=%s",
            parcel.uid,
            parcel.channel,
            outcome.reason if isinstance(outcome, Deferred) else type(outcome).__name__.lower(),
            answer.status,
            answer.duration_ms,
        )


def _word(error: SQLAlchemyError) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def count_to_do(house: House) -> int:
    """Say how much an engine would find to do now: deliveries due (counted up to some thousands), stale feeds, errands."""
    at = house.clock()
    with reading(house.sessions) as session:
        return count_due(session, at=at) + len(stale_feeds(session)) + len(Sight.of(session, at).errands)
