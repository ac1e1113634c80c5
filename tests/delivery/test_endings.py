"""Retries and endings: owners are told once, what was missed is caught up, the dead come back with the same ids."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from syndicator.border import open_border
from syndicator.delivery.engine import Engine
from syndicator.domain.deliveries import DeliveryState
from syndicator.domain.letters import Letter
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.backfill import backfill
from syndicator.operations.deliveries import replay_many
from syndicator.operations.subscriptions import pause, resume, revise, sign_with_key
from syndicator.operations.try_out import ask_for_trial, trials_of
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk, later
from tests.receiver import Received, Receiver, Reply


@pytest.fixture
def engine(house: House) -> Iterator[Engine]:
    made = create_engine(house)
    made.chance = lambda: 0.0
    yield made
    made.close()


def letters(desk: Desk) -> list[str]:
    with desk.house.sessions() as session:
        return list(session.scalars(select(Letter.kind).order_by(Letter.id)))


def heads(received: list[Received]) -> list[str]:
    return [json.loads(request.body)["data"]["story"]["headlines"][0]["value"] for request in received]


def pass_time(engine: Engine, clock: HandClock, hours: float, step_minutes: float = 30) -> None:
    """Let the engine run through simulated hours."""
    for _ in range(int(hours * 60 / step_minutes)):
        clock.advance(timedelta(minutes=step_minutes))
        engine.drain_due()


def test_a_receiver_that_is_down_for_three_days_gets_everything_when_it_is_back(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 503)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        for number in range(6):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
        pass_time(engine, clock, hours=36, step_minutes=60)
        for number in range(6, 9):
            desk.publish(external_id=f"story-{number}")
        pass_time(engine, clock, hours=36, step_minutes=60)
        down = len(receiver.received)
        working.append(True)
        pass_time(engine, clock, hours=48, step_minutes=60)
        good = receiver.received[down:]
    assert {delivery.state for delivery in desk.owed(subscription)} == {DeliveryState.DELIVERED}
    assert len({request.headers["webhook-id"] for request in good}) == len(good) == 9
    assert letters(desk) == ["endpoint-failing", "endpoint-works"]


def test_an_owner_is_told_of_failing_of_giving_up_and_of_the_end_once_each(desk: Desk, engine: Engine, clock: HandClock) -> None:
    with Receiver(lambda request: Reply(status=500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        for number in range(3):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
        pass_time(engine, clock, hours=96, step_minutes=60)
        desk.publish(external_id="one-more")
        pass_time(engine, clock, hours=40, step_minutes=60)
    assert letters(desk) == ["endpoint-failing", "delivery-given-up", "subscription-paused"]
    with desk.house.sessions() as session:
        assert session.get_one(Subscription, subscription.id).state is SubscriptionState.PAUSED


def test_resuming_owes_the_newest_state_of_each_story_that_was_missed(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    before = desk.publish(headline="Before").story
    engine.drain_due()
    change(desk, subscription, "pause")
    desk.publish(external_id="a", headline="First wording")
    desk.publish(external_id="a", headline="Last wording")
    desk.publish(headline="Before, corrected", correction_note="It was wrong.")
    gone = desk.publish(external_id="b", headline="Killed meanwhile").story
    desk.kill(gone)
    engine.drain_due()
    assert heads(receiver.received) == ["Before"]
    change(desk, subscription, "resume")
    engine.drain_due()
    assert sorted(heads(receiver.received)[1:]) == ["Before, corrected", "Last wording"]
    assert before.uri in receiver.received[-1].body.decode() + receiver.received[-2].body.decode()


def test_pausing_what_is_paused_forgets_nothing_that_was_missed(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    change(desk, subscription, "pause")
    desk.publish(headline="Missed")
    change(desk, subscription, "pause")
    change(desk, subscription, "resume")
    engine.drain_due()
    assert heads(receiver.received) == ["Missed"]


def test_another_endpoint_does_not_wait_for_what_the_former_one_asked_for(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    with Receiver(lambda request: Reply(status=429, headers=(("Retry-After", "86400"),))) as full:
        subscription = desk.subscription(desk.publisher(), endpoint=full.url)
        desk.publish(headline="First")
        engine.drain_due()
        desk.publish(external_id="second", headline="Second")
        engine.drain_due()
        assert len(full.received) == 1
    with desk.house.sessions.begin() as session:
        found, border = session.get_one(Subscription, subscription.id), open_border(desk.house.config)
        revise(session, desk.house, border, found, endpoint=receiver.url, options=None, actor="test", at=desk.house.clock())
    engine.drain_due()
    assert sorted(heads(receiver.received)) == ["First", "Second"]


def test_a_correction_missed_in_a_pause_comes_although_its_story_has_left_the_feed(
    desk: Desk, engine: Engine, receiver: Receiver
) -> None:
    subscription = desk.subscription(desk.publisher(), feed="military-and-defense", endpoint=receiver.url)
    desk.publish(headline="Wrong")
    engine.drain_due()
    change(desk, subscription, "pause")
    desk.publish(headline="Right", section="Education", correction_note="It was wrong.")
    desk.publish(external_id="other", section="Education", headline="Never theirs")
    change(desk, subscription, "resume")
    engine.drain_due()
    assert heads(receiver.received) == ["Wrong", "Right"]


def test_what_was_given_up_while_an_endpoint_was_dead_is_caught_up_when_it_is_resumed(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish(external_id="a")
        engine.drain_due()
        pass_time(engine, clock, hours=100, step_minutes=60)
        desk.publish(external_id="b")
        pass_time(engine, clock, hours=36, step_minutes=60)
        assert [delivery.state for delivery in desk.owed(subscription)] == [DeliveryState.GIVEN_UP, DeliveryState.OWED]
        desk.publish(external_id="c")  # while it is paused
        working.append(True)
        ids = {request.headers["webhook-id"] for request in receiver.received}
        change(desk, subscription, "resume")
        engine.drain_due()
        assert {request.headers["webhook-id"] for request in receiver.received[-3:]} >= ids
    assert {delivery.state for delivery in desk.owed(subscription)} == {DeliveryState.DELIVERED}


def test_a_kill_that_reaches_a_paused_endpoint_neither_tells_its_owner_that_all_is_well_nor_loses_what_was_given_up(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        wrong = desk.publish(external_id="wrong").story
        desk.publish(external_id="a", headline="Given up")
        engine.drain_due()
        pass_time(engine, clock, hours=100, step_minutes=60)
        desk.publish(external_id="b", headline="Kept")
        pass_time(engine, clock, hours=36, step_minutes=60)
        working.append(True)
        desk.kill(wrong)
        engine.drain_due()
        assert json.loads(receiver.received[-1].body)["type"] == "story.killed"
        assert letters(desk)[-1] == "subscription-paused"
        came = len(receiver.received)
        change(desk, subscription, "resume")
        engine.drain_due()
        assert sorted(heads(receiver.received[came:])) == ["Given up", "Kept"]


def test_the_given_up_are_replayed_in_bulk_with_their_ids_and_newest_versions_only(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        publisher = desk.publisher()
        subscription = desk.subscription(publisher, endpoint=receiver.url)
        for number in range(5):
            desk.publish(external_id=f"story-{number}")
        engine.drain_due()
        pass_time(engine, clock, hours=100, step_minutes=60)
        assert {delivery.state for delivery in desk.owed(subscription)} == {DeliveryState.GIVEN_UP}
        desk.publish(external_id="story-0", headline="Newer")
        ids = {request.headers["webhook-id"] for request in receiver.received}
        working.append(True)
        with desk.house.sessions.begin() as session:
            assert replay_many(session, publisher.id + 1, actor="test", at=clock()) == 0
            assert replay_many(session, publisher.id, actor="test", at=clock()) == 4
        came = len(receiver.received)
        pass_time(engine, clock, hours=1)
        again = {request.headers["webhook-id"] for request in receiver.received[came:]}
    assert len(again) == 5
    assert len(again & ids) == 4


def test_a_backfill_owes_the_newest_version_once_and_behind_the_rest(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    old = desk.publish(external_id="old", published_at=later(desk.house, days=-30)).story
    for number in range(3):
        desk.publish(external_id=f"story-{number}")
    desk.publish(external_id="story-0", headline="Corrected since", correction_note="A name.")
    secret = desk.publish(external_id="later", embargoed_until=later(desk.house, days=1)).story
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    with desk.house.sessions.begin() as session:
        found = session.get_one(Subscription, subscription.id)
        week = later(desk.house, days=-7)
        assert backfill(session, found, actor="test", at=desk.house.clock(), since=week) == 3
        assert backfill(session, found, actor="test", at=desk.house.clock(), since=week) == 0
        assert backfill(session, found, actor="test", at=desk.house.clock(), after_seq=0) == 1
    desk.publish(external_id="news", headline="News")
    engine.drain_due()
    assert heads(receiver.received)[0] == "News"
    assert heads(receiver.received).count("Corrected since") == 1
    assert len(receiver.received) == 5
    assert secret.uri not in "".join(request.body.decode() for request in receiver.received)
    assert {old.id} < {delivery.story_id for delivery in desk.owed(subscription)}


def test_a_test_send_is_signed_like_a_delivery_and_its_answer_kept(desk: Desk, engine: Engine) -> None:
    with Receiver(lambda request: Reply(status=418, body=b"short and stout")) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        with desk.house.sessions.begin() as session:
            ask_for_trial(session, session.get_one(Subscription, subscription.id), actor="test", at=desk.house.clock())
        engine.drain_due()
        [request] = receiver.received
    assert json.loads(request.body)["type"] == "test"
    assert request.headers["webhook-signature"].startswith("v1,")
    with desk.house.sessions() as session:
        [trial] = trials_of(session, session.get_one(Subscription, subscription.id))
        assert (trial.outcome, trial.reason, trial.status, trial.answer) == ("deferred", "http-418", 418, "short and stout")
    assert desk.owed(subscription) == []


def test_who_wants_it_verifies_with_a_public_key(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    with desk.house.sessions.begin() as session:
        found = session.get_one(Subscription, subscription.id)
        key = sign_with_key(session, desk.house, found, actor="test", at=desk.house.clock())
    desk.publish()
    engine.drain_due()
    [request] = receiver.received
    first, second = request.headers["webhook-signature"].split()
    assert (first[:3], second[:4]) == ("v1,", "v1a,")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    public.verify(base64.b64decode(second[4:]), signed)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def change(desk: Desk, subscription: Subscription, verb: str) -> None:
    with desk.house.sessions.begin() as session:
        found = session.get_one(Subscription, subscription.id)
        if verb == "pause":
            pause(session, found, reason="holiday", actor="test", at=desk.house.clock())
        else:
            resume(session, found, actor="test", at=desk.house.clock())
