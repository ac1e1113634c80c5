"""Applications at the desk: the queue, one application on one page with all that decides it, and the decision.

A page carries the version of what it shows; a decision about anything older is refused (operations/decide.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import IntegerField, StringField, TextAreaField

from syndicator.domain.accounts import StaffRole
from syndicator.domain.answers import Answers
from syndicator.domain.applications import Application, ApplicationState
from syndicator.domain.eligibility import Checklist
from syndicator.domain.publishers import NEXT_STATES, PublisherState
from syndicator.errors import Conflict, InvalidRequest
from syndicator.operations import application_queue as queue
from syndicator.operations import decide, eligibility, evidence, prove_domains, resemblance
from syndicator.operations.publishers import get_publisher
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.downloads import as_download
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PAGE = 30
LONGEST_REASON = 500  # of a word given for a site
Verb = Callable[[Session, str, int], str]


class DecisionForm(PageForm):
    """Reason and letter of one decision; `prefix` keeps the fields of several forms on a page apart."""

    reason = TextAreaField("Reason", description="The publisher reads it.", render_kw={"rows": 2})
    letter = TextAreaField("Letter", description="[reason] stands for the reason above.", render_kw={"rows": 9})


class QuestionForm(DecisionForm):
    reason = TextAreaField("Question", description="The applicant reads it, and answers in place.", render_kw={"rows": 4})


class ApprovalForm(DecisionForm):
    days = IntegerField("For how many days", render_kw={"min": 1, "max": 3660})


class NoteForm(PageForm):
    words = TextAreaField("Note", description="Only the desk sees it.", render_kw={"rows": 2})


class WhatIfForm(PageForm):
    minimum = StringField("Unique visitors a month", render_kw={"inputmode": "numeric"})


VERBS = {"approve": "Approve", "ask": "Ask for more", "decline": "Decline"}
MOVES = {
    "suspend": (PublisherState.SUSPENDED, "Suspend", "Feeds, API and deliveries refuse at once. It can be undone."),
    "reinstate": (PublisherState.APPROVED, "Reinstate", "The publisher has what is left of its term again."),
    "revoke": (PublisherState.REVOKED, "Revoke", "This is for good: a revoked publisher cannot be approved again."),
}


@desk.get("/applications")
@staff_required(StaffRole.LICENSING)
def applications_page() -> ResponseReturnValue:
    """The queue, the longest waiting first."""
    house, at = the_house(), the_house().clock()
    wanted = queue.Wanted(request.args.get("state", type=ApplicationState), request.args.get("owner", "")[:254])
    after = request.args.get("after", 0, type=int)
    with reading(house.sessions) as session:
        found = queue.applications(session, wanted, after=after, limit=PAGE + 1)
        shown = found[:PAGE]
        publishers = [application.publisher for application in shown]
        return render_template(
            "desk/applications.html",
            applications=shown,
            checklists=eligibility.checklists(session, eligibility.policy_of(house.config), publishers, at=at),
            remarks={each.id: resemblance.remarks_on(session, each) for each in publishers},
            counts=queue.counts(session),
            owners=queue.owners(session),
            wanted=wanted,
            states=queue.SHOWN,
            older=_page_after(wanted, found[PAGE - 1].id) if len(found) > PAGE else None,
            age=lambda since: age(since, at),
        )


@desk.get("/applications/<application_id>")
@staff_required(StaffRole.LICENSING)
def application_page(application_id: str) -> ResponseReturnValue:
    return _page(application_id)


@desk.post("/applications/<application_id>/take")
@staff_required(StaffRole.LICENSING)
def take_application(application_id: str) -> ResponseReturnValue:
    def take(session: Session, public_id: str, version: int) -> str:
        decide.take(session, public_id, version=version, reviewer=actor(), at=the_house().clock())
        return "The application is yours."

    return _do(application_id, take)


@desk.post("/applications/<application_id>/note")
@staff_required(StaffRole.LICENSING)
def note_application(application_id: str) -> ResponseReturnValue:
    def note(session: Session, public_id: str, _version: int) -> str:
        decide.add_note(session, public_id, NoteForm().words.data or "", author=actor(), at=the_house().clock())
        return "The note is kept."

    return _do(application_id, note)


@desk.post("/applications/<application_id>/approve")
@staff_required(StaffRole.LICENSING)
def approve_application(application_id: str) -> ResponseReturnValue:
    form = ApprovalForm(prefix="approve-")
    if not form.validate() or (form.days.data is not None and not 1 <= form.days.data <= 3660):
        form.days.errors = ["Give a number of days from 1 to 3660."]
        return _page(application_id, wrong=("approve", form)), 422

    def approve(session: Session, public_id: str, version: int) -> str:
        decide.approve(
            session,
            the_house(),
            public_id,
            version=version,
            reason=form.reason.data or "",
            letter=form.letter.data or "",
            reviewer=actor(),
            at=the_house().clock(),
            days=form.days.data,
        )
        return "Approved. The letter is on its way."

    return _do(application_id, approve, ("approve", form))


@desk.post("/applications/<application_id>/ask")
@staff_required(StaffRole.LICENSING)
def ask_applicant(application_id: str) -> ResponseReturnValue:
    form = QuestionForm(prefix="ask-")

    def ask(session: Session, public_id: str, version: int) -> str:
        question, letter = form.reason.data or "", form.letter.data or ""
        at = the_house().clock()
        decide.ask(session, the_house(), public_id, version=version, question=question, letter=letter, reviewer=actor(), at=at)
        return "Asked. The application comes back when it is answered."

    return _do(application_id, ask, ("ask", form))


@desk.post("/applications/<application_id>/decline")
@staff_required(StaffRole.LICENSING)
def decline_application(application_id: str) -> ResponseReturnValue:
    form = DecisionForm(prefix="decline-")

    def decline(session: Session, public_id: str, version: int) -> str:
        reason, letter, at = form.reason.data or "", form.letter.data or "", the_house().clock()
        decide.decline(session, the_house(), public_id, version=version, reason=reason, letter=letter, reviewer=actor(), at=at)
        return "Declined. The letter is on its way."

    return _do(application_id, decline, ("decline", form))


@desk.post("/applications/<application_id>/sites/<domain>/vouch")
@staff_required(StaffRole.LICENSING)
def vouch_for_site(application_id: str, domain: str) -> ResponseReturnValue:
    def vouch(session: Session, public_id: str, _version: int) -> str:
        application = decide.get_application(session, public_id, lock=True)
        decide.refuse_own(session, application.publisher, actor())
        reason, at = request.form.get("reason", "").strip()[:LONGEST_REASON], the_house().clock()
        if not reason:
            raise InvalidRequest("Say how you know that the site is theirs.")
        prove_domains.vouch(session, application.publisher, domain, actor=actor(), reason=reason, at=at)
        return f"{domain} counts as proven, by your word."

    return _do(application_id, vouch)


@desk.get("/applications/<application_id>/figures/<figure_id>/file")
@staff_required(StaffRole.LICENSING)
def evidence_file(application_id: str, figure_id: str) -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        application = decide.get_application(session, application_id)
        figure = evidence.get_figure(session, figure_id, publisher_id=application.publisher_id)
    return as_download(evidence.read_file(house.config.data_dir, figure), figure.media_type, figure.file_name)


@desk.get("/publishers/<publisher_id>/<any(suspend, reinstate, revoke):move>")
@staff_required(StaffRole.LICENSING, lately=True)  # asked for before anything is written, which would be lost
def move_page(publisher_id: str, move: str) -> ResponseReturnValue:
    """Confirm a suspension, its end, or a revocation, with reason and letter."""
    house = the_house()
    state, title, words = MOVES[move]
    with reading(house.sessions) as session:
        publisher = get_publisher(session, publisher_id)
    form = DecisionForm(data={"letter": decide.letter_for(move, house, publisher.name)})
    possible = state in NEXT_STATES[publisher.state] and state is not publisher.state
    return render_template("desk/move.html", publisher=publisher, form=form, title=title, words=words, possible=possible)


@desk.post("/publishers/<publisher_id>/<any(suspend, reinstate, revoke):move>")
@staff_required(StaffRole.LICENSING, lately=True)
def move_publisher(publisher_id: str, move: str) -> ResponseReturnValue:
    form, house = DecisionForm(), the_house()
    state, title, words = MOVES[move]
    try:
        with house.sessions.begin() as session:
            reason, letter, at = form.reason.data or "", form.letter.data or "", house.clock()
            found = get_publisher(session, publisher_id)
            decide.move_publisher(session, house, found.public_id, state, reason=reason, letter=letter, reviewer=actor(), at=at)
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "reason"))
        with reading(house.sessions) as session:
            publisher = get_publisher(session, publisher_id)
        page = render_template("desk/move.html", publisher=publisher, form=form, title=title, words=words, possible=True)
        return page, 422
    flash(f"{found.name} is {state.value}. The letter is on its way.", "good")
    return redirect(url_for("desk.publisher_page", publisher_id=found.public_id), 303)


@desk.get("/what-if")
@staff_required(StaffRole.LICENSING)
def what_if_page() -> ResponseReturnValue:
    """Who would fall out under another floor. Changes nothing."""
    house = the_house()
    present = house.config.eligibility.minimum_monthly_audience
    form = WhatIfForm(data={"minimum": request.args.get("minimum", f"{present:,}")})
    digits = (form.minimum.data or "").replace(",", "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        form.minimum.errors = ["Give a whole number, such as 250,000."]
        return render_template("desk/what_if.html", form=form, present=present, minimum=None, fallen=[], approved=0), 422
    with reading(house.sessions) as session:
        fallen = eligibility.what_if(session, house.config, minimum=int(digits), at=house.clock())
        approved = eligibility.count_approved(session)
    return render_template("desk/what_if.html", form=form, present=present, minimum=int(digits), fallen=fallen, approved=approved)


def age(since: datetime | None, at: datetime) -> str:
    """Say how long something has waited."""
    if since is None:
        return ""
    hours = int((at - since).total_seconds() // 3600)
    count, unit = (hours // 24, "day") if hours >= 48 else (hours, "hour")
    return "less than an hour" if hours < 1 else f"{count} {unit}{'' if count == 1 else 's'}"


def _page(application_id: str, *, wrong: tuple[str, DecisionForm] | None = None) -> str:
    house, at = the_house(), the_house().clock()
    with reading(house.sessions) as session:
        application = decide.get_application(session, application_id)
        publisher = application.publisher
        judged = eligibility.checklists(session, eligibility.policy_of(house.config), [publisher], at=at)[publisher.id]
        forms = _forms(application, judged, at)
        if wrong is not None:
            forms[wrong[0]] = wrong[1]
        return render_template(
            "desk/application.html",
            application=application,
            publisher=publisher,
            answers=Answers(**application.answers),
            checklist=judged,
            remarks=resemblance.remarks_on(session, publisher),
            figures=evidence.figures_of(session, publisher.id),
            decisions=queue.decisions_of(session, publisher.id),
            letters=queue.letters_to(session, publisher.id),
            forms=forms,
            verbs=VERBS,
            opened=wrong[0] if wrong else "",
            note=NoteForm(),
            age=age(application.submitted_at, at),
            own=decide.is_own(session, publisher, actor()),
            next=queue.next_waiting(session, application),
            me=actor(),
        )


def _forms(application: Application, checklist: Checklist, at: datetime) -> dict[str, DecisionForm]:
    """The three decisions, their letters filled in, and the question with what is still open."""
    house, name = the_house(), application.publisher.name
    letters = {verb: decide.letter_for(verb, house, name) for verb in VERBS}
    days = house.config.eligibility.term_days
    approval = ApprovalForm(prefix="approve-", data={"letter": letters["approve"], "days": days})
    end = (at + timedelta(days=days)).astimezone(ZoneInfo(house.config.site.timezone))
    approval.days.description = f"From now; the policy's term of {days} days ends on {end:%B} {end.day}, {end.year}."
    return {
        "approve": approval,
        "ask": QuestionForm(
            prefix="ask-", data={"letter": letters["ask"], "reason": "\n".join(item.todo for item in checklist.open)}
        ),
        "decline": DecisionForm(prefix="decline-", data={"letter": letters["decline"]}),
    }


def _do(application_id: str, verb: Verb, form: tuple[str, DecisionForm] | None = None) -> ResponseReturnValue:
    """Do one thing about what the page showed, and say how it went; what was written is not lost when it is refused."""
    try:
        with the_house().sessions.begin() as session:
            words = verb(session, application_id, request.form.get("version", 0, type=int))
    except (InvalidRequest, Conflict) as error:
        if form is None:
            flash(str(error), "bad")
            return redirect(url_for("desk.application_page", application_id=application_id), 303)
        form[1].blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "reason"))
        return _page(application_id, wrong=form), 422
    flash(words, "good")
    return redirect(url_for("desk.application_page", application_id=application_id), 303)


def _page_after(wanted: queue.Wanted, last: int) -> str:
    state = wanted.state.value if wanted.state else None
    return url_for("desk.applications_page", state=state, owner=wanted.owner or None, after=last)
