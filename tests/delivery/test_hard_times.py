"""The engine in hard times: the database goes away, the process sleeps, one subscriber is owed everything, clocks jump."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from syndicator.delivery.engine import LEASE, Engine
from syndicator.delivery.ledger import PER_SUBSCRIPTION, claim_due
from syndicator.delivery.settling import RESTS_AFTER
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver, Reply


class Ticks:
    """The machine's uptime, set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Outage:
    """Makes the next `refusals` statements of `kind` on the house's database fail as a lost connection does."""

    def __init__(self, house: House, kind: str, refusals: int) -> None:
        self.kind, self.left = kind, refusals
        event.listen(house.engine, "before_cursor_execute", self._refuse)

    def _refuse(self, connection: object, cursor: object, statement: str, *_: object) -> None:
        if self.left and statement.startswith(self.kind):
            self.left -= 1
            raise OperationalError(statement, None, ConnectionError("the server closed the connection"))


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def engine(house: House, ticks: Ticks) -> Iterator[Engine]:
    made = create_engine(house)
    made.chance, made.ticks = (lambda: 0.0), ticks
    yield made
    made.close()


def settled(desk: Desk, engine: Engine, turns: int = 60) -> None:
    """Take turns through whatever the database refuses."""
    for _ in range(turns):
        try:
            if engine.turn(0.1).idle and not engine.in_flight:
                return
        except OperationalError:
            pass


def sent_to(receiver: Receiver, engine: Engine, count: int) -> int:
    """Take turns until `count` requests have come."""
    while len(receiver.received) < count:
        engine.turn(0.05)
    return count


@pytest.mark.parametrize(
    "kind", ["UPDATE deliveries SET claimed_by", "SELECT deliveries.id", "INSERT INTO attempts", "UPDATE deliveries"]
)
def test_a_database_that_goes_away_delays_and_neither_loses_nor_repeats(desk: Desk, engine: Engine, kind: str) -> None:
    with Receiver(hosts=8) as receiver:
        owed = [desk.subscription(desk.publisher(), endpoint=url) for url in receiver.urls]
        desk.publish()
        Outage(desk.house, kind, 3)
        settled(desk, engine)
        assert len(receiver.received) == 8
    assert {delivery.state for subscription in owed for delivery in desk.owed(subscription)} == {DeliveryState.DELIVERED}
    with desk.house.sessions() as session:
        assert len(session.scalars(select(Attempt)).all()) == 8


def test_a_worker_outlives_an_outage_of_the_database(desk: Desk, engine: Engine) -> None:
    with Receiver() as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.ticks = create_engine(desk.house).ticks
        Outage(desk.house, "SELECT", 4)
        engine.run(lambda: desk_done(receiver), idle_seconds=0.01)
    assert [delivery.state for delivery in desk.owed(subscription)] == [DeliveryState.DELIVERED]


def desk_done(receiver: Receiver) -> bool:
    return bool(receiver.received)


def test_what_cannot_be_made_into_a_request_is_retried_and_holds_nobody_up(desk: Desk, engine: Engine) -> None:
    with Receiver() as receiver:
        broken = desk.subscription(desk.publisher(), endpoint=receiver.url)
        good = desk.subscription(desk.publisher(), endpoint=receiver.url)
        with desk.house.sessions.begin() as session:
            session.execute(update(Subscription).where(Subscription.id == broken.id).values(secret="not one of our locks"))
        desk.publish()
        engine.drain_due()
    [delivery] = desk.owed(broken)
    assert (delivery.state, delivery.last_reason, delivery.attempt_count) == (DeliveryState.OWED, "not-made", 1)
    assert desk.owed(good)[0].state is DeliveryState.DELIVERED


def test_a_process_that_slept_past_its_claims_sends_nothing_that_others_took(
    desk: Desk, engine: Engine, ticks: Ticks, clock: HandClock
) -> None:
    with Receiver(lambda request: Reply(hang=True)) as hanging:
        busy = desk.subscription(desk.publisher(), endpoint=hanging.url)
        desk.publish()
        for number in range(PER_SUBSCRIPTION - 1):
            desk.publish(external_id=f"more-{number}")
        sent = sent_to(hanging, engine, 4)  # the rest waits for a connection to this host
        ticks.now += LEASE.total_seconds() + 60
        clock.advance(LEASE + timedelta(seconds=60))
        with desk.house.sessions.begin() as session:
            taken = claim_due(session, worker="other", at=clock(), limit=10, up_to_seq=100, lease=LEASE)
        assert len(taken) == PER_SUBSCRIPTION
        hanging.release()
        for _ in range(10):
            engine.turn(0.1)
        assert len(hanging.received) == sent
    assert {delivery.claimed_by for delivery in desk.owed(busy)} == {"other"}


