"""One's own account: name, password, second factor, and where one is signed in. The same for partners and staff."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField, StringField

from syndicator.domain.accounts import SignIn, User
from syndicator.errors import InvalidRequest, NotFound, TooManyTries
from syndicator.operations import accounts, second_factor, sign_in
from syndicator.operations.passwords import matches
from syndicator.storage.engine import reading
from syndicator.web.auth import CodeForm, NewPasswordForm
from syndicator.web.forms import PageForm
from syndicator.web.guard import FORM_TOKEN, actor, browser, local_path, me, signed_in_required
from syndicator.web.identity import the_house

PROOF = "proof-"  # what the names of the proof's fields begin with, so that they are none of the form held up for it
account = Blueprint("account", __name__, url_prefix="/account", template_folder="templates")


class NameForm(PageForm):
    name = StringField("Your name", description="Your colleagues and our letters use it.", render_kw={"autocomplete": "name"})


class ProofForm(PageForm):
    """Asks for what the user has: the code if there is a second factor, else the password."""

    code = StringField(
        "Code",
        description="The six digits that your app shows now.",
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric"},
    )
    password = PasswordField("Password", render_kw={"autocomplete": "current-password"})


@account.get("/")
@signed_in_required()
def overview() -> ResponseReturnValue:
    house, person = the_house(), me()
    with reading(house.sessions) as session:
        places = sign_in.live_sign_ins(session, person.user, at=house.clock())
    return render_template(
        "auth/account.html", user=person.user, places=places, here=person.sign_in, form=NameForm(name=person.user.name)
    )


@account.post("/name")
@signed_in_required()
def rename() -> ResponseReturnValue:
    house = the_house()
    with house.sessions.begin() as session:
        user = session.get_one(User, me().user.id)
        accounts.rename(session, user, request.form.get("name", ""), actor=actor(), at=house.clock())
    flash("Your name is changed.", "good")
    return redirect(url_for("account.overview"), 303)


@account.get("/password")
@signed_in_required(lately=True)
def password_page() -> ResponseReturnValue:
    return render_template("auth/password.html", form=NewPasswordForm())


@account.post("/password")
@signed_in_required(lately=True)
def change_password() -> ResponseReturnValue:
    """Change it; every other browser is signed out."""
    form, house, person = NewPasswordForm(), the_house(), me()
    try:
        with house.sessions.begin() as session:
            user = session.get_one(User, person.user.id)
            accounts.set_password(session, user, form.password.data or "", actor=actor(), at=house.clock(), keep=person.sign_in)
    except InvalidRequest as error:
        form.blame(error)
        return render_template("auth/password.html", form=form), 422
    flash("Your password is changed, and every other browser is signed out.", "good")
    return redirect(url_for("account.overview"), 303)


@account.get("/second-factor")
@signed_in_required()
def second_factor_page() -> ResponseReturnValue:
    user = me().user
    scan = second_factor.secret_to_scan(the_house(), user)
    return render_template("auth/second_factor.html", user=user, scan=scan, form=CodeForm())


@account.post("/second-factor")
@signed_in_required(lately=True)
def prepare_second_factor() -> ResponseReturnValue:
    house = the_house()
    with house.sessions.begin() as session:
        second_factor.prepare(house, accounts.get_user(session, me().user.public_id, lock=True))
    return redirect(url_for("account.second_factor_page"), 303)


@account.post("/second-factor/confirm")
@signed_in_required(lately=True)
def confirm_second_factor() -> ResponseReturnValue:
    form, house, person = CodeForm(), the_house(), me()
    at = house.clock()
    try:
        _count(person.user.public_id)
        with house.sessions.begin() as session:
            user = accounts.get_user(session, person.user.public_id, lock=True)
            second_factor.confirm(session, house, user, form.code.data or "", keep=person.sign_in, at=at)
            sign_in.forget_tries(session, user.public_id, browser())
    except (InvalidRequest, TooManyTries) as error:
        form.blame(InvalidRequest(str(error), "code"))
        scan = second_factor.secret_to_scan(house, person.user)
        return render_template("auth/second_factor.html", user=person.user, scan=scan, form=form), 422
    flash("From now on you are asked for a code when you sign in.", "good")
    return redirect(url_for("account.overview"), 303)


@account.post("/second-factor/remove")
@signed_in_required(lately=True)
def remove_second_factor() -> ResponseReturnValue:
    house, person = the_house(), me()
    with house.sessions.begin() as session:
        user = accounts.get_user(session, person.user.public_id, lock=True)
        second_factor.remove(session, user, keep=person.sign_in, at=house.clock())
    flash("The second factor is removed.", "warn")
    return redirect(url_for("account.overview"), 303)


@account.post("/sign-ins/<public_id>/end")
@signed_in_required()
def end_sign_in(public_id: str) -> ResponseReturnValue:
    """Sign one browser of one's own out."""
    house, person = the_house(), me()
    with house.sessions.begin() as session:
        own = [each for each in sign_in.live_sign_ins(session, person.user, at=house.clock()) if each.public_id == public_id]
        if not own:
            raise NotFound(f"there is no sign-in {public_id!r}")
        sign_in.end(session, own[0], actor=actor(), at=house.clock())
    flash("That browser is signed out.", "good")
    return redirect(url_for("account.overview"), 303)


@account.get("/prove")
@signed_in_required()
def proof_page() -> ResponseReturnValue:
    """Ask again who is there, before keys, roles or passwords are touched."""
    return _prove_page(_proof_form(), 200)


@account.post("/prove")
@signed_in_required()
def prove() -> ResponseReturnValue:
    """Take the proof. A form that was held up for it (`send`) comes through here with its fields, and is sent on with them."""
    form, house, person = _proof_form(), the_house(), me()
    at = house.clock()
    if not any(field.name in request.form for field in form):
        return _prove_page(form, 200)
    try:
        _count(person.user.public_id)
        if not person.user.second_factor and not matches(person.user.password_hash, form.password.data or ""):
            raise InvalidRequest("That is not your password.", "password")
        with house.sessions.begin() as session:
            user = accounts.get_user(session, person.user.public_id, lock=True)
            if user.second_factor:
                second_factor.take_code(house, user, form.code.data or "", at=at)
            sign_in.forget_tries(session, user.public_id, browser())
            session.get_one(SignIn, person.sign_in.id).proven_at = at
    except (InvalidRequest, TooManyTries) as error:
        form.blame(InvalidRequest(str(error)))
        return _prove_page(form, 422)
    held = local_path(request.args.get("send"))
    return redirect(held, 307) if held else redirect(_back(), 303)


def _count(account_id: str) -> None:
    house = the_house()
    with house.sessions.begin() as session:
        sign_in.count_try(session, account_id, browser(), at=house.clock())


def _proof_form() -> ProofForm:
    form = ProofForm(prefix=PROOF)
    del form["password" if me().user.second_factor else "code"]
    return form


def _prove_page(form: ProofForm, status: int) -> ResponseReturnValue:
    held = [
        (name, value)
        for name, values in request.form.lists()
        for value in values
        if name not in {FORM_TOKEN, "next"} and not name.startswith(PROOF)
    ]
    send = local_path(request.args.get("send"))
    return render_template(
        "auth/prove.html", form=form, user=me().user, next=_back(), send=send, held=held if send else []
    ), status


def _back() -> str:
    """Where to lead on: where the person wanted to go, else the page that a held up form stood on, else home."""
    stood_on = urlsplit(request.referrer or "").path if "send" in request.args else None
    return local_path(request.values.get("next")) or local_path(stood_on) or me().home
