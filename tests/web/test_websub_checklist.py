"""Every MUST and SHOULD of WebSub (W3C Recommendation, 23 January 2018), in its order; a test's name says the promise."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import feedparser
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from syndicator.app import create_app
from syndicator.config import Limits
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import HubRequest, Subscription, SubscriptionState
from syndicator.errors import Conflict
from syndicator.operations import keep_time
from syndicator.operations.keys import revoke
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.subscriptions import resume
from tests.clocks import HandClock
from tests.desk import Desk
from tests.receiver import Received, Reply
from tests.web.callers import token_of
from tests.web.hub_reader import HubReader, a_reader, hub_form, query_of

FORMATS = ("rss", "atom", "json")
DAY = 86_400


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The hub's SQL runs on both in test_hub.py; here it is about what goes over the wire."""
    return sqlite_url


@pytest.fixture
def reader(desk: Desk, client: FlaskClient) -> Iterator[HubReader]:
    with a_reader(desk, client) as made:
        yield made


def subscription_of(desk: Desk) -> Subscription:
    with desk.house.sessions() as session:
        return session.scalars(select(Subscription)).one()


def links_of(*headers: str) -> list[tuple[str, str]]:
    """The hubs and own addresses in Link headers, as pairs of relation and address."""
    return [(rel, url) for url, rel in re.findall(r'<([^>]*)>; rel="(hub|self)"', ", ".join(headers))]


@pytest.fixture
def published(client: FlaskClient, desk: Desk) -> FlaskClient:
    """A client of a site whose feeds have been written."""
    desk.publish()
    render_stale(desk.house)
    return client


# The publisher


@pytest.mark.parametrize("form", FORMATS)
def test_01_02_03_a_topic_names_its_hub_and_one_self_in_headers_and_the_same_in_its_body(
    published: FlaskClient, desk: Desk, form: str
) -> None:
    base = desk.house.config.site.base_url
    answer, head = published.get(f"/feeds/latest.{form}"), published.head(f"/feeds/latest.{form}")
    links = links_of(*answer.headers.getlist("Link"))
    assert sorted(links) == [("hub", f"{base}/hub"), ("self", f"{base}/feeds/latest.{form}")]
    assert links_of(*head.headers.getlist("Link")) == links
    if form == "json":
        document = answer.get_json()
        inside = [("hub", hub["url"]) for hub in document["hubs"]] + [("self", document["feed_url"])]
    else:
        inside = [(link.rel, link.href) for link in feedparser.parse(answer.data).feed.links if link.rel in {"hub", "self"}]
    assert sorted(inside) == sorted(links)


@pytest.mark.parametrize("form", FORMATS)
def test_01_02_a_private_topic_names_its_hub_and_itself_to_whoever_has_it_and_can_be_subscribed_to(
    reader: HubReader, client: FlaskClient, desk: Desk, form: str
) -> None:
    base = desk.house.config.site.base_url
    desk.publish()
    render_stale(desk.house)
    _, token = token_of(desk.house, desk.publisher())
    answer, head = client.get(f"/f/{token}/partners.{form}"), client.head(f"/f/{token}/partners.{form}")
    links = links_of(*answer.headers.getlist("Link"))
    assert sorted(links) == [("hub", f"{base}/hub"), ("self", f"{base}/f/{token}/partners.{form}")]
    assert links_of(*head.headers.getlist("Link")) == links
    reader.subscribe(topic=dict(links)["self"])
    assert len(reader.pushed) == 1  # the topic as it stands


@pytest.mark.parametrize("form", FORMATS)
def test_04_a_self_address_has_one_representation_whatever_is_accepted(published: FlaskClient, form: str) -> None:
    wishes = ["*/*", "application/rss+xml", "application/atom+xml", "application/feed+json", "text/html"]
    answers = [published.get(f"/feeds/latest.{form}", headers={"Accept": wish}) for wish in wishes]
    assert len({(answer.status_code, answer.mimetype, answer.data) for answer in answers}) == 1
    assert answers[0].status_code == 200


