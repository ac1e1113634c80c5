"""The engine in hard times: the database goes away, the process sleeps, one subscriber is owed everything, clocks jump."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import DataError, OperationalError

from syndicator.config import Config, Database, Push
from syndicator.delivery.engine import LEASE, SPOILT_SECONDS, Engine
from syndicator.delivery.ledger import PER_SUBSCRIPTION, claim_due
from syndicator.delivery.settling import RESTS_AFTER, rest_after
from syndicator.documents import public_folder, read_document
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, next_attempt_at, spread_out
from syndicator.domain.feeds import FeedState
from syndicator.domain.subscriptions import HubRequest, Subscription, Trial
from syndicator.house import House, open_house
from syndicator.jobs import JOBS
from syndicator.operations.archives import lock_places
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.tidy import mend_schedule
from syndicator.operations.try_out import ask_for_trial
from syndicator.outbound import open_outbound
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.databases import wait_for_a_lock
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


def test_a_test_send_and_a_hub_request_that_cannot_be_made_hold_nobody_up(desk: Desk, engine: Engine) -> None:
    with Receiver() as receiver:
        broken = desk.subscription(desk.publisher(), endpoint=receiver.url)
        good = desk.subscription(desk.publisher(), endpoint=receiver.url)
        with desk.house.sessions.begin() as session:
            session.execute(update(Subscription).where(Subscription.id == broken.id).values(secret="not one of our locks"))
            for subscription in (broken, good):
                ask_for_trial(session, session.get_one(Subscription, subscription.id), actor="test", at=desk.house.clock())
            at, unreadable = desk.house.clock(), "not one of our locks"
            session.add(
                HubRequest(
                    mode="subscribe", websub_key="x", topic=unreadable, callback=receiver.url, host="127.0.0.1",
                    lease_seconds=9, created_at=at, next_attempt_at=at,
                )
            )  # fmt: skip
        engine.drain_due()
        assert len(receiver.received) == 1
    with desk.house.sessions() as session:
        trials = {trial.subscription_id: trial.reason for trial in session.scalars(select(Trial))}
        assert trials == {broken.id: "not-made", good.id: ""}
        assert session.scalars(select(HubRequest)).all() == []


def test_an_answer_that_cannot_be_recorded_holds_no_other_up(desk: Desk, engine: Engine) -> None:
    with Receiver() as receiver:
        for _ in range(2):
            subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
            with desk.house.sessions.begin() as session:
                ask_for_trial(session, session.get_one(Subscription, subscription.id), actor="test", at=desk.house.clock())
        event.listen(desk.house.engine, "before_cursor_execute", refuse_first_trial)
        engine.drain_due()
    with desk.house.sessions() as session:
        assert [trial.outcome for trial in session.scalars(select(Trial).order_by(Trial.id))] == ["", "accepted"]


def refuse_first_trial(connection: object, cursor: object, statement: str, values: Any, *_: object) -> None:
    """What a value does that the database takes for none."""
    told = [*values.values()] if isinstance(values, dict) else [*values]
    if statement.startswith("UPDATE trials") and "accepted" in told and told[-1] == 1:
        raise DataError(statement, None, ValueError("this is no value"))


def test_a_feed_that_cannot_be_written_holds_up_neither_other_feeds_nor_pushes(desk: Desk, engine: Engine, ticks: Ticks) -> None:
    folder = public_folder(desk.house.config.data_dir)
    for form in ("rss", "atom", "json"):
        (folder / f"headlines.{form}").mkdir(parents=True)
    with Receiver() as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        story = desk.publish().story
        engine.drain_due()
        assert len(receiver.received) == 1
    assert story.uri.encode() in read_document(folder / "latest.json").body
    for form in ("rss", "atom", "json"):
        (folder / f"headlines.{form}").rmdir()
    ticks.now += SPOILT_SECONDS
    engine.drain_due()
    assert story.uri.encode() in read_document(folder / "headlines.json").body


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


def test_what_waits_for_a_resting_endpoint_lies_in_nobodys_way_and_goes_when_a_kill_gets_through(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        story = desk.publish(external_id="first").story
        for number in range(2 * RESTS_AFTER + 6):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
        rows = desk.owed(subscription)
        with desk.house.sessions() as session:
            until = session.get_one(Subscription, subscription.id).resting_until
        assert until is not None
        assert all(row.next_attempt_at is not None and row.next_attempt_at >= until > clock() for row in rows)
        working.append(True)
        desk.kill(story)
        engine.drain_due()
    assert {row.state for row in desk.owed(subscription)} == {DeliveryState.DELIVERED, DeliveryState.SUPERSEDED}


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


def test_what_was_put_off_under_a_clock_that_was_set_back_is_due_again(desk: Desk, clock: HandClock) -> None:
    subscription = desk.subscription(desk.publisher())
    for number, days in enumerate((1, 3)):
        desk.publish(external_id=f"story-{number}")
        with desk.house.sessions.begin() as session:
            waits = update(Delivery).where(Delivery.event_seq == number + 1)
            session.execute(waits.values(next_attempt_at=clock() + timedelta(days=days)))
    [job] = [job for job in JOBS if job.name == "mend-schedule"]
    assert job.run(desk.house, open_outbound(desk.house.config)).startswith("1 ")
    assert [row.next_attempt_at for row in desk.owed(subscription)] == [clock() + timedelta(days=1), clock()]


def test_nothing_rests_for_a_year_because_the_clock_was_set_back(desk: Desk, engine: Engine, clock: HandClock) -> None:
    with Receiver() as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        with desk.house.sessions.begin() as session:
            rests = update(Subscription).where(Subscription.id == subscription.id)
            session.execute(rests.values(resting_until=clock() + timedelta(minutes=15)))
            ask_for_trial(session, session.get_one(Subscription, subscription.id), actor="test", at=clock())
        desk.publish()
        clock.advance(timedelta(hours=-1))
        desk.publish(external_id="after")
        engine.drain_due()
        assert receiver.received == []
        clock.advance(timedelta(days=-400))
        with desk.house.sessions.begin() as session:
            assert mend_schedule(session, at=clock()) == 2
        engine.drain_due()
        kinds = sorted(json.loads(request.body)["type"] for request in receiver.received)
    assert kinds == ["story.published", "story.published", "test"]


def test_no_second_sees_more_than_a_tenth_of_a_crowd_that_failed_together(clock: HandClock) -> None:
    """Each wait of the schedule, each rest of an endpoint, and what a Retry-After asks for."""
    chances = [number / 1000 for number in range(1000)]
    schedule = Push().retry_schedule_seconds
    crowds = [
        [next_attempt_at(schedule, failures, clock(), chance) for chance in chances] for failures in range(1, len(schedule))
    ]
    crowds += [[clock() + (rest_after(failures, chance) or timedelta()) for chance in chances] for failures in range(8, 14)]
    crowds += [[clock() + spread_out(60, chance) for chance in chances]]
    for crowd in crowds:
        seconds = Counter(int((at - clock()).total_seconds()) for at in crowd if at is not None)
        assert seconds.total() == 1000
        assert max(seconds.values()) <= 100


def test_who_starts_up_and_who_renders_do_not_lock_each_other_out(config: Config, clock: HandClock, postgresql_url: str) -> None:
    house = open_house(config.model_copy(update={"database": Database(url=postgresql_url)}), clock)
    Desk(house).publish()
    render_stale(house, everything=True)
    with house.sessions.begin() as session:
        session.execute(update(FeedState).values(frame_hash="of another release"))
    with ThreadPoolExecutor(1) as thread, house.sessions.begin() as starting:
        lock_places(starting)
        work = thread.submit(render_stale, house, everything=True)
        wait_for_a_lock(house, work)
        starting.execute(select(FeedState).with_for_update())
        starting.commit()
        assert work.result(30)


def test_a_deadlock_with_somebody_else_is_tried_again_and_sends_nothing_twice(
    config: Config, clock: HandClock, postgresql_url: str
) -> None:
    """Settling locks deliveries, then subscriptions; somebody who takes them the other way round makes a real deadlock."""
    house = open_house(config.model_copy(update={"database": Database(url=postgresql_url)}), clock)
    desk, engine = Desk(house), create_engine(house)
    with Receiver() as receiver, house.sessions.begin() as other, ThreadPoolExecutor(1) as thread:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        other.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # so that the engine is the one that is broken off
        other.execute(select(Subscription.id).where(Subscription.id == subscription.id).with_for_update())
        work = thread.submit(settled, desk, engine)
        wait_for_a_lock(house, work)
        other.execute(select(Delivery.id).where(Delivery.subscription_id == subscription.id).with_for_update())
        other.commit()
        work.result(30)
        assert len(receiver.received) == 1
    with house.sessions() as session:
        assert session.scalars(select(Delivery.state)).all() == [DeliveryState.DELIVERED]
        assert len(session.scalars(select(Attempt)).all()) == 1
        broken = session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
    engine.close()
    assert broken == 1
