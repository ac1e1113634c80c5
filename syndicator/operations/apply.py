"""Applying: what is filled in at /apply, confirmed by the letter's link, saved, sent, answered, withdrawn, begun again, renewed.

At /apply nobody is looked up: the letter is the same whether its reader has an account, so neither words nor time tell
(reliability S16). Nothing counts before the link in it is used.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import LinkPurpose, MemberRole, OneTimeLink, User, fold_email
from syndicator.domain.answers import LONGEST_TEXT, Answers
from syndicator.domain.applications import (
    Application,
    ApplicationNote,
    ApplicationRequest,
    ApplicationState,
    ContactKind,
    PublisherContact,
    state_may_follow,
)
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher, PublisherDomain, PublisherState, read_name
from syndicator.errors import Conflict, InvalidForm, InvalidRequest, NotFound, TooManyTries
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.accounts import user_called
from syndicator.operations.letters import read_email, write_letter, write_note
from syndicator.operations.links import get_link, lasting, make_link, use_link
from syndicator.operations.members import add_member
from syndicator.operations.prove_domains import give_token
from syndicator.operations.publishers import add_publisher
from syndicator.operations.sign_in import Browser

FROM_ONE_PLACE_PER_HOUR = 10
LETTERS_TO_ONE_PER_HOUR = 3
REQUESTS_KEPT = timedelta(days=30)
RENEWAL_FROM = timedelta(days=60)  # before the approval ends
MOST_OPEN_OF_ONE_PERSON = 5
_RECEIVED = (
    "The application of {name} has arrived. Somebody will read it, and you get a letter with the decision and its reason, or "
    "with a question.\n\nHow it stands, at any time:\n{page}"
)
_WITHDRAWN = "You have taken back the application of {name}; nobody decides about it any more. To begin another:\n{page}"


def request_application(session: Session, house: House, email: str, answers: Answers, browser: Browser, *, at: datetime) -> None:
    """Keep what was filled in, and write the letter that confirms it.

    Raises InvalidForm for an address or name that is none, TooManyTries for a flood from one place. A mailbox that is being
    flooded gets no further letter, and nobody is told.
    """
    faults = {} if answers.organisation else {"organisation": "Say what the organisation is called."}
    try:
        address = fold_email(read_email(email))
    except InvalidRequest as error:
        raise InvalidForm({"email": str(error), **faults}) from error
    if faults:
        raise InvalidForm(faults)
    recent = select(func.count()).select_from(ApplicationRequest).where(ApplicationRequest.asked_at > at - timedelta(hours=1))
    if (session.scalar(recent.where(ApplicationRequest.address == browser.address)) or 0) >= FROM_ONE_PLACE_PER_HOUR:
        raise TooManyTries("Too many applications have come from here. Please try again in an hour.", 3600)
    flooded = (session.scalar(recent.where(ApplicationRequest.email == address)) or 0) >= LETTERS_TO_ONE_PER_HOUR
    wanted = ApplicationRequest(
        public_id=new_id("apr_"), email=address, answers=answers.stored(), address=browser.address, asked_at=at
    )
    session.add(wanted)
    session.flush()
    if not flooded:  # nothing that was typed stands in the letter: it goes to whomever a stranger names
        link = make_link(session, house, LinkPurpose.VERIFY_EMAIL, at=at, about=wanted.public_id)
        lasts = lasting(LinkPurpose.VERIFY_EMAIL)
        write_letter(session, house, "apply", to=address, at=at, secret=link, lasts=lasts)


def get_request(session: Session, token: str, *, at: datetime) -> ApplicationRequest:
    """Return what the letter's link is about; raises NotFound for a link that is unknown, used or over."""
    return _request_of(session, get_link(session, token, LinkPurpose.VERIFY_EMAIL, at=at))