def test_05_the_hub_knows_of_every_update_without_a_ping(reader: HubReader, desk: Desk) -> None:
    reader.subscribe()
    story = desk.publish().story
    reader.work()
    desk.publish(headline="Gauges corrected", correction_note="It was 220.")
    reader.work()
    desk.kill(story)
    reader.work()
    published, corrected, killed = (push.body.decode() for push in reader.pushed)
    assert story.uri in published
    assert "Gauges corrected" in corrected
    assert f'<at:deleted-entry ref="{story.uri}"' in killed
    assert "gauges report" not in killed


# The hub, subscribing


def test_07_callback_mode_and_topic_are_enough_and_a_secret_is_taken(reader: HubReader) -> None:
    assert reader.ask().status_code == 202
    assert reader.ask(secret="s3cret").status_code == 202


def test_08_unknown_parameters_are_ignored(reader: HubReader) -> None:
    assert reader.ask(verify="sync", verify_token="x", foo="").status_code == 202
    reader.work()
    assert len(reader.asked) == 1


@pytest.mark.parametrize("form", [{}, {"hub.mode": "subscribe"}, {"hub.mode": "x"}])
def test_09_errors_have_a_reason_in_plain_text(client: FlaskClient, form: dict[str, str]) -> None:
    answer = client.post("/hub", data=form)
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert "hub." in answer.get_data(as_text=True)


def test_10_the_answer_depends_on_nothing_that_is_found_out_later(reader: HubReader, desk: Desk) -> None:
    base = desk.house.config.site.base_url
    reader.confirms = lambda request: Reply(status=404)
    answers = [
        reader.ask(),
        reader.ask(topic=f"{base}/feeds/partners.rss"),  # private
        reader.ask(topic="https://elsewhere.example/feed"),
        reader.ask(callback="http://93.184.216.34/cb"),  # nobody has asked there yet
    ]
    assert {(answer.status_code, answer.data) for answer in answers} == {(202, answers[0].data)}


@pytest.mark.parametrize(("secret", "status"), [("é" * 99 + "x", 202), ("é" * 100, 400), ("x" * 199, 202), ("x" * 200, 400)])
def test_11_a_secret_has_under_200_bytes(reader: HubReader, secret: str, status: int) -> None:
    assert reader.ask(secret=secret).status_code == status


def test_12_the_lease_asked_for_is_respected_and_ignored_in_unsubscribing(reader: HubReader, desk: Desk) -> None:
    reader.subscribe(lease_seconds=str(3 * DAY))
    assert query_of(reader.asked[0])["hub.lease_seconds"] == [str(3 * DAY)]
    assert subscription_of(desk).lease_until == desk.house.clock() + timedelta(days=3)
    assert reader.ask(mode="unsubscribe", lease_seconds="junk").status_code == 202


def test_14_the_callbacks_own_query_is_kept_byte_for_byte(reader: HubReader, desk: Desk) -> None:
    query = "a=%2F%c3%a9&b&hub.mode=mine&b=2+x"
    reader.callback += f"?{query}"
    reader.subscribe()
    assert reader.asked[0].target.startswith(f"/cb?{query}&hub.mode=subscribe&")
    desk.publish()
    reader.work()
    assert reader.pushed[0].target == f"/cb?{query}"


def test_14_topic_and_callback_with_its_query_are_the_identity(reader: HubReader, desk: Desk) -> None:
    first = reader.callback
    for query in ("?id=1", "?id=2", "?id=1"):
        reader.callback = first + query
        reader.subscribe()
    with desk.house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Subscription)) == 2


def test_15_the_exact_callback_is_used_once_the_form_is_decoded(reader: HubReader, client: FlaskClient, desk: Desk) -> None:
    topic = "https%3A%2F%2Fwire.example%2Ffeeds%2Flatest.atom"
    body = f"hub.mode=subscribe&hub.topic={topic}&hub.callback={reader.callback}%3Fx%3D%252B"
    assert client.post("/hub", data=body, content_type="application/x-www-form-urlencoded").status_code == 202
    reader.work()
    assert reader.asked[0].target.startswith("/cb?x=%2B&hub.mode=")


