"""The portal as partners use it: keys, feed addresses, subscriptions, deliveries, stories; and nothing of anybody else's."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.accounts import MemberRole, StaffRole
from syndicator.domain.agreements import Take, Way
from syndicator.domain.audit import AuditEntry
from syndicator.domain.deliveries import Delivery, DeliveryState, delivery_uid
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import MOST_NETWORKS, Publisher, PublisherState
from syndicator.domain.receipts import Receipt
from syndicator.domain.stories import Rights
from syndicator.domain.subscriptions import Subscription
from syndicator.house import House
from syndicator.operations.keys import find_key, find_token
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.try_out import MOST_AN_HOUR
from syndicator.outbound import Outbound
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.web.newsroom import Newsroom
from tests.web.people import Browser, People


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def ours(desk: Desk) -> Publisher:
    return desk.publisher()


@pytest.fixture
def owner(app: Flask, house: House, ours: Publisher) -> Browser:
    people = People(app, house)
    return people.signed_in(people.member(ours, MemberRole.OWNER, "owner@ours.example"))


def make_address(owner: Browser, house: House) -> str:
    """The path of a private feed's RSS document, with a fresh token in it."""
    made = owner.post("/portal/feeds/partners/tokens").text
    render_stale(house)
    return str(urlsplit(re.findall(r"https://\S+/f/syn_feed_\w+/partners\.rss", made)[0]).path)


def make_key(owner: Browser, name: str = "CMS import") -> str:
    answer = owner.post("/portal/keys", {"name": name, "scopes": "both", "days": "90"})
    assert answer.status_code == 201, answer.text
    return str(re.findall(r"syn_key_\w+", answer.text)[0])