def confirm(session: Session, token: str, *, at: datetime) -> tuple[User, Application]:
    """Use the letter's link up: its reader becomes the owner of a new publisher with a draft application.

    Raises NotFound for a link that is unknown, used or over, Conflict for a person with too many open applications.
    """
    wanted = _request_of(session, use_link(session, token, LinkPurpose.VERIFY_EMAIL, at=at))
    wanted.confirmed_at = at
    answers = Answers(**wanted.answers)
    user = user_called(
        session, wanted.email, at=at, name=answers.editorial_name if answers.editorial_email == wanted.email else ""
    )
    if user.disabled_at is not None:
        raise NotFound("this link is unknown, used or over")
    user.email_verified_at = user.email_verified_at or at
    if _open_applications(session, user.email) >= MOST_OPEN_OF_ONE_PERSON:
        raise Conflict(f"You have {MOST_OPEN_OF_ONE_PERSON} open applications; withdraw one first.")
    publisher = add_publisher(session, name=answers.organisation, email=wanted.email, domains=[], actor=user.email, at=at)
    add_member(session, publisher, user, MemberRole.OWNER, actor=user.email, at=at)
    application = _new_application(session, publisher, answers, user.email, at=at)
    save(session, application, answers, at=at)
    audit.record(session, user.email, "application.begin", application.public_id, at=at, publisher=publisher.public_id)
    return user, application


def find_application(session: Session, publisher_id: int, *, lock: bool = False) -> Application | None:
    """Return the newest application of the publisher."""
    wanted = select(Application).where(Application.publisher_id == publisher_id).order_by(Application.id.desc()).limit(1)
    return session.scalars(wanted.with_for_update(of=Application) if lock else wanted).one_or_none()


def changeable_application(session: Session, publisher_id: int) -> Application:
    """Return the publisher's application, locked, which its applicant may change now; raises NotFound and Conflict."""
    application = find_application(session, publisher_id, lock=True)
    if application is None:
        raise NotFound("there is no application here")
    if not application.changeable:
        raise Conflict(f"The application is {application.state.words}; it cannot be changed now.")
    return application


def save(session: Session, application: Application, answers: Answers, *, at: datetime) -> None:
    """Keep `answers`: the publisher's name, sites and contacts follow them. A draft may be incomplete."""
    publisher = application.publisher
    application.answers, application.changed_at = answers.stored(), at
    if answers.organisation and publisher.state is PublisherState.APPLICANT:
        publisher.name = read_name(answers.organisation)
    _keep_sites(session, publisher, answers, at)
    _keep_contacts(session, publisher, answers)
    session.flush()


def submit(session: Session, house: House, application: Application, *, actor: str, reply: str = "", at: datetime) -> None:
    """Send the application, or send it again with a `reply` to what the desk asked. Raises InvalidForm for what is missing."""
    faults = Answers(**application.answers).missing()
    before, reply = application.state, reply.strip()
    again = before is ApplicationState.MORE_INFO
    if again and not reply:
        faults["reply"] = "Say what you changed or added."
    if len(reply) > LONGEST_TEXT:
        faults["reply"] = f"That is longer than {LONGEST_TEXT:,} characters."
    if faults:
        raise InvalidForm(faults)
    _move(application, ApplicationState.IN_REVIEW if again else ApplicationState.SUBMITTED, at=at)
    application.submitted_at, application.applicant = application.submitted_at or at, actor
    application.reply = reply
    if again:
        session.add(ApplicationNote(application_id=application.id, words=f"Answer: {reply}", author=actor, written_at=at))
    heading = "We have your answer" if again else "We have your application"
    _tell(session, house, application, heading, _RECEIVED, at)
    verb = "application.answer" if again else "application.submit"
    audit.record(session, actor, verb, application.public_id, at=at, before=before.value, after=application.state.value)


def withdraw(session: Session, house: House, publisher_id: int, *, actor: str, at: datetime) -> Application:
    """Take the application back; raises NotFound, and Conflict when it has been decided."""
    application = find_application(session, publisher_id, lock=True)
    if application is None:
        raise NotFound("there is no application here")
    before = application.state
    _move(application, ApplicationState.WITHDRAWN, at=at)
    if before is not ApplicationState.DRAFT:
        _tell(session, house, application, "Your application is withdrawn", _WITHDRAWN, at)
    audit.record(session, actor, "application.withdraw", application.public_id, at=at, before=before.value)
    return application