def test_16_a_renewal_replaces_secret_and_lease_once_it_is_verified(reader: HubReader, desk: Desk) -> None:
    reader.subscribe(secret="old")
    assert reader.ask(secret="new").status_code == 202
    desk.publish()
    with desk.house.sessions() as session:
        kept = session.scalars(select(Subscription.secret)).one()
    assert desk.house.vault.unlock(kept or "") == "old"  # nobody has confirmed yet
    reader.work()
    reader.subscribe()
    desk.publish(external_id="after")
    reader.work()
    assert "x-hub-signature" not in reader.pushed[-1].headers


def test_16_a_failed_verification_leaves_everything_as_it_was(reader: HubReader, desk: Desk) -> None:
    reader.subscribe(secret="old", lease_seconds=str(DAY))
    before = subscription_of(desk)
    reader.confirms = lambda request: Reply(body=b"no")
    reader.subscribe(secret="new", lease_seconds=str(5 * DAY))
    reader.subscribe(mode="unsubscribe")
    after = subscription_of(desk)
    assert (after.secret, after.lease_until, after.state) == (before.secret, before.lease_until, SubscriptionState.ACTIVE)


# The hub, validation and verification


def test_17_a_denial_is_told_with_topic_and_reason(reader: HubReader, desk: Desk) -> None:
    topic = f"{desk.house.config.site.base_url}/feeds/no-such-feed.rss"
    reader.subscribe(topic=topic)
    told = query_of(reader.asked[0])
    assert (told["hub.mode"], told["hub.topic"], "hub.challenge" in told) == (["denied"], [topic], False)
    assert told["hub.reason"][0]


def test_17_a_topic_lost_before_the_callback_confirmed_is_denied(reader: HubReader, desk: Desk) -> None:
    token_id, topic = private_topic(desk)
    assert reader.ask(topic=topic).status_code == 202
    revoke_token(desk, token_id)
    reader.work()
    assert [query_of(request)["hub.mode"] for request in reader.asked] == [["subscribe"], ["denied"]]
    with desk.house.sessions() as session:
        assert session.scalars(select(Subscription)).all() == []
        assert session.scalars(select(HubRequest)).all() == []


def test_17_a_revoked_token_ends_the_pushes_of_its_topic_and_the_callback_is_told(reader: HubReader, desk: Desk) -> None:
    token_id, topic = private_topic(desk)
    reader.subscribe(topic=topic)
    story = desk.publish().story
    reader.work()
    assert len(reader.pushed) == 1
    desk.publish(external_id="under way")
    revoke_token(desk, token_id)
    desk.publish(external_id="after")
    reader.work()
    assert len(reader.pushed) == 1
    told = query_of(reader.asked[-1])
    assert (told["hub.mode"], told["hub.topic"]) == (["denied"], [topic])
    assert "revoked" in told["hub.reason"][0]
    with desk.house.sessions.begin() as session, pytest.raises(Conflict):
        resume(session, session.scalars(select(Subscription)).one(), actor="test", at=desk.house.clock())
    desk.kill(story)  # who had the story is told all the same
    reader.work()
    assert story.uri in reader.pushed[-1].body.decode()
    assert len(reader.pushed) == 2


def test_17_another_token_of_the_same_publisher_is_not_disturbed(reader: HubReader, desk: Desk) -> None:
    publisher = desk.publisher()
    gone, _ = private_topic(desk, publisher)
    _, topic = private_topic(desk, publisher)
    reader.subscribe(topic=topic)
    revoke_token(desk, gone)
    desk.publish()
    reader.work()
    assert len(reader.pushed) == 1


def test_18_a_verification_says_mode_topic_challenge_and_lease(reader: HubReader, desk: Desk) -> None:
    reader.subscribe()
    subscribed = query_of(reader.asked[0])
    assert subscribed["hub.mode"] == ["subscribe"]
    assert subscribed["hub.topic"] == [hub_form(desk, "")["hub.topic"]]
    assert subscribed["hub.challenge"][0]
    assert subscribed["hub.lease_seconds"] == [str(desk.house.config.websub.default_lease_seconds)]
    reader.subscribe(mode="unsubscribe")
    unsubscribed = query_of(reader.asked[1])
    assert unsubscribed["hub.mode"] == ["unsubscribe"]
    assert "hub.lease_seconds" not in unsubscribed


