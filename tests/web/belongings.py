"""One object of each kind that a publisher can have, made by the operations that the pages use."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.access import Decision
from syndicator.domain.accounts import MemberRole
from syndicator.domain.answers import Answers
from syndicator.domain.applications import Application, ApplicationState, AudienceEvidence
from syndicator.domain.base import new_id
from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.publishers import Publisher
from syndicator.domain.republications import Republication
from syndicator.house import House
from syndicator.operations import evidence, members
from syndicator.operations.agreements import add_agreement
from syndicator.operations.keys import create_key, create_token
from syndicator.operations.receipts import issue_receipt
from syndicator.operations.try_out import ask_for_trial
from syndicator.reasons import Reason
from syndicator.storage.queries import get_story
from tests.applicants import Applicants
from tests.desk import Desk
from tests.web.newsroom import Newsroom
from tests.web.people import People


def belongings(people: People, desk: Desk, publisher: Publisher, mark: str) -> dict[str, str]:
    """Give `publisher` one of everything; returns the ids. `mark` is a word that stands in all of it, but not in
    its story, which others may have too."""
    house, at = people.house, people.house.clock()
    member = people.member(publisher, MemberRole.EDITOR, f"bystander@{mark}.example")
    subscription = desk.subscription(publisher, endpoint=f"https://{mark}.example/in")
    newsroom = Newsroom(house)
    story = newsroom.publish("River gauges go live", external_id=mark)
    with house.sessions.begin() as session:
        ours, delivery = session.get_one(Publisher, publisher.id), _newest(session, subscription.id)
        invitation, _ = members.invite(
            session, house, ours, email=f"new@{mark}.example", role=MemberRole.EDITOR, inviter=mark, actor="test", at=at
        )
        key, _ = create_key(session, ours, actor="test", at=at, name=mark)
        token, _ = create_token(session, house.catalogue, ours, "partners", actor="test", at=at)
        application, figure = _application(session, house, ours)
        until = at + timedelta(days=30)
        agreement = add_agreement(
            session, house, ours, title=f"Contract {mark}", valid_from=at, valid_until=until, actor="test", at=at
        )
        found, granted = get_story(session, story), Decision(granted=True, reason=Reason.OK)
        receipt, _ = issue_receipt(session, house, ours, found, found.current, granted, actor="test", at=at)
        trial = ask_for_trial(session, delivery.subscription, actor="test", at=at)
        page = f"https://{mark}.example/page"
        session.add(Republication(public_id=new_id("rep_"), publisher=ours, story=found, url=page, url_hash=mark, reported_at=at))
        ids = {
            "publisher": ours.public_id,
            "domain": ours.domains[0].domain,
            "user_id": member.public_id,
            "invitation_id": invitation.public_id,
            "key_id": key.public_id,
            "token_id": token.public_id,
            "application_id": application.public_id,
            "figure_id": figure.public_id,
            "agreement_id": agreement.public_id,
            "story": story,
            "subscription_id": subscription.public_id,
            "uid": delivery_uid(subscription.public_id, delivery.event_seq),
            "trial": trial.public_id,
            "jti": receipt.jti,
        }
    newsroom.correct(story, "They go live in May.")
    with house.sessions() as session:
        return ids | {"seq": str(_newest(session, subscription.id).event_seq)}


def _newest(session: Session, subscription_id: int) -> Delivery:
    wanted = select(Delivery).where(Delivery.subscription_id == subscription_id).order_by(Delivery.event_seq.desc()).limit(1)
    return session.scalars(wanted).one()


def _application(session: Session, house: House, publisher: Publisher) -> tuple[Application, AudienceEvidence]:
    """An application of `publisher` that waits for an answer to a question, with one figure and its file."""
    at = house.clock()
    application = Application(
        public_id=new_id("app_"),
        publisher=publisher,
        answers=Answers(organisation=publisher.name, sites=(publisher.domains[0].domain,)).stored(),
        state=ApplicationState.MORE_INFO,
        applicant="owner@ours.example",
        created_at=at,
        changed_at=at,
        submitted_at=at,
    )
    session.add(application)
    session.flush()
    Applicants(house).figure(session, application)
    return application, evidence.figures_of(session, publisher.id)[0]
