"""Signing in and out, links sent by e-mail, new passwords, invitations. Whether somebody has an account is told to nobody.

A link of a letter only shows a page; its button uses the link up, since mail scanners open every link (GET changes nothing).
"""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from wtforms import EmailField, HiddenField, PasswordField, StringField

from syndicator.domain.accounts import LinkPurpose, SignIn, User
from syndicator.errors import InvalidRequest, TooManyTries
from syndicator.operations import accounts, links, members, second_factor, sign_in
from syndicator.operations.passwords import matches
from syndicator.storage.engine import reading
from syndicator.web.forms import PageForm
from syndicator.web.guard import browser, code_due, drop_cookie, local_path, set_cookie, signed_in
from syndicator.web.identity import the_house

log = logging.getLogger(__name__)
auth = Blueprint("auth", __name__, template_folder="templates")
WRONG = "That e-mail address and password do not go together. You can have a link sent to you instead."


class SignInForm(PageForm):
    email = EmailField("E-mail address", render_kw={"autocomplete": "username", "required": True})
    password = PasswordField("Password", render_kw={"autocomplete": "current-password", "required": True})
    next = HiddenField()


class EmailForm(PageForm):
    email = EmailField("E-mail address", render_kw={"autocomplete": "username", "required": True})


class CodeForm(PageForm):
    code = StringField(
        "Code",
        description="The six digits that your app shows now.",
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "required": True},
    )


class NewPasswordForm(PageForm):
    password = PasswordField(
        "New password",
        description="At least 12 characters. Three or four words that only you would put together do well.",
        render_kw={"autocomplete": "new-password", "required": True},
    )


class WelcomeForm(PageForm):
    name = StringField("Your name", description="As your colleagues know you.", render_kw={"autocomplete": "name"})


@auth.get("/sign-in")
def sign_in_page() -> ResponseReturnValue:
    """The form; somebody who is in already is led on."""
    person = signed_in()
    if person is not None:
        return redirect(_wanted() or person.home, 303)
    return render_template("auth/sign_in.html", form=SignInForm(), next=_wanted())


@auth.post("/sign-in")
def sign_in_with_password() -> ResponseReturnValue:
    """Sign in, or say with one and the same page that it did not work."""
    form, house, here = SignInForm(), the_house(), browser()
    email, password, at = form.email.data or "", form.password.data or "", house.clock()
    try:
        with house.sessions.begin() as session:
            sign_in.count_try(session, email, here, at=at)
    except TooManyTries as error:
        return _too_many("auth/sign_in.html", form, error)
    with reading(house.sessions) as session:
        user = accounts.find_user(session, email)
    known = user is not None and user.disabled_at is None
    if not matches(user.password_hash if user is not None and known else None, password) or user is None:  # slow: no transaction
        log.info("sign-in refused address=%s", here.address)
        form.password.errors = [WRONG]
        return render_template("auth/sign_in.html", form=form, next=_wanted()), 422
    with house.sessions.begin() as session:
        sign_in.forget_tries(session, email, here)
        fresh, token = sign_in.begin(session, house, session.get_one(User, user.id), here, at=at)
    return _go_in(fresh, token, _wanted())


@auth.get("/sign-in/code")
def code_page() -> ResponseReturnValue:
    return render_template("auth/code.html", form=CodeForm(), next=_wanted()) if code_due() else redirect("/sign-in", 303)


@auth.post("/sign-in/code")
def give_code() -> ResponseReturnValue:
    """Take the code of the second factor; the cookie is changed for one that counts."""
    form, house, here, half = CodeForm(), the_house(), browser(), code_due()
    if half is None:
        return redirect("/sign-in", 303)
    at = house.clock()
    try:
        with house.sessions.begin() as session:
            sign_in.count_try(session, half.user.public_id, here, at=at)
        with house.sessions.begin() as session:
            user = accounts.get_user(session, half.user.public_id, lock=True)
            second_factor.take_code(house, user, form.code.data or "", at=at)
            sign_in.forget_tries(session, user.public_id, here)
            session.get_one(SignIn, half.id).ended_at = at
            fresh, token = sign_in.begin(session, house, user, here, at=at, code_given=True)
    except TooManyTries as error:
        return _too_many("auth/code.html", form, error)
    except InvalidRequest as error:
        form.blame(error)
        return render_template("auth/code.html", form=form, next=_wanted()), 422
    return _go_in(fresh, token, _wanted())