def test_a_key_is_shown_once_and_works(owner: Browser, house: House, ours: Publisher, clock: HandClock) -> None:
    secret = make_key(owner)
    page = owner.get("/portal/keys").text
    assert "CMS import" in page
    assert secret not in page
    with house.sessions() as session:
        key = find_key(session, secret, at=house.clock())
        assert key is not None
        assert key.publisher_id == ours.id
        assert key.expires_at == house.clock() + timedelta(days=90)
    assert owner.client.get("/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_two_live_keys_of_a_name_are_for_rotation_and_a_third_is_refused(owner: Browser) -> None:
    make_key(owner)
    make_key(owner)
    answer = owner.post("/portal/keys", {"name": "CMS import", "scopes": "read", "days": "30"})
    assert answer.status_code == 422
    assert "two live keys" in answer.text
    old = re.findall(r"/portal/keys/(key_\w+)/revoke", owner.get("/portal/keys").text)[-1]
    assert owner.get(f"/portal/keys/{old}/revoke").status_code == 200
    assert owner.post(f"/portal/keys/{old}/revoke").status_code == 303
    make_key(owner)


def test_keys_are_made_and_revoked_only_soon_after_proving_who_one_is(owner: Browser, clock: HandClock) -> None:
    clock.advance(timedelta(minutes=11))
    answer = owner.post("/portal/keys", {"name": "CMS", "scopes": "both", "days": "90"})
    assert answer.location.startswith("/account/prove")


def test_a_private_feed_has_an_address_of_ones_own_until_it_is_revoked(owner: Browser, house: House) -> None:
    private = next(feed for feed in house.catalogue if not feed.public and not feed.licensed)
    answer = owner.post(f"/portal/feeds/{private.name}/tokens")
    assert answer.status_code == 201
    secret = re.findall(r"syn_feed_\w+", answer.text)[0]
    with house.sessions() as session:
        assert find_token(session, secret) is not None
    page = owner.get("/portal/feeds").text
    assert secret not in page
    token = re.findall(r"/portal/keys/(tok_\w+)/revoke", page)[0]
    owner.post(f"/portal/keys/{token}/revoke")
    with house.sessions() as session:
        assert find_token(session, secret) is None


def test_a_webhook_is_made_paused_resumed_given_a_new_secret_and_removed(owner: Browser, house: House) -> None:
    answer = owner.post("/portal/subscriptions/new/webhook", {"feed": "latest", "endpoint": "https://203.0.113.9/in"})
    assert answer.status_code == 422  # documentation addresses are nobody's
    assert "address not allowed" in answer.text
    answer = owner.post("/portal/subscriptions/new/webhook", {"feed": "latest", "endpoint": "http://127.0.0.1:8443/in"})
    assert answer.status_code == 201
    assert len(re.findall(r"whsec_[\w+/=]+", answer.text)) > 0
    with house.sessions() as session:
        made = session.scalars(select(Subscription)).one().public_id
    path = f"/portal/subscriptions/{made}"
    for verb, state in (("pause", "paused"), ("resume", "active")):
        assert owner.post(f"{path}/{verb}").status_code == 303
        assert f">{state}</span>" in owner.get(path).text
    assert "whsec_" in owner.post(f"{path}/rotate-secret").text
    assert "Keep everything as it is" in owner.get(f"{path}/remove").text
    owner.post(f"{path}/remove")
    assert ">ended</span>" in owner.get(path).text
    assert "has ended" in owner.post(f"{path}/resume", follow_redirects=True).text


def test_a_settled_delivery_shows_its_attempts_and_is_sent_again(
    owner: Browser, house: House, desk: Desk, ours: Publisher, newsroom: Newsroom
) -> None:
    subscription = desk.subscription(ours)
    newsroom.publish("River gauges go live")
    uid = delivery_uid(subscription.public_id, desk.owed(subscription)[0].event_seq)
    assert "Send it again" not in owner.get(f"/portal/deliveries/{uid}").text
    with house.sessions.begin() as session:
        delivery = session.scalars(select(Delivery)).one()
        delivery.state, delivery.next_attempt_at, delivery.last_reason = DeliveryState.GIVEN_UP, None, "http-500"
    page = owner.get("/portal/deliveries?state=given_up").text
    assert uid in page
    assert "it answered with status 500" in page
    assert owner.post(f"/portal/deliveries/{uid}/replay").status_code == 303
    assert desk.owed(subscription)[0].state is DeliveryState.OWED
    assert uid not in owner.get("/portal/deliveries?state=given_up").text


def test_stories_are_found_read_copied_with_the_notice_and_noted_as_taken(
    owner: Browser, house: House, newsroom: Newsroom, ours: Publisher
) -> None:
    story = newsroom.publish("River gauges go live", body_html="<p>Sensors measure the Sacramento.</p>")
    newsroom.publish("Ports win freight")
    page = owner.get("/portal/stories?q=sacramento").text
    assert f"/portal/stories/{story}" in page
    assert "Ports" not in page
    assert owner.get(f"/portal/stories/{story}").status_code == 200
    with house.sessions() as session:
        assert session.scalars(select(Take)).all() == []  # reading is not taking
    copied = owner.get(f"/portal/stories/{story}/copy/html")
    assert copied.mimetype == "text/plain"
    assert copied.text.count("available without charge") == 1
    for kind in ("html", "text", "ninjs", "newsml", "jsonld", "jsonfeed"):
        answer = owner.get(f"/portal/stories/{story}/download/{kind}")
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="river-gauges-go-live-v1.')
        assert answer.text.count("available without charge") == 1, kind
    with house.sessions() as session:
        assert session.scalars(select(Take)).one().way is Way.COPY


def test_a_suspended_publisher_is_refused_everywhere_with_the_reason(
    owner: Browser, desk: Desk, ours: Publisher, newsroom: Newsroom, house: House
) -> None:
    story = newsroom.publish("River gauges go live")
    private = next(feed for feed in house.catalogue if not feed.public and not feed.licensed)
    desk.move(ours, PublisherState.SUSPENDED)
    for path in ("/portal/stories", "/portal/keys", "/portal/subscriptions"):
        assert "suspended" in owner.get(path).text, path
    for path in (f"/portal/stories/{story}", f"/portal/stories/{story}/copy/html", f"/portal/stories/{story}/download/ninjs"):
        answer = owner.get(path)
        assert answer.status_code == 403
        assert "suspended" in answer.text
    posts = {
        "/portal/keys": {"name": "x", "scopes": "both", "days": "90"},
        f"/portal/feeds/{private.name}/tokens": {},
        "/portal/subscriptions/new/webhook": {"feed": private.name, "endpoint": "http://127.0.0.1:8443/in"},
    }
    for path, form in posts.items():
        answer = owner.post(path, form)
        assert answer.status_code == 403, path
        assert "suspended" in answer.text


def test_why_tells_what_decides_and_nothing_of_a_story_one_may_not_know(
    owner: Browser, desk: Desk, ours: Publisher, newsroom: Newsroom, house: House
) -> None:
    subscription = desk.subscription(ours)
    story = newsroom.publish("River gauges go live")
    secret = newsroom.publish("Budget leak", embargoed_until=house.clock() + timedelta(hours=3))
    page = owner.get(f"/portal/why?story={house.config.site.base_url}/stories/{story}/river-gauges-go-live").text
    assert "may be taken now" in page
    assert subscription.endpoint.split("/")[2] in page
    assert "Latest stories by webhook" in page
    for unknown in (secret, "nothing", "x" * 3000):
        page = owner.get("/portal/why", query_string={"story": unknown}).text
        assert "We know of no such story" in page
        assert "Budget leak" not in page
    newsroom.kill(story, "It was false.")
    assert "killed" in owner.get(f"/portal/why?story={story}").text


def test_what_belongs_to_another_publisher_is_not_there(
    owner: Browser, app: Flask, house: House, desk: Desk, newsroom: Newsroom
) -> None:
    theirs = desk.subscription(desk.publisher(), endpoint="https://secret.example/in")
    newsroom.publish("River gauges go live")
    uid = delivery_uid(theirs.public_id, desk.owed(theirs)[0].event_seq)
    for path in (
        f"/portal/subscriptions/{theirs.public_id}",
        f"/portal/subscriptions/{theirs.public_id}/remove",
        f"/portal/deliveries/{uid}",
        f"/portal/deliveries?subscription={theirs.public_id}",
    ):
        assert owner.get(path).status_code == 404, path
    for verb in ("pause", "resume", "remove", "rotate-secret"):
        assert owner.post(f"/portal/subscriptions/{theirs.public_id}/{verb}").status_code == 404, verb
    assert owner.post(f"/portal/deliveries/{uid}/replay").status_code == 404
    for path in ("/portal/deliveries", "/portal/subscriptions", "/portal/why?story=x"):
        assert "secret.example" not in owner.get(path).text


def test_a_new_partner_is_led_to_its_first_story(
    owner: Browser, house: House, desk: Desk, ours: Publisher, clock: HandClock
) -> None:
    with house.sessions.begin() as session:
        session.get_one(Publisher, ours.id).terms_version = ""
    assert 'href="/portal/terms"' in owner.get("/portal/").text
    with house.sessions.begin() as session:
        session.get_one(Publisher, ours.id).terms_version = house.config.license.version
    page = owner.get("/portal/").text
    assert "Copy a feed address" in page
    secret = make_key(owner)
    assert "See the first one arrive" in owner.get("/portal/").text
    owner.client.get("/v1/stories", headers={"Authorization": f"Bearer {secret}"})
    assert "To your first story" not in owner.get("/portal/").text


def test_a_kill_is_acknowledged_once_and_the_desk_sees_it(
    owner: Browser, house: House, desk: Desk, ours: Publisher, newsroom: Newsroom
) -> None:
    desk.subscription(ours)
    story = newsroom.publish("River gauges go live")
    newsroom.kill(story, "The numbers were invented.")
    page = owner.get("/portal/acknowledgements").text
    assert "The numbers were invented." in page
    assert "waits for your word" in owner.get("/portal/").text
    path = re.findall(r'action="(/portal/acknowledgements/\d+)"', page)[0]
    assert owner.post(path).status_code == 303
    assert "Nothing to act on" in owner.get("/portal/acknowledgements").text


@pytest.mark.parametrize(
    ("channel", "form", "field"),
    [
        ("email", {"endpoint": "me@elsewhere.example", "frequency": "instant", "hour": "7", "timezone": "UTC"}, "endpoint"),
        ("email", {"endpoint": "", "frequency": "daily", "hour": "7", "timezone": "Mars/Base"}, "timezone"),
        ("wordpress", {"endpoint": "https://127.0.0.1:8443", "user": "wire", "credential": ""}, "credential"),
        (
            "sftp",
            {"endpoint": "sftp://127.0.0.1:2222", "user": "u", "credential": "p", "host_key": "x", "format": "ninjs"},
            "host_key",
        ),
    ],
)
def test_each_channel_says_at_its_field_what_is_wrong(owner: Browser, channel: str, form: dict[str, str], field: str) -> None:
    answer = owner.post(f"/portal/subscriptions/new/{channel}", {"feed": "latest", **form})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text


def test_mail_is_subscribed_to_without_any_secret(owner: Browser, house: House, ours: Publisher) -> None:
    form = {"feed": "latest", "endpoint": ours.email, "frequency": "daily", "hour": "6", "timezone": "Europe/Paris"}
    answer = owner.post("/portal/subscriptions/new/email", form)
    assert answer.status_code == 201
    assert "Signing secret" not in answer.text
    with house.sessions() as session:
        assert session.scalars(select(Subscription)).one().options["hour"] == 6


def test_a_page_with_a_story_is_reported_on_ones_own_sites_alone(
    owner: Browser, house: House, ours: Publisher, newsroom: Newsroom, app: Flask
) -> None:
    story = newsroom.publish("River gauges go live")
    hidden = newsroom.publish("Budget leak", embargoed_until=house.clock() + timedelta(hours=3))
    mine = f"https://www.{ours.email.split('@')[1]}/river"
    for form in (
        {"url": "https://elsewhere.example/x", "story": story},
        {"url": mine, "story": hidden},
        {"url": mine, "story": "?"},
    ):
        assert owner.post("/portal/republications", form).status_code == 422, form
    assert (
        owner.post("/portal/republications", {"url": mine, "story": f"https://wire.example/stories/{story}"}).status_code == 303
    )
    assert mine.split("/")[2] in owner.get("/portal/republications").text
    people = People(app, house)
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    assert mine.split("/")[2] in admin.get(f"/desk/publishers/{ours.public_id}").text


def test_a_receipt_is_given_for_a_story_shown_checked_and_revoked_by_a_kill(
    owner: Browser, desk: Desk, ours: Publisher, newsroom: Newsroom, house: House, app: Flask
) -> None:
    story = newsroom.publish("River gauges go live")
    assert "Get a receipt" in owner.get(f"/portal/stories/{story}").text
    given = owner.post(f"/portal/stories/{story}/receipt")
    assert given.status_code == 303
    jti = given.location.rsplit("/", 1)[1]
    page = owner.get(f"/portal/receipts/{jti}").text
    assert f'data-copy="{BASE_URL}/receipts/verify?receipt={jti}"' in page
    token = re.findall(r"eyJ[\w.-]{100,}", page)[0]
    for shown in (jti, token):
        assert "This receipt holds" in owner.get(f"/receipts/verify?receipt={shown}").text
    assert f"/receipts/verify?receipt={jti}" in owner.get("/portal/use").text
    assert owner.post(f"/portal/stories/{story}/receipt").location.endswith(jti)  # the one that holds is not repeated
    with house.sessions() as session:
        assert session.scalars(select(Take)).one().way is Way.RECEIPT
        assert session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "receipt.issue")).all() == [
            "owner@ours.example"
        ]
    people = People(app, house)
    stranger = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "stranger@other.example"))
    assert stranger.get(f"/portal/receipts/{jti}").status_code == 404
    newsroom.kill(story, "Invented.")
    assert "killed" in owner.get(f"/portal/receipts/{jti}").text
    assert "killed" in owner.get("/portal/use").text
    assert owner.post(f"/portal/stories/{story}/receipt").status_code == 410