def test_a_process_that_slept_keeps_what_nobody_took(desk: Desk, engine: Engine, ticks: Ticks, clock: HandClock) -> None:
    with Receiver(lambda request: Reply(hang=True)) as hanging:
        owed = desk.subscription(desk.publisher(), endpoint=hanging.url)
        for number in range(6):
            desk.publish(external_id=f"story-{number}")
        sent_to(hanging, engine, 4)
        ticks.now += LEASE.total_seconds() + 60
        clock.advance(LEASE + timedelta(seconds=60))
        hanging.release()
        settled(desk, engine)
        assert len(hanging.received) == 6
    assert {delivery.state for delivery in desk.owed(owed)} == {DeliveryState.DELIVERED}


def test_one_subscription_that_is_owed_very_much_does_not_fill_the_claim(desk: Desk, clock: HandClock) -> None:
    greedy = desk.subscription(desk.publisher())
    for number in range(30):
        desk.publish(external_id=f"old-{number}")
    others = [desk.subscription(desk.publisher()) for _ in range(5)]
    clock.advance(timedelta(seconds=1))
    desk.publish(external_id="new")
    with desk.house.sessions.begin() as session:
        ids = claim_due(session, worker="a", at=clock(), limit=20, up_to_seq=100, lease=LEASE)
    with desk.house.sessions() as session:
        whose = list(session.scalars(select(Delivery.subscription_id).where(Delivery.id.in_(ids))))
    assert whose.count(greedy.id) == PER_SUBSCRIPTION
    assert {other.id for other in others} < set(whose)
    with desk.house.sessions.begin() as session:
        more = claim_due(
            session, worker="a", at=clock(), limit=20, up_to_seq=100, lease=LEASE, held={greedy.id: PER_SUBSCRIPTION}
        )
    assert more == []


def test_an_endpoint_that_fails_often_rests_and_is_tried_with_one_delivery(desk: Desk, engine: Engine, clock: HandClock) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        for number in range(2 * RESTS_AFTER + 6):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
        tried = len(receiver.received)
        assert RESTS_AFTER <= tried < 2 * RESTS_AFTER
        clock.advance(timedelta(seconds=29))
        engine.drain_due()
        assert len(receiver.received) == tried  # it rests
        clock.advance(timedelta(minutes=15))
        engine.drain_due()
        assert len(receiver.received) == tried + 1  # half open
        story = desk.publish(external_id="urgent").story
        desk.kill(story)
        engine.drain_due()
        assert json.loads(receiver.received[-1].body)["type"] == "story.killed"  # what is urgent goes at once
        working.append(True)
        clock.advance(timedelta(hours=1))
        engine.drain_due()
    assert {delivery.state for delivery in desk.owed(subscription)} == {DeliveryState.DELIVERED, DeliveryState.SUPERSEDED}
    with desk.house.sessions() as session:
        healed = session.get_one(Subscription, subscription.id)
        assert (healed.failures_in_row, healed.resting_until, healed.failing_since) == (0, None, None)


def test_an_endpoint_that_asks_to_wait_is_sent_nothing_else_meanwhile(desk: Desk, engine: Engine, clock: HandClock) -> None:
    full = [True]
    with Receiver(lambda request: Reply(status=429, headers=(("Retry-After", "120"),)) if full else Reply()) as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
        desk.publish(external_id="next")
        engine.drain_due()
        assert len(receiver.received) == 1
        full.clear()
        clock.advance(timedelta(seconds=121))
        engine.drain_due()
        assert len(receiver.received) == 3


def test_each_subscription_counts_its_deliveries_without_a_gap(desk: Desk, engine: Engine) -> None:
    with Receiver(hosts=2) as receiver:
        first = desk.subscription(desk.publisher(), endpoint=receiver.urls[0])
        for number in range(12):
            desk.publish(external_id=f"story-{number}")
        second = desk.subscription(desk.publisher(), endpoint=receiver.urls[1])
        desk.publish(external_id="for-both")
        engine.drain_due()
        bodies = [json.loads(request.body)["data"] for request in receiver.received if request.host_number == 0]
    assert sorted(body["sequence"] for body in bodies) == list(range(1, 14))
    assert [delivery.sequence for delivery in desk.owed(first)] == list(range(1, 14))
    assert [delivery.sequence for delivery in desk.owed(second)] == [1]


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400), timedelta(hours=-1)])
def test_a_clock_that_jumps_sends_everything_once(desk: Desk, engine: Engine, clock: HandClock, jump: timedelta) -> None:
    with Receiver() as receiver:
        subscription = desk.subscription(None, endpoint=receiver.url)
        desk.publish()
        engine.turn(0.0)  # under way when the clock jumps
        clock.advance(jump)
        desk.publish(external_id="after")
        settled(desk, engine)
        assert len(receiver.received) == 2
    assert {delivery.state for delivery in desk.owed(subscription)} == {DeliveryState.DELIVERED}