@auth.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this sign-in on the server, not only in the browser."""
    person, house = signed_in(), the_house()
    if person is not None:
        with house.sessions.begin() as session:
            sign_in.end(session, session.get_one(SignIn, person.sign_in.id), actor=person.user.email, at=house.clock())
    return drop_cookie(make_response(redirect("/sign-in", 303)))


@auth.get("/sign-in/link")
@auth.get("/reset", endpoint="ask_reset_page")
def ask_page() -> ResponseReturnValue:
    return render_template("auth/ask.html", form=EmailForm(), purpose=_asked_for(), next=_wanted())


@auth.post("/sign-in/link")
@auth.post("/reset", endpoint="ask_reset")
def ask() -> ResponseReturnValue:
    """Note the wish. The answer is the same for everybody; the letter goes only to who has an account."""
    form, house, purpose = EmailForm(), the_house(), _asked_for()
    try:
        with house.sessions.begin() as session:
            links.ask_for_link(session, form.email.data or "", purpose, browser(), at=house.clock(), next_path=_wanted() or "")
    except TooManyTries as error:
        return _too_many("auth/ask.html", form, error, purpose=purpose)
    except InvalidRequest as error:
        form.blame(error)
        return render_template("auth/ask.html", form=form, purpose=purpose, next=_wanted()), 422
    return render_template("auth/asked.html", email=form.email.data, lasts=links.lasting(purpose))


@auth.get("/sign-in/link/<token>")
def link_page(token: str) -> ResponseReturnValue:
    """Show the button that uses the link."""
    house = the_house()
    with reading(house.sessions) as session:
        link = links.get_link(session, token, LinkPurpose.SIGN_IN, at=house.clock())
    return render_template("auth/link.html", user=link.user)


@auth.post("/sign-in/link/<token>")
def use_sign_in_link(token: str) -> ResponseReturnValue:
    house, at = the_house(), the_house().clock()
    with house.sessions.begin() as session:
        link = links.use_link(session, token, LinkPurpose.SIGN_IN, at=at)
        assert link.user is not None  # noqa: S101 -- every link to sign in has one
        fresh, cookie = sign_in.begin(session, house, link.user, browser(), at=at)
    return _go_in(fresh, cookie, local_path(link.next_path))


@auth.get("/reset/<token>")
def reset_page(token: str) -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        link = links.get_link(session, token, LinkPurpose.RESET, at=house.clock())
    return render_template("auth/reset.html", form=NewPasswordForm(), user=link.user)


@auth.post("/reset/<token>")
def reset(token: str) -> ResponseReturnValue:
    """Set the password; a weak one does not use the link up. The second factor stays, and is asked for at the sign-in."""
    form, house, at = NewPasswordForm(), the_house(), the_house().clock()
    try:
        with house.sessions.begin() as session:
            link = links.use_link(session, token, LinkPurpose.RESET, at=at)
            user = link.user
            assert user is not None  # noqa: S101 -- every link to a new password has one
            accounts.set_password(session, user, form.password.data or "", actor=user.email, at=at)
    except InvalidRequest as error:
        form.blame(error)
        with reading(house.sessions) as session:
            link = links.get_link(session, token, LinkPurpose.RESET, at=at)
        return render_template("auth/reset.html", form=form, user=link.user), 422
    flash("Your password is changed, and every browser is signed out. Sign in with the new one.", "good")
    return drop_cookie(make_response(redirect("/sign-in", 303)))


@auth.get("/invitation/<token>")
def invitation_page(token: str) -> ResponseReturnValue:
    house, at = the_house(), the_house().clock()
    with house.sessions() as session:
        link = links.get_link(session, token, LinkPurpose.INVITATION, at=at)
        invitation = members.get_invitation(session, link.about, at=at)
        known = accounts.find_user(session, invitation.email)
        return render_template(
            "auth/invitation.html", form=WelcomeForm(), invitation=invitation, publisher=invitation.publisher, known=known
        )


@auth.post("/invitation/<token>")
def accept_invitation(token: str) -> ResponseReturnValue:
    """Become a member, and be signed in: the letter has proven the mailbox."""
    form, house, at = WelcomeForm(), the_house(), the_house().clock()
    with house.sessions.begin() as session:
        user = members.accept_invitation(session, token, name=form.name.data or "", at=at)
        fresh, cookie = sign_in.begin(session, house, user, browser(), at=at)
    flash("Welcome. You can choose a password under “Account”, or always sign in by a link.", "good")
    return _go_in(fresh, cookie, "/portal/")


def _go_in(fresh: SignIn, token: str, wanted: str | None) -> Response:
    """Lead on, with the new cookie: to the code if one is due, to where the person wanted to go, or home."""
    if fresh.code_due:
        target = f"/sign-in/code?{urlencode({'next': wanted})}" if wanted else "/sign-in/code"
    else:
        target = wanted or ("/desk/" if fresh.user.staff_role else "/portal/")
    return set_cookie(make_response(redirect(target, 303)), token)


def _wanted() -> str | None:
    return local_path(request.values.get("next"))


def _asked_for() -> LinkPurpose:
    return LinkPurpose.RESET if request.path == "/reset" else LinkPurpose.SIGN_IN


def _too_many(template: str, form: PageForm, error: TooManyTries, **values: object) -> Response:
    log.warning("too many tries path=%s address=%s", request.path, browser().address)
    form.blame(InvalidRequest(str(error)))
    answer = make_response(render_template(template, form=form, next=_wanted(), **values), 429)
    answer.headers["Retry-After"] = str(error.wait_seconds)
    return answer