def test_19_any_2xx_with_exactly_the_challenge_confirms_and_nothing_else_does(reader: HubReader, desk: Desk) -> None:
    """Each callback says by its query what it answers: a status, and what it puts around the challenge."""

    def confirms(request: Received) -> Reply:
        asked = query_of(request)
        elsewhere = (("Location", f"{reader.server.url}/other?{request.target.partition('?')[2]}"),)
        body = asked["around"][0].format(asked["hub.challenge"][0])
        return Reply(status=int(asked["status"][0]), headers=elsewhere, body=body.encode())

    reader.confirms = confirms
    good = [(status, "{}") for status in (200, 202, 299)]
    bad = [(status, "{}") for status in (301, 307, 404, 500)] + [(200, around) for around in ("{}\n", "", '"{}"')]
    base = reader.callback
    for status, around in good + bad:
        reader.callback = f"{base}?{urlencode({'status': status, 'around': around})}"
        reader.ask()
    reader.work()
    assert len(reader.asked) == len(good + bad)
    assert {request.target.partition("?")[0] for request in reader.asked} == {"/cb"}  # no redirect is followed
    with desk.house.sessions() as session:
        confirmed = [parse_qs(urlsplit(endpoint).query) for endpoint in session.scalars(select(Subscription.endpoint))]
    assert sorted((int(each["status"][0]), each["around"][0]) for each in confirmed) == good


def test_20_a_challenge_is_random_and_used_once(reader: HubReader) -> None:
    for _ in range(5):
        reader.subscribe()
    challenges = {query_of(request)["hub.challenge"][0] for request in reader.asked}
    assert len(challenges) == 5
    assert min(map(len, challenges)) >= 32


def test_21_a_lease_ends_and_nobody_can_have_an_endless_one(reader: HubReader, desk: Desk, clock: HandClock) -> None:
    assert desk.house.config.websub.default_lease_seconds == 10 * DAY
    reader.subscribe(lease_seconds="9" * 18)
    longest = desk.house.config.websub.max_lease_seconds
    assert query_of(reader.asked[0])["hub.lease_seconds"] == [str(longest)]
    clock.advance(timedelta(seconds=longest))
    desk.publish()
    reader.work()
    assert reader.pushed == []
    with desk.house.sessions.begin() as session:
        keep_time.end_leases(session, at=clock())
    assert subscription_of(desk).state is SubscriptionState.ENDED


def test_21_nothing_is_tried_again_once_the_lease_is_over(reader: HubReader, desk: Desk, clock: HandClock) -> None:
    reader.subscribe(lease_seconds=str(DAY))
    reader.takes = lambda request: Reply(status=500)
    desk.publish()
    reader.work()
    assert len(reader.pushed) == 1
    clock.advance(timedelta(days=1))
    reader.work()
    assert len(reader.pushed) == 1
    with desk.house.sessions() as session:
        assert [row.last_reason for row in session.scalars(select(Delivery))] == ["the lease is over"]


def test_21_a_lease_that_ends_cancels_what_is_owed(reader: HubReader, desk: Desk, clock: HandClock) -> None:
    reader.subscribe(lease_seconds=str(DAY))
    desk.publish()
    clock.advance(timedelta(days=1))
    with desk.house.sessions.begin() as session:
        assert keep_time.end_leases(session, at=clock()) == 1
    with desk.house.sessions() as session:
        assert session.scalars(select(Delivery.state)).all() == [DeliveryState.CANCELLED]


def test_22_unsubscribing_is_verified_and_not_validated(reader: HubReader, desk: Desk) -> None:
    token_id, topic = private_topic(desk)
    reader.subscribe(topic=topic)
    revoke_token(desk, token_id)  # who may not subscribe any more may still unsubscribe
    reader.work()
    reader.subscribe(topic=topic, mode="unsubscribe")
    assert query_of(reader.asked[-1])["hub.mode"] == ["unsubscribe"]
    assert subscription_of(desk).state is SubscriptionState.ENDED


