"""Deciding about applications and publishers: take, note, ask for more, approve, decline, suspend, reinstate, revoke.

Whoever decides says which `version` of the application was on the page; if anything has changed since, or somebody else has
decided, that is a Conflict (and the row's own lock catches two at the same instant). Nobody decides about their own publisher, or
about one of their own mail domain (reliability S10). Each decision has a reason and a letter, which may be edited.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import Membership, User, fold_email
from syndicator.domain.applications import (
    WAITING_STATES,
    Application,
    ApplicationNote,
    ApplicationState,
    PublisherContact,
    state_may_follow,
)
from syndicator.domain.eligibility import judge
from syndicator.domain.mailboxes import mail_domain, public_mailbox, same_organisation
from syndicator.domain.publishers import EligibilityDecision, Publisher, PublisherState
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit, publishers
from syndicator.operations.eligibility import facts_of, policy_of
from syndicator.operations.letters import write_letter
from syndicator.operations.resemblance import remarks_on

MACHINE = "job:auto-approve"
BATCH = 50


def get_application(session: Session, public_id: str, *, lock: bool = False) -> Application:
    """Return the application; raises NotFound. What was never sent is nobody's business but its applicant's."""
    wanted = select(Application).where(Application.public_id == public_id, Application.submitted_at.is_not(None))
    application = session.scalars(wanted.with_for_update(of=Application) if lock else wanted).one_or_none()
    if application is None:
        raise NotFound(f"there is no application {public_id!r}")
    return application


def take(session: Session, public_id: str, *, version: int, reviewer: str, at: datetime) -> Application:
    """Make `reviewer` the owner of a waiting application, also in the place of another."""
    application = _as_shown(session, public_id, version)
    if application.state is ApplicationState.SUBMITTED:
        _move(application, ApplicationState.IN_REVIEW, at)
    before, application.owner = application.owner, reviewer
    audit.record(session, reviewer, "application.take", application.public_id, at=at, before=before)
    return application


def add_note(session: Session, public_id: str, words: str, *, author: str, at: datetime) -> None:
    """Write a remark that only the desk sees. Raises InvalidRequest for an empty one."""
    application = get_application(session, public_id)
    if not words.strip():
        raise InvalidRequest("Write something.", "words")
    session.add(ApplicationNote(application_id=application.id, words=words.strip()[:4000], author=author, written_at=at))
    audit.record(session, author, "application.note", application.public_id, at=at)


def ask(
    session: Session, house: House, public_id: str, *, version: int, question: str, letter: str, reviewer: str, at: datetime
) -> Application:
    """Ask the applicant for more; it answers in place."""
    if not question.strip():
        raise InvalidRequest("Write what you need to know.", "reason")
    question = question.strip()
    application = _as_shown(session, public_id, version)
    refuse_own(session, application.publisher, reviewer, granting=False)
    before = _move(application, ApplicationState.MORE_INFO, at)
    application.question, application.reply, application.owner = question, "", application.owner or reviewer
    session.add(ApplicationNote(application_id=application.id, words=f"Asked: {question}", author=reviewer, written_at=at))
    _write(
        session, house, application.publisher, "A question about your application", letter, question, application.public_id, at
    )
    audit.record(session, reviewer, "application.ask", application.public_id, at=at, question=question, before=before.value)
    return application


def approve(
    session: Session,
    house: House,
    public_id: str,
    *,
    version: int,
    reason: str,
    letter: str,
    reviewer: str,
    at: datetime,
    days: int | None = None,
) -> EligibilityDecision:
    """Approve for `days`, or the policy's term. Nothing is granted before a member has accepted the terms."""
    application = _as_shown(session, public_id, version)
    refuse_own(session, application.publisher, reviewer)
    if application.publisher.state is PublisherState.SUSPENDED:
        raise Conflict("The publisher is suspended. Reinstate it first; an approval does not end a suspension by the way.")
    _move(application, ApplicationState.APPROVED, at)
    application.decided_at, application.owner = at, application.owner or reviewer
    heading = "Your approval is renewed" if application.renewal else "You are approved"
    return _decide(
        session,
        house,
        application.publisher,
        PublisherState.APPROVED,
        heading,
        reason,
        letter,
        reviewer,
        at,
        application.public_id,
        days,
    )


def decline(
    session: Session, house: House, public_id: str, *, version: int, reason: str, letter: str, reviewer: str, at: datetime
) -> Application:
    """Say no. A publisher that has an approval keeps it until its end."""
    reason = _needed(reason, "reason")
    application = _as_shown(session, public_id, version)
    refuse_own(session, application.publisher, reviewer, granting=False)
    before = _move(application, ApplicationState.DECLINED, at)
    application.decided_at, application.owner = at, application.owner or reviewer
    publisher, heading = application.publisher, "About your application"
    if publisher.state is PublisherState.APPLICANT:
        _decide(session, house, publisher, PublisherState.DECLINED, heading, reason, letter, reviewer, at, application.public_id)
    else:
        _write(session, house, publisher, heading, letter, reason, application.public_id, at)
        publishers.keep_refusal(session, house, publisher, reason=reason, actor=reviewer, at=at)
        audit.record(session, reviewer, "application.decline", application.public_id, at=at, reason=reason, before=before.value)
    return application


def move_publisher(
    session: Session, house: House, public_id: str, new: PublisherState, *, reason: str, letter: str, reviewer: str, at: datetime
) -> EligibilityDecision:
    """Suspend, reinstate or revoke; what the publisher may have is refused or given from this commit on."""
    publisher = publishers.get_publisher(session, public_id, lock=True)
    refuse_own(session, publisher, reviewer, granting=new is PublisherState.APPROVED)
    heading = {
        PublisherState.SUSPENDED: "Your access is suspended",
        PublisherState.APPROVED: "Your access is back",
        PublisherState.REVOKED: "Your approval is revoked",
    }[new]
    return _decide(session, house, publisher, new, heading, reason, letter, reviewer, at)


