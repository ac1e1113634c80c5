"""What waits for its turn while something happens: a kill, a newer version, the end of a subscription, a suspension, a pause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from syndicator.delivery.engine import LEASE, RECALL_SECONDS, Engine
from syndicator.delivery.ledger import claim_due, release
from syndicator.domain.deliveries import DeliveryState
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Story
from syndicator.domain.subscriptions import HubRequest, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.subscriptions import end, pause, resume
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver, Reply
from tests.web.hub_reader import echo

AT_ONCE = 4  # connections to one host
WAITING = 3


class Ticks:
    """The machine's uptime, set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def engine(house: House, ticks: Ticks) -> Iterator[Engine]:
    made = create_engine(house)
    made.chance, made.ticks = (lambda: 0.0), ticks
    yield made
    made.close()


class Line:
    """A subscriber that takes four stories and does not answer for them, and three more that wait behind them."""

    def __init__(self, desk: Desk, engine: Engine, ticks: Ticks, receiver: Receiver) -> None:
        self.desk, self.engine, self.ticks, self.receiver = desk, engine, ticks, receiver
        self.publisher: Publisher = desk.publisher()
        self.subscription = desk.subscription(self.publisher, endpoint=receiver.url)
        self.stories: list[Story] = [desk.publish(external_id=f"s{n}").story for n in range(AT_ONCE + WAITING)]
        while len(receiver.received) < AT_ONCE:
            engine.turn(0.05)
        left = {json.loads(request.body)["data"]["story"]["uri"] for request in receiver.received}
        self.waiting = [story for story in self.stories if story.uri not in left]

    def go_on(self) -> None:
        """Half a second later the receiver answers, and everything is sent that still may be."""
        self.ticks.now += RECALL_SECONDS
        self.engine.turn(0.0)
        self.receiver.release()
        self.engine.drain_due()

    def came(self) -> list[tuple[str, str]]:
        """Type and story of what came after the four."""
        told = [json.loads(request.body) for request in self.receiver.received[AT_ONCE:] if request.method == "POST"]
        return [(each["type"], each["data"]["story"]["uri"]) for each in told]


@pytest.fixture
def line(desk: Desk, engine: Engine, ticks: Ticks) -> Iterator[Line]:
    with Receiver(lambda request: echo(request) if request.host_number else Reply(hang=True), hosts=2) as receiver:
        yield Line(desk, engine, ticks, receiver)


def test_a_story_killed_while_it_waits_is_not_sent_and_its_kill_goes_before_all_that_waits(line: Line) -> None:
    *others, killed = line.waiting
    line.desk.kill(killed)
    line.go_on()
    assert line.came()[0] == ("story.killed", killed.uri)
    assert sorted(line.came()[1:]) == sorted(("story.published", story.uri) for story in others)


def test_a_version_overtaken_while_it_waits_is_not_sent(line: Line) -> None:
    line.desk.publish(external_id=f"s{line.stories.index(line.waiting[0])}", headline="Newer")
    line.go_on()
    assert sorted(kind for kind, _ in line.came()) == ["story.published", "story.published", "story.updated"]
    states = [delivery.state for delivery in line.desk.owed(line.subscription)]
    assert states.count(DeliveryState.SUPERSEDED) == 1
    assert states.count(DeliveryState.DELIVERED) == AT_ONCE + WAITING


def test_nothing_leaves_to_a_subscription_that_ended_while_it_waited(line: Line) -> None:
    change(line.desk, line.subscription, lambda session, found, at: end(session, found, reason="removed", actor="test", at=at))
    line.go_on()
    assert line.came() == []
    assert {delivery.state for delivery in line.desk.owed(line.subscription)} == {DeliveryState.CANCELLED}


def test_nothing_leaves_once_a_callback_has_confirmed_that_it_wants_no_more(line: Line) -> None:
    house = line.desk.house
    with house.sessions.begin() as session:
        session.get_one(Subscription, line.subscription.id).websub_key = "key"
        session.add(
            HubRequest(
                mode="unsubscribe", websub_key="key", topic=house.vault.lock("topic"), callback=line.receiver.urls[1],
                host="127.0.0.2", lease_seconds=0, created_at=house.clock(), next_attempt_at=house.clock(),
            )
        )  # fmt: skip
    while len(line.receiver.received) == AT_ONCE:
        line.engine.turn(0.05)
    line.engine.turn(0.05)
    line.receiver.release()
    line.engine.drain_due()
    assert line.came() == []


