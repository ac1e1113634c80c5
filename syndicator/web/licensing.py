"""/licensing: whom to ask for more than the free-use terms give, and the form to ask with."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, StringField, TextAreaField

from syndicator.errors import InvalidForm, InvalidRequest, TooManyTries
from syndicator.operations import inquiries
from syndicator.web.guard import browser
from syndicator.web.identity import the_house
from syndicator.web.robots import PublicForm

licensing = Blueprint("licensing", __name__, template_folder="templates")


class InquiryForm(PublicForm):
    name = StringField("Your name", render_kw={"autocomplete": "name", "required": True})
    email = EmailField("E-mail address", description="We answer there.", render_kw={"autocomplete": "email", "required": True})
    organisation = StringField("Organisation", render_kw={"autocomplete": "organization"})
    subject = StringField("What you would like to license", render_kw={"required": True, "maxlength": "160"})
    words = TextAreaField(
        "More about it", description="Which stories, where, for whom and for how long.", render_kw={"rows": 7, "required": True}
    )


@licensing.get("/licensing")
def page() -> ResponseReturnValue:
    return _page(InquiryForm(), 200)


@licensing.post("/licensing")
def ask() -> ResponseReturnValue:
    """Take the inquiry. The answer is the same for everybody; only the licensing team is written to."""
    form, house = InquiryForm(), the_house()
    try:
        form.refuse_robots(house.clock())
        with house.sessions.begin() as session:
            inquiries.ask(
                session,
                house,
                name=form.name.data or "",
                email=form.email.data or "",
                organisation=form.organisation.data or "",
                subject=form.subject.data or "",
                words=form.words.data or "",
                address=browser().address,
                at=house.clock(),
            )
    except InvalidForm as error:
        form.blame_all(error)
        return _page(form, 422)
    except InvalidRequest as error:
        form.blame(InvalidRequest(str(error), error.field or "name"))
        return _page(form, 422)
    except TooManyTries as error:
        form.blame(InvalidRequest(str(error), "name"))
        answer = make_response(_page(form, 429))
        answer.headers["Retry-After"] = str(error.wait_seconds)
        return answer
    return redirect(url_for("licensing.asked"), 303)


@licensing.get("/licensing/asked")
def asked() -> ResponseReturnValue:
    return render_template("licensing_asked.html")


def _page(form: InquiryForm, status: int) -> tuple[str, int]:
    form.open()
    return render_template("licensing.html", form=form), status
