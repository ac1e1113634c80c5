"""The engine against a real receiver: order, retries, endings, gates and crashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from syndicator.delivery.engine import Engine
from syndicator.delivery.ledger import claim_due
from syndicator.documents import public_folder, read_document
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, delivery_uid
from syndicator.domain.publishers import PublisherState
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations import keep_time
from syndicator.operations.deliveries import get_delivery, replay
from syndicator.operations.subscriptions import pause, resume, rotate_secret
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def types(received: list[Received]) -> list[str]:
    return [json.loads(request.body)["type"] for request in received]


def states(desk: Desk, subscription: Subscription) -> list[DeliveryState]:
    return [delivery.state for delivery in desk.owed(subscription)]


def test_a_subscriber_is_pushed_each_new_story_correction_and_kill(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    story = desk.publish().story
    engine.drain_due()
    desk.publish(correction_note="It was 220.", headline="220 river gauges go live")
    engine.drain_due()
    desk.kill(story)
    engine.drain_due()
    assert types(receiver.received) == ["story.published", "story.corrected", "story.killed"]
    assert states(desk, subscription) == [DeliveryState.DELIVERED] * 3
    assert json.loads(receiver.received[-1].body)["data"]["story"].get("bodies", []) == []


def test_the_feed_document_shows_the_story_before_the_push_leaves(desk: Desk, engine: Engine) -> None:
    shown: list[bool] = []

    def look(request: Received) -> Reply:
        stored = read_document(public_folder(desk.house.config.data_dir) / "latest.atom")
        shown.append(json.loads(request.body)["data"]["story"]["uri"].encode() in stored.body)
        return Reply()

    with Receiver(look) as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
    assert shown == [True]


def test_a_newer_version_supersedes_one_that_is_still_owed(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    desk.publish()
    desk.publish(headline="Newer")
    engine.drain_due()
    assert types(receiver.received) == ["story.updated"]
    assert states(desk, subscription) == [DeliveryState.SUPERSEDED, DeliveryState.DELIVERED]


def test_a_kill_goes_first(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    desk.subscription(desk.publisher(), endpoint=receiver.url)
    story = desk.publish().story
    engine.drain_due()
    for number in range(20):
        desk.publish(external_id=f"ordinary-{number}", headline=f"Ordinary {number}")
    desk.kill(story)
    with desk.house.sessions.begin() as session:
        first = claim_due(session, worker="looker", at=desk.house.clock(), limit=1, up_to_seq=10**6, lease=timedelta(seconds=1))
    assert [delivery.event_seq for delivery in _rows(desk, first)] == [22]


def test_a_failure_is_retried_on_the_schedule_with_the_same_id(desk: Desk, engine: Engine, clock: HandClock) -> None:
    answers = iter([Reply(status=500), Reply(status=503, headers=(("Retry-After", "120"),)), Reply(status=200)])
    with Receiver(lambda request: next(answers)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
        assert desk.owed(subscription)[0].next_attempt_at == later(desk.house, seconds=5)
        clock.advance(timedelta(seconds=5))
        engine.drain_due()
        assert desk.owed(subscription)[0].next_attempt_at == later(desk.house, seconds=300)
        clock.advance(timedelta(seconds=300))
        engine.drain_due()
    assert states(desk, subscription) == [DeliveryState.DELIVERED]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    with desk.house.sessions() as session:
        assert [attempt.reason for attempt in session.scalars(select(Attempt).order_by(Attempt.id))] == [
            "http-500",
            "http-503",
            "",
        ]


def test_retry_after_is_heeded_beyond_the_schedule(desk: Desk, engine: Engine) -> None:
    with Receiver(lambda request: Reply(status=429, headers=(("Retry-After", "7200"),))) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
    assert desk.owed(subscription)[0].next_attempt_at == later(desk.house, seconds=7200)


def test_a_delivery_is_given_up_when_the_schedule_is_spent(desk: Desk, engine: Engine, clock: HandClock) -> None:
    with Receiver(lambda request: Reply(status=500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        for _ in desk.house.config.push.retry_schedule_seconds:
            clock.now = desk.owed(subscription)[0].next_attempt_at or clock.now
            engine.drain_due()
    [delivery] = desk.owed(subscription)
    assert (delivery.state, delivery.last_reason, len(receiver.received)) == (DeliveryState.GIVEN_UP, "http-500", 10)


def test_gone_ends_the_subscription_and_cancels_what_it_is_owed(desk: Desk, engine: Engine) -> None:
    with Receiver(lambda request: Reply(status=410)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        engine.drain_due()
        desk.publish(external_id="next")
        engine.drain_due()
        assert len(receiver.received) == 1
    with desk.house.sessions() as session:
        assert session.get_one(Subscription, subscription.id).state is SubscriptionState.ENDED


def test_days_of_nothing_but_failure_pause_the_subscription_and_resuming_catches_up(
    desk: Desk, engine: Engine, clock: HandClock
) -> None:
    working: list[bool] = []
    with Receiver(lambda request: Reply(status=200 if working else 500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        for hours in (0, 60, 61):
            clock.advance(timedelta(hours=hours))
            engine.drain_due()
        with desk.house.sessions.begin() as session:
            paused = session.get_one(Subscription, subscription.id)
            assert paused.state is SubscriptionState.PAUSED
            working.append(True)
            resume(session, paused, actor="test", at=clock())
        engine.drain_due()
    assert states(desk, subscription) == [DeliveryState.DELIVERED]


def test_a_paused_subscription_is_sent_nothing_but_kills(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    story = desk.publish().story
    engine.drain_due()
    with desk.house.sessions.begin() as session:
        pause(session, session.get_one(Subscription, subscription.id), reason="holiday", actor="test", at=desk.house.clock())
    desk.publish(external_id="meanwhile")
    desk.kill(story)
    engine.drain_due()
    assert types(receiver.received) == ["story.published", "story.killed"]


def test_a_suspended_publisher_is_sent_nothing_but_the_kill_of_what_it_had(
    desk: Desk, engine: Engine, receiver: Receiver
) -> None:
    publisher = desk.publisher()
    subscription = desk.subscription(publisher, endpoint=receiver.url)
    story = desk.publish().story
    engine.drain_due()
    desk.publish(external_id="owed-before-the-suspension")
    desk.move(publisher, PublisherState.SUSPENDED)
    desk.publish(external_id="after-it")
    engine.drain_due()
    assert types(receiver.received) == ["story.published"]
    assert desk.owed(subscription)[-1].last_reason == "suspended"
    desk.kill(story)
    engine.drain_due()
    assert types(receiver.received) == ["story.published", "story.killed"]


def test_what_was_killed_meanwhile_is_not_sent(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    story = desk.publish().story
    desk.kill(story)
    engine.drain_due()
    assert types(receiver.received) == ["story.killed"]
    assert states(desk, subscription) == [DeliveryState.SUPERSEDED, DeliveryState.DELIVERED]


def test_an_embargoed_story_goes_early_only_to_those_trusted(
    desk: Desk, engine: Engine, receiver: Receiver, clock: HandClock
) -> None:
    with Receiver() as early:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.subscription(desk.publisher(embargo_trusted=True), endpoint=early.url)
        desk.publish(embargoed_until=later(desk.house, hours=1))
        engine.drain_due()
        assert (types(receiver.received), types(early.received)) == ([], ["story.published"])
        assert json.loads(early.received[0].body)["data"]["story"]["embargoedUntil"] == "2026-07-01T13:00:00Z"
        clock.advance(timedelta(hours=1))
        with desk.house.sessions.begin() as session:
            keep_time.lift_embargoes(session, desk.house, at=clock())
        engine.drain_due()
        assert types(receiver.received) == ["story.embargo_lifted"]


def test_a_dead_workers_claims_come_back_by_themselves(desk: Desk, engine: Engine, receiver: Receiver, clock: HandClock) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    desk.publish()
    with desk.house.sessions.begin() as session:
        claimed = claim_due(session, worker="dead", at=clock(), limit=10, up_to_seq=10, lease=timedelta(seconds=90))
    assert len(claimed) == 1
    engine.drain_due()
    assert receiver.received == []
    clock.advance(timedelta(seconds=90))
    engine.drain_due()
    assert states(desk, subscription) == [DeliveryState.DELIVERED]


def test_two_claimers_never_take_the_same_delivery_nor_two_of_one_story(desk: Desk, clock: HandClock) -> None:
    subscription = desk.subscription(desk.publisher())
    desk.publish()
    claim: Callable[[str], int] = lambda worker: _claim(desk, worker)  # noqa: E731
    assert (claim("a"), claim("b")) == (1, 0)
    desk.publish(headline="Newer")  # the older one is in flight, so this one waits for it
    assert claim("b") == 0
    clock.advance(timedelta(seconds=90))
    assert claim("b") == 1
    assert [delivery.claimed_by for delivery in desk.owed(subscription)] == ["a", "b"]


def test_a_replay_has_the_same_id_and_never_brings_back_an_older_version(desk: Desk, engine: Engine, receiver: Receiver) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    desk.publish()
    engine.drain_due()
    uid = delivery_uid(subscription.public_id, 1)
    with desk.house.sessions.begin() as session:
        replay(session, get_delivery(session, uid), actor="test", at=desk.house.clock())
    engine.drain_due()
    assert [request.headers["webhook-id"] for request in receiver.received] == [uid, uid]


def test_both_secrets_sign_while_one_is_rotated(desk: Desk, engine: Engine, receiver: Receiver, clock: HandClock) -> None:
    subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
    with desk.house.sessions.begin() as session:
        rotate_secret(session, desk.house, session.get_one(Subscription, subscription.id), actor="test", at=clock())
    desk.publish()
    engine.drain_due()
    clock.advance(timedelta(hours=25))
    desk.publish(external_id="next")
    engine.drain_due()
    assert [len(request.headers["webhook-signature"].split()) for request in receiver.received] == [2, 1]


def test_what_a_subscription_to_another_feed_is_not_owed(desk: Desk) -> None:
    education = desk.subscription(desk.publisher(), feed="military-and-defense")
    story = desk.publish().story
    desk.publish(external_id="other", section="Education")
    assert [delivery.story_id for delivery in desk.owed(education)] == [story.id]
    desk.publish(section="Education", headline="Moved")  # it had the story, so it is told of the new version
    assert len(desk.owed(education)) == 2


def _claim(desk: Desk, worker: str) -> int:
    with desk.house.sessions.begin() as session:
        return len(claim_due(session, worker=worker, at=desk.house.clock(), limit=10, up_to_seq=100, lease=timedelta(seconds=90)))


def _rows(desk: Desk, ids: Sequence[int]) -> list[Delivery]:
    with desk.house.sessions() as session:
        return list(session.scalars(select(Delivery).where(Delivery.id.in_(ids))))