def test_nothing_leaves_to_a_publisher_that_was_suspended_while_it_waited(line: Line) -> None:
    line.desk.move(line.publisher, PublisherState.SUSPENDED)
    line.go_on()
    assert line.came() == []
    assert [each.last_reason for each in line.desk.owed(line.subscription) if each.state is DeliveryState.CANCELLED] == [
        "suspended"
    ] * WAITING


def test_what_waited_when_its_subscription_was_paused_leaves_when_it_is_resumed(line: Line) -> None:
    change(line.desk, line.subscription, lambda session, found, at: pause(session, found, reason="", actor="test", at=at))
    line.go_on()
    assert line.came() == []
    change(line.desk, line.subscription, lambda session, found, at: resume(session, found, actor="test", at=at))
    line.engine.drain_due()
    assert {uri for _, uri in line.came()} == {story.uri for story in line.waiting}


def test_a_failure_after_the_pause_is_retried_only_when_it_is_resumed(desk: Desk, engine: Engine, clock: HandClock) -> None:
    """All that is under way fails at once; the first failure pauses the subscription."""
    with Receiver(lambda request: Reply(status=500)) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        with desk.house.sessions.begin() as session:
            long_ago = clock() - timedelta(days=desk.house.config.push.disable_after_days)
            session.execute(update(Subscription).where(Subscription.id == subscription.id).values(failing_since=long_ago))
        for number in range(5):
            desk.publish(external_id=f"s{number}")
        engine.drain_due()
        came = len(receiver.received)
        clock.advance(timedelta(days=2))
        engine.drain_due()
        assert len(receiver.received) == came
    assert {(each.state, each.next_attempt_at) for each in desk.owed(subscription)} == {(DeliveryState.OWED, None)}


def test_a_kill_that_is_being_retried_does_not_wait_for_the_end_of_a_pause(desk: Desk, engine: Engine, clock: HandClock) -> None:
    answers = [Reply(status=500), Reply()]
    with Receiver(lambda request: answers.pop()) as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        story = desk.publish().story
        engine.drain_due()
        desk.kill(story)
        engine.drain_due()
        change(desk, subscription, lambda session, found, at: pause(session, found, reason="", actor="test", at=at))
        answers.append(Reply())
        clock.advance(timedelta(minutes=1))
        engine.drain_due()
        assert [json.loads(request.body)["type"] for request in receiver.received[1:]] == ["story.killed"] * 2


def test_what_was_owed_to_a_subscription_in_the_moment_it_ended_is_not_sent(desk: Desk, engine: Engine) -> None:
    """A story and the end in two transactions that do not see each other, as PostgreSQL allows."""
    with Receiver() as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        with desk.house.sessions.begin() as session:
            ended = update(Subscription).where(Subscription.id == subscription.id).values(state=SubscriptionState.ENDED)
            session.execute(ended)
        engine.drain_due()
        assert receiver.received == []
    assert desk.owed(subscription)[0].last_reason == "the subscription has ended"


def test_claims_that_others_took_before_they_were_read_are_not_sent(
    desk: Desk, engine: Engine, ticks: Ticks, clock: HandClock
) -> None:
    with Receiver() as receiver:
        subscription = desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.publish()
        with desk.house.sessions.begin() as session:
            engine.unread = claim_due(session, worker=engine.worker, at=clock(), limit=10, up_to_seq=10, lease=LEASE)
        ticks.now += LEASE.total_seconds()  # the database was away
        clock.advance(LEASE)
        with desk.house.sessions.begin() as session:
            taken = claim_due(session, worker="other", at=clock(), limit=10, up_to_seq=10, lease=LEASE)
        engine.drain_due()
        assert (taken, receiver.received) == ([delivery.id for delivery in desk.owed(subscription)], [])
        with desk.house.sessions.begin() as session:
            release(session, taken, worker="other")
        engine.drain_due()
        assert len(receiver.received) == 1


def change(desk: Desk, subscription: Subscription, verb: Callable[..., None]) -> None:
    with desk.house.sessions.begin() as session:
        verb(session, session.get_one(Subscription, subscription.id), desk.house.clock())