# The hub, distribution


@pytest.mark.parametrize("form", FORMATS)
def test_23_24_25_a_delivery_is_a_post_of_the_topics_type_with_its_links_in_one_header(
    client: FlaskClient, reader: HubReader, desk: Desk, form: str
) -> None:
    topic = f"{desk.house.config.site.base_url}/feeds/latest.{form}"
    reader.subscribe(topic=topic)
    story = desk.publish().story
    reader.work()
    [push] = reader.pushed
    assert push.headers["content-type"] == client.get(f"/feeds/latest.{form}").headers["Content-Type"]
    assert links_of(push.headers["link"]) == [("hub", f"{desk.house.config.site.base_url}/hub"), ("self", topic)]
    assert story.uri in push.body.decode()


def test_24_a_delivery_leaves_out_only_what_was_delivered_before(reader: HubReader, desk: Desk) -> None:
    reader.subscribe()
    ids = []
    for number in range(3):
        ids.append(desk.publish(external_id=f"story-{number}").story.uri)
        reader.work()
    assert [entry.id for push in reader.pushed for entry in feedparser.parse(push.body).entries] == ids


def test_26_27_28_any_2xx_is_success_and_all_else_is_tried_again_and_keeps_the_subscription(
    reader: HubReader, desk: Desk, clock: HandClock
) -> None:
    def takes(request: Received) -> Reply:
        status = int(query_of(request)["status"][0])
        return Reply(status=status, headers=(("Location", f"{reader.server.url}/other"),), body=b"" if status == 204 else b"no!")

    good, bad, base = (200, 204, 299), (302, 404, 500), reader.callback
    for status in good + bad:
        reader.callback = f"{base}?status={status}"
        reader.subscribe(lease_seconds=str(20 * DAY))
    reader.takes = takes
    desk.publish()
    reader.work()
    assert {push.target.partition("?")[0] for push in reader.pushed} == {"/cb"}
    assert states(desk) == dict.fromkeys(good, DeliveryState.DELIVERED) | dict.fromkeys(bad, DeliveryState.OWED)
    clock.advance(timedelta(days=1))
    reader.takes = lambda request: Reply()
    reader.work()
    assert set(states(desk).values()) == {DeliveryState.DELIVERED}


def test_28_a_subscriber_that_failed_for_days_is_tried_again_at_the_next_update(
    reader: HubReader, desk: Desk, clock: HandClock
) -> None:
    reader.takes = lambda request: Reply(status=500)
    reader.subscribe(lease_seconds=str(20 * DAY))
    desk.publish()
    for _ in range(15):  # longer than any retry lasts, and days more
        reader.work()
        clock.advance(timedelta(days=1))
    reader.work()
    assert subscription_of(desk).state is SubscriptionState.ACTIVE
    before = len(reader.pushed)
    reader.takes = lambda request: Reply()
    story = desk.publish(external_id="next").story
    reader.work()
    assert len(reader.pushed) > before
    assert story.uri in reader.pushed[-1].body.decode()


def test_26_a_410_ends_the_subscription(reader: HubReader, desk: Desk) -> None:
    reader.takes = lambda request: Reply(status=410)
    reader.subscribe()
    desk.publish()
    reader.work()
    assert subscription_of(desk).state is SubscriptionState.ENDED


def test_29_with_a_secret_the_body_as_sent_is_signed_and_without_none_is(reader: HubReader, desk: Desk) -> None:
    reader.subscribe(secret="gehéim")
    desk.publish()
    reader.work()
    method, _, digest = reader.pushed[0].headers["x-hub-signature"].partition("=")
    assert method == "sha256"
    assert digest == hmac.new("gehéim".encode(), reader.pushed[0].body, hashlib.sha256).hexdigest()
    reader.callback += "?unsigned"
    reader.subscribe()
    assert "x-hub-signature" not in reader.pushed[-1].headers