def auto_approve(session: Session, house: House, *, at: datetime) -> int:
    """Approve waiting applications whose every item passes, if the policy lets a machine; returns how many.

    Whatever a person would look at twice (operations/resemblance.py) is left to a person.
    """
    if not house.config.eligibility.auto_approve:
        return 0
    wanted = select(Application).where(Application.state.in_(WAITING_STATES), Application.owner == "").order_by(Application.id)
    waiting = session.scalars(wanted.limit(BATCH).with_for_update(of=Application, skip_locked=True)).all()
    facts = facts_of(session, [application.publisher for application in waiting], at=at)
    policy = policy_of(house.config)
    passing = [
        each
        for each in waiting
        if judge(facts[each.publisher_id], policy, at).complete and not remarks_on(session, each.publisher)
    ]
    for application in passing:
        approve(
            session,
            house,
            application.public_id,
            version=application.version,
            reason="every item of the policy passes",
            letter=letter_for("approve", house, application.publisher.name),
            reviewer=MACHINE,
            at=at,
        )
    return len(passing)


def letter_for(what: str, house: House, name: str) -> str:
    """Return the words of a letter as they are offered to the reviewer; `[reason]` stands where the reason will."""
    site, base = house.config.site.name, house.config.site.base_url
    words = {
        "approve": f"{name} may now take the stories of {site} without charge.\n\n[reason]\n\n"
        f"Before the first story is yours, please accept the license:\n{base}/portal/terms\n\n"
        f"Then you find your keys and feed addresses here:\n{base}/portal/",
        "ask": f"Thank you for the application of {name}. Before we can decide, please tell us:\n\n[reason]\n\n"
        f"You can answer and change everything here:\n{base}/portal/application",
        "decline": f"Thank you for the application of {name}. We cannot approve it:\n\n[reason]\n\n"
        f"If this changes, you are welcome to apply again:\n{base}/portal/application",
        "suspend": f"The access of {name} to our stories is suspended from now on:\n\n[reason]\n\n"
        "Feeds, API and deliveries refuse until it is settled. Please answer this letter.",
        "reinstate": f"{name} has its access to our stories back.\n\n[reason]",
        "revoke": f"The approval of {name} is revoked for good:\n\n[reason]\n\n"
        "Please take no more stories. Corrections and kills of those you have still reach you.",
    }
    return words[what]


def _as_shown(session: Session, public_id: str, version: int) -> Application:
    """Return the application, locked, if it is still as it was on the reviewer's page."""
    application = get_application(session, public_id, lock=True)
    if application.version != version:
        raise Conflict("Something has changed since this page was made, perhaps by a colleague. Please look again.")
    return application


def _decide(
    session: Session,
    house: House,
    publisher: Publisher,
    new: PublisherState,
    heading: str,
    reason: str,
    letter: str,
    reviewer: str,
    at: datetime,
    about: str = "",
    days: int | None = None,
) -> EligibilityDecision:
    _write(session, house, publisher, heading, letter, _needed(reason, "reason"), about or publisher.public_id, at)
    return publishers.decide(session, house, publisher.public_id, new, reason=reason, actor=reviewer, at=at, days=days)


def _write(
    session: Session, house: House, publisher: Publisher, heading: str, letter: str, reason: str, about: str, at: datetime
) -> None:
    words = _needed(letter, "letter").replace("[reason]", reason)
    contact = house.config.notice.contact_email
    write_letter(
        session,
        house,
        "note",
        to=publisher.email,
        at=at,
        publisher=publisher,
        about=about,
        reply_to=contact,
        heading=f"{heading}: {publisher.name}",
        words=words,
    )


def _move(application: Application, new: ApplicationState, at: datetime) -> ApplicationState:
    """Bring the application to `new`, and return what it was; raises Conflict."""
    if not state_may_follow(application.state, new):
        raise Conflict(f"The application is {application.state.words} and cannot become {new.words}.")
    old, application.state, application.changed_at = application.state, new, at
    return old


def _needed(words: str, field: str) -> str:
    if not words.strip():
        raise InvalidRequest("Say why; the publisher reads it." if field == "reason" else "Write the letter.", field)
    return words.strip()


def refuse_own(session: Session, publisher: Publisher, reviewer: str, *, granting: bool = True) -> None:
    """Raise Conflict if the publisher is the reviewer's own: a member, or somebody at a member's mail domain.

    `granting`: also if it is so only by what the applicant claims, its contacts and sites. A no needs no such care, or an
    applicant that names our own domain could never be refused.
    """
    if is_own(session, publisher, reviewer, claims=granting):
        raise Conflict("This is your own publisher, or one of your mail domain. Somebody else has to decide.")


def is_own(session: Session, publisher: Publisher, reviewer: str, *, claims: bool = True) -> bool:
    """Say whether the reviewer belongs to the publisher, by confirmed addresses, or by the applicant's `claims` too."""
    members = select(User.email).join(Membership, Membership.user_id == User.id).where(Membership.publisher_id == publisher.id)
    contacts = select(PublisherContact.email).where(PublisherContact.publisher_id == publisher.id)
    theirs = {publisher.email, *session.scalars(members), *(session.scalars(contacts) if claims else ())}
    domains = {mail_domain(each) for each in theirs} | ({domain.domain for domain in publisher.domains} if claims else set())
    if fold_email(reviewer) in map(fold_email, theirs):
        return True
    mine = mail_domain(reviewer)
    return not public_mailbox(mine) and any(same_organisation(mine, domain) for domain in domains)
