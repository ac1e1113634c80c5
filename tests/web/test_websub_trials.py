"""Test sends to WebSub callbacks: as the hub sends, and nothing that a reader could take for news or may not have."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta

import feedparser
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from syndicator.delivery.engine import RECALL_SECONDS
from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Rights, Story
from syndicator.domain.subscriptions import Subscription, SubscriptionState, Trial
from syndicator.errors import Conflict
from syndicator.house import House
from syndicator.operations.try_out import ask_for_trial, trials_of
from syndicator.sending import create_engine
from tests.delivery.test_recall import Ticks
from tests.desk import Desk
from tests.receiver import Received, Reply
from tests.web.callers import key_of, token_of
from tests.web.hub_reader import HubReader, a_reader
from tests.web.people import People

SECRET = "s3cret"


@pytest.fixture
def reader(desk: Desk, client: FlaskClient) -> Iterator[HubReader]:
    with a_reader(desk, client) as made:
        yield made


def tried(desk: Desk, reader: HubReader) -> Trial:
    """Send a test to the only subscription there is."""
    ask(desk.house)
    reader.work()
    with desk.house.sessions() as session:
        return trials_of(session, only(desk.house))[0]


def ask(house: House) -> None:
    with house.sessions.begin() as session:
        subscription = session.scalars(select(Subscription)).one()
        ask_for_trial(session, subscription, actor="test", at=house.clock())


def only(house: House) -> Subscription:
    with house.sessions() as session:
        return session.scalars(select(Subscription)).one()


def ids(request: Received) -> list[str]:
    """The ids of the entries of a feed document, which must be well-formed."""
    parsed = feedparser.parse(request.body)
    assert not parsed.bozo
    assert parsed.feed.title.endswith("Latest stories")
    return [entry.id for entry in parsed.entries]


@pytest.mark.parametrize("form", ["atom", "rss"])
def test_a_callback_gets_the_newest_story_that_it_had_once_more_as_the_hub_brings_it(
    desk: Desk, reader: HubReader, form: str
) -> None:
    topic = f"{desk.house.config.site.base_url}/feeds/latest.{form}"
    reader.subscribe(secret=SECRET, topic=topic)
    desk.publish(external_id="older")
    story = desk.publish(headline="Gauges & locks").story
    reader.work()
    before = len(reader.pushed)
    trial = tried(desk, reader)
    first, again = reader.pushed[before - 1 :]
    assert (trial.outcome, trial.status) == ("accepted", 200)
    assert trial.done == "the feed was posted to the callback, holding “Gauges & locks”, which it had before"
    assert ids(again) == [story.uri]
    base = desk.house.config.site.base_url
    assert again.headers["link"] == f'<{base}/hub>; rel="hub", <{topic}>; rel="self"'
    assert again.headers["x-hub-signature"] == f"sha256={hmac.new(SECRET.encode(), again.body, hashlib.sha256).hexdigest()}"
    told = ("content-type", "link", "user-agent")
    assert [again.headers[name] for name in told] == [first.headers[name] for name in told]
    assert len(desk.owed(only(desk.house))) == 2  # it is no delivery
    reader.work()
    assert len(reader.pushed) == before + 1


def test_without_a_story_that_it_had_the_frame_goes_alone(desk: Desk, reader: HubReader) -> None:
    reader.subscribe()
    trial = tried(desk, reader)
    [request] = reader.pushed
    assert (ids(request), trial.outcome) == ([], "accepted")
    assert "x-hub-signature" not in request.headers
    assert "without a story" in trial.done


@pytest.mark.parametrize("fate", ["expired", "publisher suspended"])
def test_what_came_with_the_topic_is_in_no_test_either_when_it_may_not_be_had_any_more(
    desk: Desk, reader: HubReader, fate: str
) -> None:
    publisher = desk.publisher()
    _, token = token_of(desk.house, publisher)
    story = desk.publish(expires_at=desk.house.clock() + timedelta(hours=1)).story
    reader.work()
    reader.subscribe(topic=f"{desk.house.config.site.base_url}/f/{token}/partners.atom")
    assert story.uri.encode() in reader.pushed[-1].body
    tried(desk, reader)
    assert story.uri.encode() in reader.pushed[-1].body
    take_away(desk, story, publisher, fate)
    reader.work()
    tried(desk, reader)
    assert story.uri.encode() not in reader.pushed[-1].body


@pytest.mark.parametrize("fate", ["killed", "taken down", "not free any more", "expired", "publisher suspended", "paused"])
def test_what_may_not_be_had_any_more_is_in_no_test(desk: Desk, reader: HubReader, fate: str) -> None:
    publisher = desk.publisher()
    _, token = token_of(desk.house, publisher)
    base = desk.house.config.site.base_url
    reader.subscribe(topic=f"{base}/f/{token}/partners.atom")
    story = desk.publish(expires_at=desk.house.clock() + timedelta(hours=1)).story
    reader.work()
    assert story.uri.encode() in reader.pushed[-1].body
    take_away(desk, story, publisher, fate)
    reader.work()
    trial = tried(desk, reader)
    assert trial.outcome == "accepted"
    assert feedparser.parse(reader.pushed[-1].body).entries == []
    assert story.uri.encode() not in reader.pushed[-1].body


def take_away(desk: Desk, story: Story, publisher: Publisher, fate: str) -> None:
    match fate:
        case "killed":
            desk.kill(story)
        case "taken down":
            desk.take_down(story)
        case "not free any more":
            desk.publish(rights=Rights.NONE)
        case "expired":
            desk.house.clock.now += timedelta(hours=2)  # type: ignore[attr-defined]
        case "publisher suspended":
            desk.move(publisher, PublisherState.SUSPENDED)
        case "paused":
            with desk.house.sessions.begin() as session:
                session.execute(update(Subscription).values(state=SubscriptionState.PAUSED))


def test_a_story_that_never_came_is_in_no_test_before_it_has_been_brought(desk: Desk, reader: HubReader) -> None:
    reader.subscribe()
    reader.takes = lambda request: Reply(status=500)
    story = desk.publish().story
    reader.work()
    tried(desk, reader)
    assert story.uri.encode() not in reader.pushed[-1].body


def test_a_story_killed_while_its_test_waits_for_its_turn_stays_here(desk: Desk, reader: HubReader) -> None:
    reader.subscribe()
    story = desk.publish().story
    reader.work()
    busy = [desk.subscription(desk.publisher(), endpoint=f"{reader.server.url}/busy") for _ in range(4)]
    reader.takes = lambda request: Reply(hang="/busy" in request.target)
    ticks, engine = Ticks(), create_engine(desk.house)
    engine.ticks = ticks
    with desk.house.sessions.begin() as session:
        for subscription in busy:
            ask_for_trial(session, session.get_one(Subscription, subscription.id), actor="test", at=desk.house.clock())
    before = len(reader.pushed)
    while len(reader.pushed) < before + 4:
        engine.turn(0.05)
    with desk.house.sessions.begin() as session:
        callback = session.scalars(select(Subscription).where(Subscription.websub_key.is_not(None))).one()
        ask_for_trial(session, callback, actor="test", at=desk.house.clock())
    engine.turn(0.0)
    desk.kill(story)
    ticks.now += RECALL_SECONDS
    engine.turn(0.0)
    reader.server.release()
    engine.drain_due()
    engine.close()
    came = [request for request in reader.pushed[before:] if "/cb" in request.target]
    with desk.house.sessions() as session:
        [trial] = trials_of(session, callback)
    assert (trial.outcome, "without a story" in trial.done) == ("accepted", True)
    assert [b"Two hundred gauges" in request.body for request in came] == [False] * 2  # the kill and the test


def test_a_test_goes_through_the_guard_like_everything_else(desk: Desk, reader: HubReader) -> None:
    reader.subscribe()
    with desk.house.sessions.begin() as session:
        session.execute(update(Subscription).values(endpoint="http://192.168.0.1/cb"))
    trial = tried(desk, reader)
    assert (trial.outcome, trial.reason, reader.pushed) == ("deferred", "address-refused", [])


def test_an_owner_tries_its_callback_out_in_the_portal_and_by_the_api(
    app: Flask, client: FlaskClient, desk: Desk, reader: HubReader
) -> None:
    publisher, people = desk.publisher(), People(app, desk.house)
    _, token = token_of(desk.house, publisher)
    reader.subscribe(topic=f"{desk.house.config.site.base_url}/f/{token}/partners.atom")
    owner = people.signed_in(people.member(publisher, MemberRole.OWNER, "owner@ours.example"))
    page = f"/portal/subscriptions/{only(desk.house).public_id}"
    assert "A test posts the feed to your callback as our hub does" in owner.get(page).text
    assert "A test is on its way" in owner.post(f"{page}/test", follow_redirects=True).text
    reader.work()
    assert "status 200; the feed was posted to the callback, without a story" in owner.get(page).text
    path, mine = f"/v1/subscriptions/{only(desk.house).public_id}/test", key_of(desk.house, publisher)
    asked = client.post(path, headers=mine)
    assert (asked.status_code, asked.get_json()["kind"]) == (202, "send")
    reader.work()
    result = client.get(f"{path}/{asked.get_json()['id']}", headers=mine).get_json()
    assert result["outcome"] == "accepted"
    assert result["done"] == "the feed was posted to the callback, without a story, as none may be brought again"


def test_a_callback_whose_lease_is_over_is_not_tried(desk: Desk, reader: HubReader) -> None:
    reader.subscribe(lease_seconds="3600")
    desk.house.clock.now += timedelta(hours=1)  # type: ignore[attr-defined]
    with pytest.raises(Conflict, match="has ended"):
        ask(desk.house)