# Not in the text, needed in practice


def test_one_callback_host_has_so_many_requests_waiting_and_is_told_when_to_come_back(
    reader: HubReader, desk: Desk, client: FlaskClient
) -> None:
    form = hub_form(desk, "")
    for number in range(100):
        assert client.post("/hub", data=form | {"hub.callback": f"{reader.callback}/{number}"}).status_code == 202
    full = client.post("/hub", data=form | {"hub.callback": f"{reader.callback}/more"})
    assert (full.status_code, full.mimetype, full.headers["Retry-After"]) == (429, "text/plain", "600")
    assert "callback host" in full.get_data(as_text=True)
    again = client.post("/hub", data=form | {"hub.callback": f"{reader.callback}/7"})
    assert again.status_code == 202  # takes the place of the one that waits
    other = client.post("/hub", data=form | {"hub.callback": "http://93.184.216.34/cb"})
    assert other.status_code == 202


def states(desk: Desk) -> dict[int, DeliveryState]:
    """What became of each callback's delivery, by the status in its query."""
    with desk.house.sessions() as session:
        found = session.execute(
            select(Subscription.endpoint, Delivery.state).join(Delivery, Delivery.subscription_id == Subscription.id)
        )
        return {int(endpoint.rpartition("=")[2]): state for endpoint, state in found}


def narrow(desk: Desk, **changes: object) -> FlaskClient:
    """Another client of the same house, with other settings."""
    config = desk.house.config.model_copy(update=changes)
    return create_app(config, replace(desk.house, config=config)).test_client()


def test_one_callback_host_has_so_many_subscriptions_and_may_always_renew(reader: HubReader, desk: Desk) -> None:
    client = narrow(desk, websub=desk.house.config.websub.model_copy(update={"subscriptions_per_host": 2}))
    for number in (1, 2):
        assert client.post("/hub", data=hub_form(desk, f"{reader.callback}/{number}")).status_code == 202
        reader.work()
    full = client.post("/hub", data=hub_form(desk, f"{reader.callback}/3"))
    assert (full.status_code, full.mimetype, full.headers["Retry-After"]) == (429, "text/plain", "3600")
    assert "subscriptions of one callback host" in full.get_data(as_text=True)
    assert client.post("/hub", data=hub_form(desk, f"{reader.callback}/2")).status_code == 202
    assert client.post("/hub", data=hub_form(desk, f"{reader.callback}/1", mode="unsubscribe")).status_code == 202
    reader.work()
    assert client.post("/hub", data=hub_form(desk, f"{reader.callback}/3")).status_code == 202


def test_one_address_asks_the_hub_so_often_and_is_told_when_to_come_back(desk: Desk) -> None:
    client = narrow(desk, limits=Limits(requests_per_address="3/minute"))
    form = hub_form(desk, "http://93.184.216.34/cb")
    assert [client.post("/hub", data=form).status_code for _ in range(3)] == [202] * 3
    full = client.post("/hub", data=form)
    assert (full.status_code, full.mimetype, full.headers["Retry-After"]) == (429, "text/plain", "20")
    assert "address" in full.get_data(as_text=True)
    assert client.post("/hub", data=form, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 202


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\x00\xff" * 1000, "application/x-www-form-urlencoded"),
        (b"hub.mode=subscribe&" * 1000, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"", ""),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
    ],
)
def test_junk_never_breaks_the_hub(client: FlaskClient, body: bytes, content_type: str) -> None:
    answer = client.post("/hub", data=body, content_type=content_type)
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")


def private_topic(desk: Desk, publisher: Publisher | None = None) -> tuple[str, str]:
    """A feed token's id, and the address of the feed by it."""
    token_id, token = token_of(desk.house, publisher or desk.publisher())
    return token_id, f"{desk.house.config.site.base_url}/f/{token}/partners.atom"


def revoke_token(desk: Desk, token_id: str) -> None:
    with desk.house.sessions.begin() as session:
        revoke(session, token_id, actor="test", at=desk.house.clock())
