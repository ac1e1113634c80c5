"""The hub from a subscriber's side; its callback is a real server on loopback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.catalogue import Catalogue
from syndicator.domain.publishers import PublisherState
from syndicator.domain.subscriptions import HubRequest, Subscription, SubscriptionState
from syndicator.errors import Conflict
from syndicator.operations import keep_time
from syndicator.operations.subscriptions import pause, resume
from syndicator.sending import create_engine
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Receiver, Reply
from tests.web.callers import key_of, token_of
from tests.web.hub_reader import echo, hub_form


def test_a_websub_subscriber_is_verified_pushed_and_let_go(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        callback = f"{reader.url}/cb?a=%2F&b"
        taken = client.post("/hub", data=hub_form(desk, callback, secret="s3cret", lease_seconds="86400"))
        assert taken.status_code == 202
        engine.drain_due()
        assert "/cb?a=%2F&b&hub.mode=subscribe" in reader.received[0].target
        assert "hub.lease_seconds=86400" in reader.received[0].target
        story = desk.publish().story
        engine.drain_due()
        pushed = reader.received[-1]
        assert pushed.headers["content-type"].startswith("application/atom+xml")
        assert pushed.headers["x-hub-signature"].startswith("sha256=")
        assert story.uri.encode() in pushed.body
        client.post("/hub", data=hub_form(desk, callback, mode="unsubscribe"))
        engine.drain_due()
        before = len(reader.received)
        desk.publish(external_id="after")
        engine.drain_due()
        assert len(reader.received) == before
    engine.close()


def test_a_callback_that_does_not_confirm_gets_nothing(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    with Receiver(lambda request: Reply(body=b"something else")) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        desk.publish()
        engine.drain_due()
        assert len(reader.received) == 1
    engine.close()
    with desk.house.sessions() as session:
        assert session.scalars(select(Subscription)).all() == []
        assert session.scalars(select(HubRequest)).all() == []


def test_a_failed_renewal_leaves_the_subscription_as_it_was(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    willing = [True]
    with Receiver(lambda request: echo(request) if willing else Reply(status=404)) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        willing.clear()
        client.post("/hub", data=hub_form(desk, reader.url, mode="unsubscribe"))
        engine.drain_due()
    engine.close()
    with desk.house.sessions() as session:
        assert session.scalars(select(Subscription.state)).one() is SubscriptionState.ACTIVE


def test_an_unknown_topic_is_accepted_and_then_denied_at_the_callback(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        form = hub_form(desk, reader.url, topic=f"{desk.house.config.site.base_url}/feeds/partners.rss")
        assert client.post("/hub", data=form).status_code == 202
        engine.drain_due()
        assert "hub.mode=denied" in reader.received[0].target
    engine.close()


def test_a_lease_ends(client: FlaskClient, desk: Desk, clock: HandClock) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url, lease_seconds="1"))  # brought up to the shortest we give
        engine.drain_due()
        clock.advance(timedelta(seconds=desk.house.config.websub.min_lease_seconds))
        desk.publish()
        engine.drain_due()
        assert len(reader.received) == 1
    engine.close()
    with desk.house.sessions.begin() as session:
        assert keep_time.end_leases(session, at=clock()) == 1


def test_a_private_topic_is_pushed_only_while_its_publisher_may_have_it(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    publisher = desk.publisher()
    _, token = token_of(desk.house, publisher)
    topic = f"{desk.house.config.site.base_url}/f/{token}/partners.json"
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url, topic=topic, secret="x"))
        engine.drain_due()
        desk.publish()
        engine.drain_due()
        assert reader.received[-1].headers["content-type"].startswith("application/feed+json")
        assert topic in reader.received[-1].headers["link"]
        desk.move(publisher, PublisherState.SUSPENDED)
        desk.publish(external_id="after")
        engine.drain_due()
        assert [request.method for request in reader.received] == ["GET", "POST", "GET"]  # the last one says denied
    engine.close()
    with desk.house.sessions() as session:
        subscription = session.scalars(select(Subscription)).one()
    assert token not in repr(vars(subscription))


@pytest.mark.parametrize(
    "change",
    [
        {"callback": "ftp://x/"},
        {"callback": "http://10.1.2.3/"},
        {"mode": "dance"},
        {"secret": "é" * 100},
        {"topic": ""},
        {"lease_seconds": "soon"},
    ],
)
def test_a_malformed_hub_request_is_told_in_plain_text(client: FlaskClient, desk: Desk, change: dict[str, str]) -> None:
    answer = client.post("/hub", data=hub_form(desk, "http://93.184.216.34/cb", **change))
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert "hub." in answer.get_data(as_text=True)


def test_only_our_newsroom_may_ping_the_hub(client: FlaskClient, desk: Desk) -> None:
    assert client.post("/hub", data={"hub.mode": "publish", "hub.url": "x"}).status_code == 401
    assert client.post("/hub", data={"hub.mode": "publish"}, headers=key_of(desk.house, None)).status_code == 204


def test_a_new_subscriber_is_sent_the_topic_as_it_stands_and_a_renewal_nothing(client: FlaskClient, desk: Desk) -> None:
    stories = [desk.publish(external_id=f"story-{number}").story for number in range(3)]
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        assert [request.method for request in reader.received] == ["GET", "POST"]
        assert all(story.uri.encode() in reader.received[1].body for story in stories)
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        assert [request.method for request in reader.received] == ["GET", "POST", "GET"]
    engine.close()


@pytest.mark.parametrize("state", [PublisherState.SUSPENDED, PublisherState.REVOKED])
def test_a_publisher_that_may_not_have_a_feed_any_more_is_told_so_at_its_callback(
    client: FlaskClient, desk: Desk, state: PublisherState
) -> None:
    publisher = desk.publisher()
    _, token = token_of(desk.house, publisher)
    topic = f"{desk.house.config.site.base_url}/f/{token}/partners.atom"
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url, topic=topic))
        engine.drain_due()
        desk.move(publisher, state)
        engine.drain_due()
        asked = parse_qs(urlsplit(reader.received[-1].target).query)
        assert (asked["hub.mode"], asked["hub.topic"]) == (["denied"], [topic])
        assert state.value in asked["hub.reason"][0]
    engine.close()
    if state is PublisherState.SUSPENDED:
        desk.move(publisher, PublisherState.APPROVED)
        with pytest.raises(Conflict, match="subscribe again"):  # or it would be pushed what it was told not to expect
            change(desk, resume)


@pytest.mark.parametrize("change", [{"access": "eligible"}, {"websub": False}, None])
def test_who_subscribed_to_an_address_that_is_no_topic_any_more_is_told_so_and_sent_nothing(
    client: FlaskClient, desk: Desk, change: dict[str, object] | None
) -> None:
    latest = desk.house.catalogue.get("latest")
    rest = {name: feed for name, feed in desk.house.catalogue.feeds.items() if name != "latest"}
    changed = Catalogue(rest if change is None else rest | {"latest": latest.model_copy(update=change)})
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        engine.close()
        after = Desk(replace(desk.house, catalogue=changed))  # as after a restart
        engine = create_engine(after.house)
        after.publish()
        engine.drain_due()
        assert [request.method for request in reader.received] == ["GET", "GET"]
        asked = parse_qs(urlsplit(reader.received[-1].target).query)
        assert asked["hub.mode"] == ["denied"]
    engine.close()


def test_one_host_is_asked_to_verify_ten_times_a_minute_at_most(client: FlaskClient, desk: Desk, clock: HandClock) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        for number in range(25):
            client.post("/hub", data=hub_form(desk, f"{reader.url}/{number}"))
        engine.drain_due()
        assert len(reader.received) == 10
        clock.advance(timedelta(minutes=1))
        engine.drain_due()
        assert len(reader.received) == 20
        clock.advance(timedelta(minutes=1))
        engine.drain_due()
        assert len({request.target.partition("?")[0] for request in reader.received}) == 25
    engine.close()


def test_whoever_renews_when_the_lease_is_over_gets_what_came_in_between(
    client: FlaskClient, desk: Desk, clock: HandClock
) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url, lease_seconds="1"))
        engine.drain_due()
        clock.advance(timedelta(seconds=desk.house.config.websub.min_lease_seconds))
        story = desk.publish().story  # the timetable has not ended the lease yet
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        assert [request.method for request in reader.received] == ["GET", "GET", "POST"]
        assert story.uri.encode() in reader.received[-1].body
    engine.close()


def test_what_a_callback_missed_is_caught_up_story_by_story(client: FlaskClient, desk: Desk) -> None:
    engine = create_engine(desk.house)
    with Receiver(echo) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        change(desk, pause)
        stories = [desk.publish(external_id=f"story-{number}").story for number in range(3)]
        change(desk, resume)
        engine.drain_due()
        bodies = [request.body for request in reader.received if request.method == "POST"]
    engine.close()
    assert [body.count(b"</entry>") for body in bodies] == [1, 1, 1]
    assert {story.uri for story in stories} == {story.uri for story in stories for body in bodies if story.uri.encode() in body}


@pytest.mark.parametrize("fate", ["updated", "killed"])
def test_a_new_subscriber_gets_the_topic_whatever_becomes_of_its_newest_story_meanwhile(
    client: FlaskClient, desk: Desk, clock: HandClock, fate: str
) -> None:
    older = desk.publish(external_id="older").story
    newest = desk.publish(external_id="newest").story
    engine = create_engine(desk.house)
    ready: list[bool] = []
    with Receiver(lambda request: echo(request) if ready or request.method == "GET" else Reply(status=500)) as reader:
        client.post("/hub", data=hub_form(desk, reader.url))
        engine.drain_due()
        if fate == "updated":
            desk.publish(external_id="newest", headline="Newer words")
        else:
            desk.kill(newest)
        ready.append(True)
        clock.advance(timedelta(hours=1))
        engine.drain_due()
        assert any(older.uri.encode() in request.body for request in reader.received[2:])
    engine.close()


def change(desk: Desk, verb: Callable[..., None]) -> None:
    """Pause or resume the only subscription."""
    with desk.house.sessions.begin() as session:
        reason = {"reason": "holiday"} if verb is pause else {}
        verb(session, session.scalars(select(Subscription)).one(), actor="test", at=desk.house.clock(), **reason)
