"""/apply: the form for everybody, and the letter's link that makes an application of it.

Robots are held off without third parties: a field that people do not see, a form that was open for some seconds at least, and a
limit for each address. The answer is the same whether somebody has an account: nobody is looked up.
"""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template
from flask.typing import ResponseReturnValue
from wtforms import EmailField

from syndicator.domain.accounts import LinkPurpose
from syndicator.domain.answers import Answers, read_answers
from syndicator.errors import InvalidForm, InvalidRequest, TooManyTries
from syndicator.operations import apply as applying
from syndicator.operations import links, sign_in
from syndicator.operations.letters import read_email
from syndicator.storage.engine import reading
from syndicator.web.application_form import SECTIONS, ApplicationForm
from syndicator.web.guard import browser, set_cookie, signed_in
from syndicator.web.identity import the_house
from syndicator.web.robots import PublicForm

apply = Blueprint("apply", __name__, template_folder="templates")


class FirstForm(PublicForm, ApplicationForm):
    email = EmailField(
        "Your e-mail address",
        description="We send you a link that confirms it and lets you go on.",
        render_kw={"autocomplete": "email", "required": True},
    )


@apply.get("/apply")
def start() -> ResponseReturnValue:
    return _page(FirstForm(), 200)


@apply.post("/apply")
def send() -> ResponseReturnValue:
    """Keep what was filled in and write the letter; the answer says the same to everybody."""
    form, house, at = FirstForm(), the_house(), the_house().clock()
    try:
        form.refuse_robots(at)
        answers = _read(form)
        with house.sessions.begin() as session:
            applying.request_application(session, house, form.email.data or "", answers, browser(), at=at)
    except InvalidForm as error:
        form.blame_all(error)
        return _page(form, 422)
    except TooManyTries as error:
        form.blame_all(InvalidForm({"email": str(error)}))
        answer = make_response(_page(form, 429))
        answer.headers["Retry-After"] = str(error.wait_seconds)
        return answer
    return render_template("apply/asked.html", email=form.email.data, lasts=links.lasting(LinkPurpose.VERIFY_EMAIL))


@apply.get("/apply/confirm/<token>")
def confirm_page(token: str) -> ResponseReturnValue:
    """Show the button that uses the link up; mail scanners open every link."""
    house = the_house()
    with reading(house.sessions) as session:
        wanted = applying.get_request(session, token, at=house.clock())
        return render_template("apply/confirm.html", email=wanted.email, organisation=wanted.answers["organisation"])


@apply.post("/apply/confirm/<token>")
def confirm(token: str) -> ResponseReturnValue:
    """Begin the application, sign its reader in, and show the form again."""
    house, at = the_house(), the_house().clock()
    with house.sessions.begin() as session:
        user, application = applying.confirm(session, token, at=at)
        fresh, cookie = sign_in.begin(session, house, user, browser(), at=at)
        fresh.publisher_id = application.publisher_id
    flash("Your address is confirmed. What you filled in is saved as a draft.", "good")
    target = "/sign-in/code?next=/portal/application" if fresh.code_due else "/portal/application"
    return set_cookie(make_response(redirect(target, 303)), cookie)


def _page(form: FirstForm, status: int) -> tuple[str, int]:
    house, person = the_house(), signed_in()
    form.open()
    policy = house.config.eligibility
    page = render_template(
        "apply/form.html",
        form=form,
        sections=SECTIONS,
        minimum=policy.minimum_monthly_audience,
        evidence_days=policy.evidence_max_age_days,
        member=bool(person and person.memberships),
    )
    return page, status


def _read(form: FirstForm) -> Answers:
    """Read the answers and, whatever is wrong with them, whether the address is one, so that all faults show at once."""
    faults: dict[str, str] = {}
    try:
        read_email(form.email.data or "")
    except InvalidRequest as error:
        faults["email"] = str(error)
    try:
        answers = read_answers(form.given())
    except InvalidForm as error:
        raise InvalidForm(faults | error.faults) from error
    if faults or not answers.organisation:
        raise InvalidForm(faults | ({} if answers.organisation else {"organisation": "Say what the organisation is called."}))
    return answers
