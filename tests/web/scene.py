"""A day at the desk and in the portal, made by the operations that the pages use: something stands on every page.

For the browser tests, which look for faults on each page, and for the pictures in docs/screenshots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.access import Decision
from syndicator.channels import Accepted, Deferred, Refused
from syndicator.domain.accounts import MemberRole, StaffRole
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, delivery_uid
from syndicator.domain.inquiries import Said
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import ApiKey, Publisher
from syndicator.domain.republications import BeaconDay, Republication
from syndicator.domain.stories import SourceKind
from syndicator.domain.subscriptions import ChannelKind, Subscription
from syndicator.domain.tallies import DailyTally
from syndicator.house import House
from syndicator.jobs import JOBS, run_job
from syndicator.operations import inquiries, subscriptions, try_out
from syndicator.operations.agreements import add_agreement
from syndicator.operations.keys import create_key, create_token
from syndicator.operations.receipts import issue_receipt
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.sources import add_source
from syndicator.outbound import Outbound
from syndicator.reasons import Reason
from syndicator.storage.queries import get_story
from tests.applicants import Applicants
from tests.desk import Desk
from tests.web.newsroom import Newsroom
from tests.web.people import Browser, People


@dataclass(slots=True)
class Scene:
    """Pages by name, for the member and for the administrator, each with a browser in which they are signed in."""

    owner: Browser
    admin: Browser
    portal: dict[str, str] = field(default_factory=dict)
    desk: dict[str, str] = field(default_factory=dict)


def furnish(app: Flask, house: House, lead: str) -> Scene:
    """Fill the house, which has the news of `lead` in it already."""
    people, at = People(app, house), house.clock()
    applicants = Applicants(house)
    publisher = applicants.approved(organisation="The Valley Courier")
    applicants.submitted(organisation="The Vаlley Courier", visitors=90_000, proven=False)
    waiting = applicants.submitted(organisation="Harbor Herald", visitors=420_000)
    with house.sessions.begin() as session:
        ours = session.get_one(Publisher, publisher.id)
        ours.terms_version, ours.terms_accepted_at = house.config.license.version, at
    subscription = Desk(house).subscription(publisher, endpoint="https://cms.courier.example/hooks/stories")
    newsroom = Newsroom(house)
    story = newsroom.publish("Bridge Tolls To End In March", section="Economy", published_at=at)
    _deliver(house, reason="http-200")
    newsroom.kill(story, "The board has not voted on it yet.")
    failing = newsroom.publish("Library Opens On Sundays Again", section="Education", published_at=at)
    uid = _fail(house, subscription.id)
    inquiry = _ask(house)
    agreement = _set_up(house, publisher)
    receipt = _leave_traces(house, publisher, lead)
    down = newsroom.publish("Ferry Timetable For The Summer", section="Travel", published_at=at)
    newsroom.take_down(down, "Published a week too early.")
    render_stale(house)
    owner = people.signed_in(people.member(publisher, MemberRole.OWNER, "mara@courier.example"))
    admin = people.signed_in(people.user("admin@newsroom.example", staff=StaffRole.ADMIN))
    technician = people.member(publisher, MemberRole.TECHNICIAN, "noa@courier.example")
    editor = people.user("lena@newsroom.example", staff=StaffRole.EDITOR)
    with house.sessions() as session:
        key = session.scalars(select(ApiKey.public_id).where(ApiKey.publisher_id == publisher.id)).one()
        letter = session.scalars(select(Letter.public_id).order_by(Letter.id).limit(1)).one()
    return Scene(
        owner,
        admin,
        _portal(subscription.public_id, uid, lead, story, receipt)
        | {
            "login": f"/portal/subscriptions/{_log_in(house, publisher)}",
            "test": f"/portal/subscriptions/{_try_out(house, publisher)}",
            "member": f"/portal/members/{technician.public_id}",
            "revoke": f"/portal/keys/{key}/revoke",
        },
        _desk(publisher, waiting.public_id, uid, lead, story, failing, inquiry)
        | _more(publisher, agreement, down)
        | {
            "staff-member": f"/desk/users/{editor.public_id}",
            "letter": f"/desk/letters/{letter}",
            "revoke": f"/desk/publishers/{publisher.public_id}/credentials/{key}/revoke",
        },
    )


def _portal(subscription: str, uid: str, lead: str, killed: str, receipt: str) -> dict[str, str]:
    return {
        "start": "/portal/",
        "stories": "/portal/stories?q=bridge",
        "story": f"/portal/stories/{lead}",
        "feeds": "/portal/feeds",
        "keys": "/portal/keys",
        "subscriptions": "/portal/subscriptions",
        "subscribe": "/portal/subscriptions/new/wordpress",
        "subscribe-webhook": "/portal/subscriptions/new/webhook",
        "subscribe-email": "/portal/subscriptions/new/email",
        "subscribe-sftp": "/portal/subscriptions/new/sftp",
        "subscription": f"/portal/subscriptions/{subscription}",
        "remove": f"/portal/subscriptions/{subscription}/remove",
        "deliveries": "/portal/deliveries",
        "delivery": f"/portal/deliveries/{uid}",
        "why": f"/portal/why?story={killed}",
        "kills": "/portal/acknowledgements",
        "pages": "/portal/republications",
        "use": "/portal/use",
        "receipt": f"/portal/receipts/{receipt}",
        "members": "/portal/members",
        "terms": "/portal/terms",
        "application": "/portal/application",
        "account": "/account/",
        "password": "/account/password",
        "second-factor": "/account/second-factor",
        "prove": "/account/prove",
    }


def _desk(publisher: Publisher, application: str, uid: str, lead: str, killed: str, failing: str, inquiry: str) -> dict[str, str]:
    return {
        "start": "/desk/",
        "applications": "/desk/applications",
        "application": f"/desk/applications/{application}",
        "what-if": "/desk/what-if",
        "publishers": "/desk/publishers",
        "publisher": f"/desk/publishers/{publisher.public_id}",
        "inquiries": "/desk/inquiries",
        "inquiry": f"/desk/inquiries/{inquiry}",
        "stories": "/desk/stories",
        "story": f"/desk/stories/{lead}",
        "killed": f"/desk/stories/{killed}",
        "correct": f"/desk/stories/{failing}/correct",
        "kill": f"/desk/stories/{lead}/withdraw/kill",
        "why": f"/desk/why?story={failing}&publisher={publisher.public_id}",
        "feeds": "/desk/feeds",
        "sources": "/desk/sources",
        "deliveries": "/desk/deliveries?state=given_up",
        "delivery": f"/desk/deliveries/{uid}",
        "letters": "/desk/letters",
        "jobs": "/desk/jobs",
        "audit": "/desk/audit?check=1",
        "staff": "/desk/users",
    }


def _more(publisher: Publisher, agreement: str, down: str) -> dict[str, str]:
    return {
        "agreements": "/desk/agreements",
        "agreement": f"/desk/publishers/{publisher.public_id}/agreements/new",
        "agreement-term": f"/desk/publishers/{publisher.public_id}/agreements/{agreement}/term",
        "agreement-end": f"/desk/publishers/{publisher.public_id}/agreements/{agreement}/end",
        "phone-list": f"/desk/publishers/{publisher.public_id}/phone-list",
        "suspend": f"/desk/publishers/{publisher.public_id}/suspend",
        "not-acknowledged": "/desk/acknowledgements",
        "remove-source": "/desk/sources/newsroom.example/remove",
        "reported": "/desk/pages",
        "restore": f"/desk/stories/{down}/restore",
        "down": f"/desk/stories/{down}",
    }


def _deliver(house: House, *, reason: str) -> None:
    at = house.clock()
    with house.sessions.begin() as session:
        for delivery in session.scalars(select(Delivery).where(Delivery.state == DeliveryState.OWED)):
            delivery.state, delivery.settled_at, delivery.next_attempt_at, delivery.attempt_count = (
                DeliveryState.DELIVERED,
                at,
                None,
                1,
            )
            delivery.subscription.last_delivered_at = at
            session.add(Attempt(delivery_id=delivery.id, at=at, outcome="accepted", status=200, duration_ms=84, answer="ok"))


def _fail(house: House, subscription_id: int) -> str:
    """Give the newest delivery of the subscription up, after some attempts; returns its id."""
    at = house.clock()
    with house.sessions.begin() as session:
        newest = select(Delivery).where(Delivery.subscription_id == subscription_id).order_by(Delivery.id.desc()).limit(1)
        delivery = session.scalars(newest).one()
        delivery.state, delivery.settled_at, delivery.next_attempt_at = DeliveryState.GIVEN_UP, at, None
        delivery.attempt_count, delivery.last_reason = 3, "http-500"
        for hours in (30, 9, 1):
            answer = "<h1>500 Internal Server Error</h1>"
            when = at - timedelta(hours=hours)
            session.add(
                Attempt(
                    delivery_id=delivery.id,
                    at=when,
                    outcome="deferred",
                    reason="http-500",
                    status=500,
                    duration_ms=912,
                    answer=answer,
                )
            )
        return delivery_uid(delivery.subscription.public_id, delivery.event_seq)


def _log_in(house: House, publisher: Publisher) -> str:
    """Make a subscription that we could not log in for; returns its id."""
    at = house.clock()
    with house.sessions.begin() as session:
        held = _subscribe(session, house, publisher, ChannelKind.WORDPRESS, "https://1.1.1.1/", {"user": "wire"})
        try_out.hold_until_login(session, held, actor="mara@courier.example", at=at)
        try_out.finish(try_out.trials_of(session, held)[0], Refused("http-401"), at=at)
        held.state_reason = f"{try_out.FAILED}it answered with status 401"
        return held.public_id


def _try_out(house: House, publisher: Publisher) -> str:
    """Make a subscription that was tried out; returns its id."""
    at, there = house.clock(), {"user": "wire", "host_key": f"SHA256:{'uNiVztks' * 5}WG0", "folder": "/incoming/wire"}
    name = "20260721T211200Z_EXAMPLE_tst_2v1jh8dnvbmfa24g_v1_canceled.json"
    done = Accepted(f"the file {name} (2,113 bytes) was written whole into /incoming/wire")
    with house.sessions.begin() as session:
        made = _subscribe(session, house, publisher, ChannelKind.SFTP, "sftp://1.1.1.1", there)
        for outcome in (Deferred("timeout"), done):
            trial = try_out.ask_for_trial(session, made, actor="mara@courier.example", at=at)
            try_out.finish(trial, outcome, at=at)
        return made.public_id


def _subscribe(
    session: Session, house: House, publisher: Publisher, channel: ChannelKind, endpoint: str, options: dict[str, str]
) -> Subscription:
    made, _ = subscriptions.subscribe(
        session,
        house,
        Outbound(house.config.outbound, house.config.user_agent),
        session.get_one(Publisher, publisher.id),
        feed="latest",
        channel=channel,
        endpoint=endpoint,
        options=dict(options),
        credential="abcd EFGH 1234 ijkl",
        actor="mara@courier.example",
        at=house.clock(),
    )
    return made


def _ask(house: House) -> str:
    at = house.clock()
    with house.sessions.begin() as session:
        inquiry = inquiries.ask(
            session,
            house,
            name="Ann Lee",
            email="ann@films.example",
            organisation="Lee Films",
            subject="A film about the reservoirs",
            words="We would like to quote your story in a documentary, in cinemas and online, for ten years.",
            address="192.0.2.9",
            at=at,
        )
        inquiries.reply(session, house, inquiry.public_id, words="Gladly. Which passages?", actor="rita@newsroom.example", at=at)
        inquiries.note(session, inquiry.public_id, said=Said.NOTED, words="Usual fee.", actor="rita@newsroom.example", at=at)
        return inquiry.public_id


def _set_up(house: House, publisher: Publisher) -> str:
    """Credentials, an agreement, a source, what jobs did, and two weeks of figures; returns the agreement's id."""
    at, outbound = house.clock(), Outbound(house.config.outbound, house.config.user_agent)
    private = next(feed for feed in house.catalogue if not feed.public and not feed.licensed)
    with house.sessions.begin() as session:
        ours = session.get_one(Publisher, publisher.id)
        create_key(session, ours, actor="mara@courier.example", at=at, name="CMS import")
        create_token(session, house.catalogue, ours, private.name, actor="mara@courier.example", at=at)
        term = at + timedelta(days=200)
        agreement = add_agreement(
            session,
            house,
            ours,
            title="Contract 2026-14",
            valid_from=at,
            valid_until=term,
            quota=50,
            actor="rita@newsroom.example",
            at=at,
        )
        source = add_source(
            session,
            house,
            outbound,
            kind=SourceKind.WORDPRESS,
            url="https://1.1.1.1/",
            name="newsroom.example",
            section="",
            every_seconds=300,
            credentials="",
            actor="admin@newsroom.example",
            at=at,
        )
        source.cursor = {"gone": {"https://newsroom.example/?p=812": {"why": "trashed", "since": at.isoformat()}}}
        source.last_success_at = at
        for day in range(14):
            when = (at - timedelta(days=day)).date().isoformat()
            for outcome, value in (("accepted", 400 + 37 * (day % 5)), ("deferred", 20 + 9 * (day % 4)), ("refused", day % 3)):
                session.add(DailyTally(day=when, name="attempts", label=outcome, value=value))
            for place, feed in enumerate(house.catalogue):
                polls = (9000 + 800 * (day % 6)) // (place + 1)
                session.add(DailyTally(day=when, name="polls", label=feed.name, value=polls))
            session.add(DailyTally(day=when, name="publisher_polls", label=str(publisher.id), value=288 - day % 3))
    run_job(next(job for job in JOBS if job.name == "expire-stories"), house, outbound)
    with house.sessions.begin() as session:
        session.execute(update(Delivery).where(Delivery.state == DeliveryState.OWED).values(next_attempt_at=at))
        return agreement.public_id


def _leave_traces(house: House, publisher: Publisher, lead: str) -> str:
    """A receipt, views of copies, and two reported pages, one with a fault; returns the receipt's id."""
    at = house.clock()
    with house.sessions.begin() as session:
        ours, story = session.get_one(Publisher, publisher.id), get_story(session, lead)
        site = ours.domains[0].domain
        session.add(BeaconDay(publisher_id=ours.id, story_id=story.id, day=at.date(), host=site, views=1830))
        for name, words in (("news/reservoirs", ""), ("archive/reservoirs-full", "The notice is missing.")):
            findings = {"fine": not words, "words": words}
            url = f"https://{site}/{name}"
            page = Republication(
                public_id=new_id("rep_"), publisher=ours, story=story, url=url, url_hash=name, reported_at=at, findings=findings
            )
            page.checked_at = at
            session.add(page)
        granted = Decision(granted=True, reason=Reason.OK)
        receipt, _ = issue_receipt(session, house, ours, story, story.current, granted, actor="mara@courier.example", at=at)
        return receipt.jti