def test_no_receipt_is_given_to_who_may_not_take_the_story(
    owner: Browser, desk: Desk, ours: Publisher, newsroom: Newsroom, house: House
) -> None:
    licensed = newsroom.publish("Long read", rights=Rights.LICENSED)
    hidden = newsroom.publish("Budget leak", embargoed_until=house.clock() + timedelta(hours=3))
    story = newsroom.publish("River gauges go live")
    assert owner.post(f"/portal/stories/{licensed}/receipt").status_code == 403
    assert owner.post(f"/portal/stories/{hidden}/receipt").status_code in {403, 404}
    desk.move(ours, PublisherState.SUSPENDED)
    assert owner.post(f"/portal/stories/{story}/receipt").status_code == 403
    with house.sessions() as session:
        assert session.scalars(select(Receipt)).all() == []


def test_where_a_key_and_a_feed_address_are_used_from_is_shown(owner: Browser, house: House, app: Flask) -> None:
    secret = make_key(owner)
    app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {secret}"}, environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert "from 198.51.100.7" in owner.get("/portal/keys").text
    address = make_address(owner, house)
    app.test_client().get(address, environ_base={"REMOTE_ADDR": "2001:db8::7"})
    assert "from 2001:db8::7" in owner.get("/portal/feeds").text


