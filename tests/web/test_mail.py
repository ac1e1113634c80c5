"""Leaving by the address in a letter: one click, no cookie, no account; and what the operator's mail system reports."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from syndicator.domain.base import new_id
from syndicator.domain.letters import Letter
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.unsubscribe import unsubscribe_url
from tests.desk import Desk
from tests.web.callers import key_of

REPORT = """From: MAILER-DAEMON@mx.example
To: wire@wire.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It came back.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {email}
Action: {action}
Status: {status}
--b
Content-Type: message/rfc822

Message-ID: {letter}
Subject: River gauges go live

--b--
"""


@pytest.fixture
def subscription(desk: Desk) -> Subscription:
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        made = Subscription(
            public_id=new_id("sub_"),
            publisher_id=publisher.id,
            feed="latest",
            channel=ChannelKind.EMAIL,
            endpoint="news@courier.example",
            options={},
            created_at=desk.house.clock(),
        )
        session.add(made)
    return made


def state(house: House, subscription: Subscription) -> tuple[SubscriptionState, str]:
    with house.sessions() as session:
        found = session.get_one(Subscription, subscription.id)
        return found.state, found.state_reason


def path_of(house: House, subscription: Subscription) -> str:
    return unsubscribe_url(house, subscription.public_id).removeprefix(house.config.site.base_url)


def test_looking_ends_nothing_and_one_click_without_cookie_or_account_does(
    visitor: FlaskClient, house: House, subscription: Subscription
) -> None:
    path = path_of(house, subscription)
    shown = visitor.get(path)
    assert (shown.status_code, state(house, subscription)[0]) == (200, SubscriptionState.ACTIVE)
    assert "news@courier.example" in shown.text
    for form in ({"data": {"List-Unsubscribe": "One-Click"}}, {"data": b"", "headers": {"Origin": "https://mail.example"}}):
        left = visitor.post(path, **form)
        assert (left.status_code, "Unsubscribed" in left.text) == (200, True)
        assert "Set-Cookie" not in left.headers
    assert state(house, subscription) == (SubscriptionState.ENDED, "unsubscribed by the reader")


def test_an_address_with_any_other_seal_is_not_there(visitor: FlaskClient, house: House, subscription: Subscription) -> None:
    path = path_of(house, subscription)
    for wrong in (path[:-1], path[:-1] + ("a" if path[-1] != "a" else "b"), f"/u/{subscription.public_id}.", "/u/x", "/u/ä.ö"):
        assert (visitor.get(wrong).status_code, visitor.post(wrong).status_code) == (404, 404)
    assert state(house, subscription)[0] is SubscriptionState.ACTIVE


@pytest.mark.parametrize(
    ("status", "action", "ends"), [("5.1.1", "failed", True), ("4.2.2", "delayed", False), ("5.0.0", "relayed", False)]
)
def test_a_report_of_the_mail_system_ends_what_can_never_arrive(
    visitor: FlaskClient, house: House, subscription: Subscription, status: str, action: str, ends: bool
) -> None:
    letter = f"<dlv_{subscription.public_id.removeprefix('sub_')}_7@wire.example>"
    report = REPORT.format(email="forwarded@elsewhere.example", status=status, action=action, letter=letter)
    headers = {**key_of(house, None), "Content-Type": "message/rfc822"}
    taken = visitor.post("/v1/newsroom/bounces/report", data=report, headers=headers)
    assert taken.get_json() == {"subscriptions": [subscription.public_id]}
    assert (state(house, subscription)[0] is SubscriptionState.ENDED) is ends
    with house.sessions() as session:
        told = [letter.text for letter in session.scalars(select(Letter).where(Letter.kind == "subscription-ended"))]
    assert ["news@courier.example (letters come back: status 5.1.1)" in text for text in told] == [True] * ends


def test_a_letter_to_the_address_in_the_header_unsubscribes(
    visitor: FlaskClient, house: House, subscription: Subscription
) -> None:
    token = path_of(house, subscription).removeprefix("/u/")
    headers = {**key_of(house, None), "Content-Type": "message/rfc822"}

    def post(subject: str) -> int:
        letter = f"From: reader@elsewhere.example\r\nSubject: {subject}\r\n\r\nStop.\r\n"
        return visitor.post("/v1/newsroom/bounces/report", data=letter, headers=headers).status_code

    assert post(f"unsubscribe-{token[:-1]}") == 404
    assert state(house, subscription)[0] is SubscriptionState.ACTIVE
    assert post(f"Re: unsubscribe-{token[:30]}\r\n {token[30:]}") == 200  # folded on the way
    assert state(house, subscription) == (SubscriptionState.ENDED, "unsubscribed by the reader")


def test_a_bounce_told_by_address_counts_for_that_address_alone(
    visitor: FlaskClient, house: House, subscription: Subscription
) -> None:
    key = key_of(house, None)
    for email, concerned in (("other@courier.example", []), ("NEWS@courier.example", [subscription.public_id])):
        taken = visitor.post("/v1/newsroom/bounces", json={"email": email, "lasting": True}, headers=key)
        assert taken.get_json() == {"subscriptions": concerned}
    assert state(house, subscription)[0] is SubscriptionState.ENDED


def test_junk_and_strangers_are_refused(visitor: FlaskClient, house: House, desk: Desk, subscription: Subscription) -> None:
    ours, theirs = key_of(house, None), key_of(house, desk.publisher())
    order = {"email": "news@courier.example", "lasting": True}
    assert visitor.post("/v1/newsroom/bounces", json=order, headers=theirs).status_code == 403
    assert visitor.post("/v1/newsroom/bounces", json=order).status_code == 401
    assert visitor.post("/v1/newsroom/bounces", json={"lasting": True}, headers=ours).status_code == 422
    for junk in (b"", b"\xff\x00", b"Subject: hello\r\n\r\nhello"):
        answer = visitor.post("/v1/newsroom/bounces/report", data=junk, headers={**ours, "Content-Type": "message/rfc822"})
        assert answer.status_code == 422
    assert state(house, subscription)[0] is SubscriptionState.ACTIVE