def may_begin(publisher: Publisher, newest: Application | None, *, at: datetime) -> bool:
    """Whether a new application may be begun: none is open, and the publisher has no approval that lasts much longer."""
    if newest is not None and newest.open:
        return False
    if publisher.state is PublisherState.APPROVED:
        return publisher.approved_until is not None and publisher.approved_until - at <= RENEWAL_FROM
    return publisher.state in {PublisherState.APPLICANT, PublisherState.DECLINED, PublisherState.EXPIRED}


def begin_again(session: Session, publisher_id: int, *, actor: str, at: datetime) -> Application:
    """Begin another application with the answers of the last: after a no, or to renew. Raises Conflict while none may be."""
    publisher = session.get_one(Publisher, publisher_id, with_for_update={"of": Publisher})
    newest = find_application(session, publisher_id, lock=True)
    if not may_begin(publisher, newest, at=at):
        raise Conflict("There is nothing to apply for now.")
    answers = Answers(**newest.answers) if newest is not None else Answers(organisation=publisher.name)
    application = _new_application(session, publisher, answers, actor, at=at)
    application.renewal = publisher.state in {PublisherState.APPROVED, PublisherState.EXPIRED}
    if publisher.state is PublisherState.DECLINED:  # the old no is in the decisions; from here on it is an applicant's
        publisher.state, publisher.state_reason = PublisherState.APPLICANT, ""
    for domain in publisher.domains:
        give_token(domain, at=at)
    audit.record(session, actor, "application.begin", application.public_id, at=at, publisher=publisher.public_id)
    return application


def forget_what_was_filled_in(session: Session, *, at: datetime) -> int:
    """Delete what was filled in a month ago, confirmed or not; returns how many."""
    old = delete(ApplicationRequest).where(ApplicationRequest.asked_at < at - REQUESTS_KEPT)
    return session.execute(old.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined, no-any-return]


def _request_of(session: Session, link: OneTimeLink) -> ApplicationRequest:
    wanted = session.scalars(select(ApplicationRequest).where(ApplicationRequest.public_id == link.about)).one_or_none()
    if wanted is None or wanted.confirmed_at is not None:
        raise NotFound("this link is unknown, used or over")
    return wanted


def _new_application(session: Session, publisher: Publisher, answers: Answers, applicant: str, *, at: datetime) -> Application:
    application = Application(
        public_id=new_id("app_"),
        publisher=publisher,
        answers=answers.stored(),
        applicant=applicant,
        created_at=at,
        changed_at=at,
    )
    session.add(application)
    session.flush()
    return application


def _tell(session: Session, house: House, application: Application, heading: str, words: str, at: datetime) -> None:
    """Write to the applicant that a step of theirs has been taken."""
    publisher = application.publisher
    write_note(
        session,
        house,
        publisher,
        f"{heading}: {publisher.name}",
        words.format(name=publisher.name, page=f"{house.config.site.base_url}/portal/application"),
        at=at,
        about=application.public_id,
    )


def _move(application: Application, new: ApplicationState, *, at: datetime) -> None:
    if not state_may_follow(application.state, new):
        raise Conflict(f"The application is {application.state.words} and cannot become {new.words}.")
    application.state, application.changed_at = new, at


def _open_applications(session: Session, email: str) -> int:
    mine = select(func.count()).select_from(Application).where(Application.applicant == email)
    return session.scalar(mine.where(Application.state == ApplicationState.DRAFT)) or 0


def _keep_sites(session: Session, publisher: Publisher, answers: Answers, at: datetime) -> None:
    """Make the publisher's domains those of the answers; each gets its token."""
    known = {domain.domain: domain for domain in publisher.domains}
    for name in set(known) - set(answers.sites):
        session.delete(known[name])
    for name in answers.sites:
        domain = known.get(name) or PublisherDomain(publisher_id=publisher.id, domain=name)
        give_token(domain, at=at)
        session.add(domain)
    session.flush()
    session.expire(publisher, ["domains"])


def _keep_contacts(session: Session, publisher: Publisher, answers: Answers) -> None:
    session.execute(delete(PublisherContact).where(PublisherContact.publisher_id == publisher.id))
    for kind in ContactKind:
        name, email = getattr(answers, f"{kind.value}_name"), getattr(answers, f"{kind.value}_email")
        if email:
            session.add(PublisherContact(publisher_id=publisher.id, kind=kind, name=name[:120], email=email.casefold()))