def test_a_feed_address_that_is_read_from_many_places_is_told_once_a_day(
    owner: Browser, house: House, app: Flask, clock: HandClock, ours: Publisher
) -> None:
    """Reliability, section 2: whoever has the address has the feed, so its owner is told when many seem to have it."""
    address = make_address(owner, house)

    def read_from(networks: int) -> list[Letter]:
        for network in range(networks):
            clock.advance(timedelta(minutes=1))
            for host in (1, 2):  # two of one network are one
                app.test_client().get(address, environ_base={"REMOTE_ADDR": f"198.51.{network}.{host}"})
        with house.sessions() as session:
            return list(session.scalars(select(Letter).where(Letter.recipient == ours.email)))

    assert read_from(MOST_NETWORKS) == []
    assert "from many networks" not in owner.get("/portal/feeds").text
    [letter] = read_from(MOST_NETWORKS + 3)
    assert "read from many places" in letter.subject
    assert "from many networks today" in owner.get("/portal/feeds").text
    clock.advance(timedelta(days=1))
    assert "from many networks" not in owner.get("/portal/feeds").text
    assert len(read_from(MOST_NETWORKS + 1)) == 2


def test_a_test_by_mail_comes_as_stories_will_and_the_page_says_so(owner: Browser, house: House, ours: Publisher) -> None:
    owner.post("/portal/subscriptions/new/email", {"feed": "latest", "endpoint": ours.email, "frequency": "instant"})
    with house.sessions() as session:
        page = f"/portal/subscriptions/{session.scalars(select(Subscription.public_id)).one()}"
    assert "Send a test" in owner.get(page).text
    assert owner.post(f"{page}/test").status_code == 303
    assert "on its way" in owner.get(page).text
    assert TrialTalks(house, Outbound(house.config.outbound, "test")).hold_due() == 1
    assert "worked" in owner.get(page).text
    [letter] = (house.config.data_dir / "outbox").iterdir()
    message = message_from_bytes(letter.read_bytes(), policy=policy.default)
    assert (message["To"], message["List-Id"]) == (ours.email, "latest <latest.wire.example>")
    assert "This is an example" in message.as_string()


def test_a_subscription_is_not_tried_out_without_end(owner: Browser, house: House, ours: Publisher) -> None:
    owner.post("/portal/subscriptions/new/email", {"feed": "latest", "endpoint": ours.email, "frequency": "instant"})
    with house.sessions() as session:
        page = f"/portal/subscriptions/{session.scalars(select(Subscription.public_id)).one()}"
    for _ in range(MOST_AN_HOUR):
        assert "A test is on its way" in owner.post(f"{page}/test", follow_redirects=True).text
        TrialTalks(house, Outbound(house.config.outbound, "test")).hold_due()
    assert "wait a while" in owner.post(f"{page}/test", follow_redirects=True).text
