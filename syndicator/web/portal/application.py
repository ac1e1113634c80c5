"""The publisher's own application: the form, audience figures with their files, proof of sites, sending, withdrawing, renewing.

Owners change it; every member may look. Files are handed out as downloads and never shown in the page (OWASP ASVS 5.0, 5.3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import FileField, SelectField, StringField, TextAreaField, URLField

from syndicator.domain.accounts import MemberRole
from syndicator.domain.answers import Answers, read_answers
from syndicator.domain.applications import Application, ApplicationState
from syndicator.domain.publishers import Publisher
from syndicator.domain.uploads import ACCEPT, MOST_BYTES, WORDS
from syndicator.errors import Conflict, InvalidForm
from syndicator.operations import apply, eligibility, evidence, prove_domains
from syndicator.operations.application_queue import decision_on
from syndicator.operations.evidence import FigureGiven, Upload
from syndicator.storage.engine import reading
from syndicator.web.application_form import SECTIONS, ApplicationForm, as_typed
from syndicator.web.downloads import as_download
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal

PROOF = {
    "record": "_syndicator-challenge",
    "file": "/.well-known/syndicator-challenge.txt",
    "tag": "syndicator-site-verification",
}


class PortalForm(ApplicationForm):
    reply = TextAreaField("Your answer", description="Say what you changed or added.", render_kw={"rows": 3})


class FigureForm(PageForm):
    site = SelectField("Site", validate_choice=False)
    unique_visitors = StringField("Unique visitors a month", description="On average over the months.")
    page_views = StringField("Page views a month")
    first_month = StringField("From", description="A month, such as 2026-04.", render_kw={"type": "month"})
    last_month = StringField("To", description="A month, such as 2026-06.", render_kw={"type": "month"})
    source = StringField("Source", description="Such as Google Analytics or Comscore.")
    link = URLField("Public link that shows it")
    file = FileField(
        "Report or screenshot",
        description=f"Up to {MOST_BYTES // 1_000_000} MB: {WORDS}.",
        render_kw={"accept": ACCEPT, "data-most-bytes": MOST_BYTES},
    )

    def given(self) -> FigureGiven:
        """What was typed, checked as far as numbers, months and addresses go; raises InvalidForm."""
        faults: dict[str, str] = {}
        checked = _checked(self, faults)
        months = {name: _month(self[name].data or "") for name in ("first_month", "last_month")}
        if faults:
            raise InvalidForm(faults)
        return FigureGiven(
            site=self.site.data or "",
            **months,
            unique_visitors=checked.newsletter_reach,
            page_views=checked.app_reach,
            source=checked.referrer,
            link=checked.about_url,
        )


@portal.get("/application")
@member_required()
def application_page() -> ResponseReturnValue:
    return _page()


@portal.post("/application")
@member_required(MemberRole.OWNER)
def save_application() -> ResponseReturnValue:
    """Save the draft; with the other buttons, send it too, or send it as it is."""
    form, house, at = PortalForm(), the_house(), the_house().clock()
    button = request.form.get("do", "save")
    sending = button != "save"
    try:
        if button != "send-unchanged":
            answers = read_answers(form.given())
            with house.sessions.begin() as session:
                apply.save(session, apply.changeable_application(session, mine().publisher_id), answers, at=at)
        if sending:
            with house.sessions.begin() as session:
                application = apply.changeable_application(session, mine().publisher_id)
                apply.submit(session, house, application, actor=actor(), reply=form.reply.data or "", at=at)
    except InvalidForm as error:
        form.blame_all(error)
        return _page(form=form), 422
    except Conflict as error:  # it was decided meanwhile
        return _refused(error)
    flash("Your application is sent. You get a letter as soon as somebody has looked at it." if sending else "Saved.", "good")
    return _back()


@portal.post("/application/figures")
@member_required(MemberRole.OWNER)
def add_figure() -> ResponseReturnValue:
    form, house = FigureForm(), the_house()
    sent = request.files.get("file")
    upload = Upload(sent.filename or "", sent.read()) if sent is not None and sent.filename else None
    try:
        given = form.given()
        with house.sessions.begin() as session:
            application = apply.changeable_application(session, mine().publisher_id)
            evidence.add_figure(session, house.config, application, given, upload, actor=actor(), at=house.clock())
    except InvalidForm as error:
        for name, words in error.faults.items():
            form[name].errors = [*form[name].errors, words]
        return _page(figure=form), 422
    except Conflict as error:
        return _refused(error, "audience")
    flash("The figures are added.", "good")
    return _back("audience")


@portal.post("/application/figures/<figure_id>/remove")
@member_required(MemberRole.OWNER)
def remove_figure(figure_id: str) -> ResponseReturnValue:
    house, at = the_house(), the_house().clock()
    try:
        with house.sessions.begin() as session:
            application = apply.changeable_application(session, mine().publisher_id)
            digest = evidence.remove_figure(session, application, figure_id, actor=actor(), at=at)
    except Conflict as error:
        return _refused(error, "audience")
    with house.sessions.begin() as session:
        evidence.forget_file(session, house.config.data_dir, digest, actor=actor(), at=at)
    flash("The figures are taken out.", "good")
    return _back("audience")


@portal.get("/application/figures/<figure_id>/file")
@member_required()
def figure_file(figure_id: str) -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        figure = evidence.get_figure(session, figure_id, publisher_id=mine().publisher_id)
    return as_download(evidence.read_file(house.config.data_dir, figure), figure.media_type, figure.file_name)


@portal.post("/application/sites/<domain>/check")
@member_required(MemberRole.OWNER, MemberRole.TECHNICIAN)
def check_site(domain: str) -> ResponseReturnValue:
    """Ask for the proof to be looked for; a job does it, and the page shows how it went."""
    house, at = the_house(), the_house().clock()
    try:
        with house.sessions.begin() as session:
            prove_domains.want_check(session, mine().publisher_id, domain, at=at)
    except Conflict as error:
        with house.sessions.begin() as session:
            prove_domains.give_token(prove_domains.get_domain(session, mine().publisher_id, domain), at=at)
        flash(str(error), "warn")
    return _back("sites-proof")


@portal.post("/application/withdraw")
@member_required(MemberRole.OWNER)
def withdraw_application() -> ResponseReturnValue:
    def withdraw(session: Session) -> str:
        apply.withdraw(session, the_house(), mine().publisher_id, actor=actor(), at=the_house().clock())
        return "The application is withdrawn. You may begin another at any time."

    return _do(withdraw)


@portal.post("/application/begin")
@member_required(MemberRole.OWNER)
def begin_application() -> ResponseReturnValue:
    def begin(session: Session) -> str:
        apply.begin_again(session, mine().publisher_id, actor=actor(), at=the_house().clock())
        return "Here is what you told us last time. Please bring it up to date, and send it."

    return _do(begin)


def _page(*, form: PortalForm | None = None, figure: FigureForm | None = None) -> str:
    house, at = the_house(), the_house().clock()
    with reading(house.sessions) as session:
        publisher = session.get_one(Publisher, mine().publisher_id)
        application = apply.find_application(session, publisher.id)
        judged = eligibility.checklists(session, eligibility.policy_of(house.config), [publisher], at=at)[publisher.id]
        figure = figure or FigureForm()
        figure.site.choices = [(domain.domain, domain.domain) for domain in publisher.domains]
        changeable = application is not None and application.changeable and mine().role is MemberRole.OWNER
        return render_template(
            "portal/application.html",
            publisher=publisher,
            application=application,
            checklist=judged,
            figures=evidence.figures_of(session, publisher.id),
            decision=decision_on(session, application) if application and application.decided_at else None,
            form=form or PortalForm(data=as_typed(_answers_of(application))),
            figure=figure,
            sections=SECTIONS,
            proof=PROOF,
            changeable=changeable,
            may_begin=apply.may_begin(publisher, application, at=at) and mine().role is MemberRole.OWNER,
            sending="Send the answer"
            if application and application.state is ApplicationState.MORE_INFO
            else "Send the application",
            now=at,
        )


def _answers_of(application: Application | None) -> Answers:
    return Answers(**application.answers) if application is not None else Answers()


def _checked(form: FigureForm, faults: dict[str, str]) -> Answers:
    """Read numbers, line and address by the rules of the answers; what is wrong goes to `faults` under the form's names."""
    names = {"newsletter_reach": "unique_visitors", "app_reach": "page_views", "referrer": "source", "about_url": "link"}
    try:
        return read_answers({name: form[field].data or "" for name, field in names.items()})
    except InvalidForm as error:
        faults |= {names[name]: words for name, words in error.faults.items()}
        return Answers()


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text.strip()[:7]}-01")
    except ValueError:
        return None


def _do(change: Callable[[Session], str]) -> ResponseReturnValue:
    try:
        with the_house().sessions.begin() as session:
            words = change(session)
    except Conflict as error:
        return _refused(error)
    flash(words, "good")
    return _back()


def _refused(error: Conflict, anchor: str = "") -> ResponseReturnValue:
    flash(str(error), "bad")
    return _back(anchor)


def _back(anchor: str = "") -> ResponseReturnValue:
    return redirect(url_for("portal.application_page", _anchor=anchor or None), 303)
