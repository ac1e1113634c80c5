"""A subscription that logs in counts only once we got in: tried by the timetable, never while the member waits for the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import Subscription, SubscriptionState, Trial
from syndicator.house import House
from syndicator.outbound import Outbound
from tests.channels.wordpress_target import PASSWORD, WordPressTarget
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


@pytest.fixture
def target() -> Iterator[WordPressTarget]:
    with WordPressTarget().running() as running:
        yield running


def subscribe(owner: Browser, house: House, target: WordPressTarget, password: str = PASSWORD) -> str:
    form = {"feed": "latest", "endpoint": target.url, "user": "desk", "credential": password, "status": "publish"}
    answer = owner.post("/portal/subscriptions/new/wordpress", form | {"on_kill": "trash"})
    assert answer.status_code == 201, answer.text
    assert target.asked == []  # the page waited for nobody
    return f"/portal/subscriptions/{found(house).public_id}"


def found(house: House) -> Subscription:
    with house.sessions() as session:
        return session.scalars(select(Subscription)).one()


def run(house: House) -> int:
    return TrialTalks(house, Outbound(house.config.outbound, house.config.user_agent)).hold_due()


def test_it_counts_as_soon_as_we_could_log_in_and_has_what_was_published_meanwhile(
    owner: Browser, house: House, desk: Desk, target: WordPressTarget, newsroom: Newsroom
) -> None:
    page = subscribe(owner, house, target)
    assert "waits until we could log in there" in owner.get(page).text
    newsroom.publish("River gauges go live", published_at=house.clock())
    assert [each.state.value for each in desk.owed(found(house))] == []
    assert run(house) == 1
    assert [route for _, route in target.asked] == ["/wp/v2/users/me"]
    assert found(house).state is SubscriptionState.ACTIVE
    assert ">worked</span>" in owner.get(page).text
    assert [each.state.value for each in desk.owed(found(house))] == ["owed"]
    assert run(house) == 0


def test_a_login_that_fails_is_told_and_tried_again_on_demand(owner: Browser, house: House, target: WordPressTarget) -> None:
    page = subscribe(owner, house, target)
    target.role = "subscriber"
    run(house)
    assert found(house).state is SubscriptionState.PAUSED
    assert "we could not log in there: this WordPress user may not make posts" in owner.get(page).text
    target.role = "editor"
    owner.post(f"{page}/resume")
    assert found(house).state is SubscriptionState.PAUSED
    assert "is under way" in owner.post(f"{page}/resume", follow_redirects=True).text
    run(house)
    assert found(house).state is SubscriptionState.ACTIVE


def test_a_wrong_password_never_counts(owner: Browser, house: House, target: WordPressTarget) -> None:
    subscribe(owner, house, target, password="guessed")
    run(house)
    assert found(house).state is SubscriptionState.PAUSED
    assert found(house).state_reason.startswith("we could not log in there: ")


def test_what_its_owner_paused_or_removed_meanwhile_stays_so(owner: Browser, house: House, target: WordPressTarget) -> None:
    page = subscribe(owner, house, target)
    owner.post(f"{page}/pause")
    run(house)
    assert found(house).state is SubscriptionState.PAUSED
    assert found(house).state_reason.startswith("paused by")
    owner.post(f"{page}/resume")
    owner.post(f"{page}/remove")
    run(house)
    assert found(house).state is SubscriptionState.ENDED


def test_a_test_writes_and_says_before_and_after_what_it_does(owner: Browser, house: House, target: WordPressTarget) -> None:
    page = subscribe(owner, house, target)
    run(house)
    assert target.posts == {}  # a login writes nothing
    before = owner.get(page).text
    assert "makes an example as a draft, whatever you chose for stories, and puts it into the trash at once" in before
    assert "a login: " in before
    owner.post(f"{page}/test")
    assert "a test: " in owner.get(page).text
    run(house)
    [post] = target.posts.values()
    assert post["status"] == "trash"
    assert f"post {post['id']} was made as a draft and put into the trash" in owner.get(page).text


def test_a_test_that_fails_changes_nothing(owner: Browser, house: House, target: WordPressTarget) -> None:
    page = subscribe(owner, house, target)
    run(house)
    target.role = "subscriber"
    owner.post(f"{page}/test")
    run(house)
    assert found(house).state is SubscriptionState.ACTIVE
    with house.sessions() as session:
        assert [trial.outcome for trial in session.scalars(select(Trial).order_by(Trial.id))] == ["accepted", "deferred"]
