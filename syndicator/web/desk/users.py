"""Staff: who has a place at the desk, in which role. Administrators change it, soon after proving who they are."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import EmailField, RadioField, StringField

from syndicator.domain.accounts import StaffRole, User
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations import accounts, staff
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, me, staff_required
from syndicator.web.identity import the_house

ROLES = {
    StaffRole.EDITOR.value: "Editor: stories, feeds and sources",
    StaffRole.LICENSING.value: "Licensing: applications, publishers and inquiries",
    StaffRole.ADMIN.value: "Administrator: everything, also staff",
}


class RoleForm(PageForm):
    role = RadioField("Role", choices=ROLES)


class StaffForm(RoleForm):
    email = EmailField("E-mail address", render_kw={"autocomplete": "off", "required": True})
    name = StringField("Name", render_kw={"autocomplete": "off"})


@desk.get("/users")
@staff_required(StaffRole.ADMIN)
def users_page() -> ResponseReturnValue:
    return _page(StaffForm(role=StaffRole.LICENSING.value), 200)


@desk.post("/users")
@staff_required(StaffRole.ADMIN, lately=True)
def add_user() -> ResponseReturnValue:
    """Give somebody a place; the letter's link signs them in for the first time."""
    form, house = StaffForm(), the_house()
    try:
        role = _role(form)
        with house.sessions.begin() as session:
            staff.welcome(
                session, house, email=form.email.data or "", role=role, name=form.name.data or "", actor=actor(), at=house.clock()
            )
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "email"))
        return _page(form, 422)
    flash(f"A letter with a link is on its way to {form.email.data}.", "good")
    return _back()


@desk.get("/users/<user_id>")
@staff_required(StaffRole.ADMIN)
def user_page(user_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        user = _staff_user(session, user_id)
    return render_template("desk/user.html", user=user, form=RoleForm(role=user.staff_role), me=me().user)


@desk.post("/users/<user_id>/role")
@staff_required(StaffRole.ADMIN, lately=True)
def change_staff_role(user_id: str) -> ResponseReturnValue:
    def change(session: Session, user: User) -> str:
        accounts.change_staff_role(session, user, _role(RoleForm()), actor=actor(), at=the_house().clock())
        return f"{user.called} has another role."

    return _do(user_id, change)


@desk.post("/users/<user_id>/remove")
@staff_required(StaffRole.ADMIN, lately=True)
def remove_user(user_id: str) -> ResponseReturnValue:
    def remove(session: Session, user: User) -> str:
        accounts.change_staff_role(session, user, None, actor=actor(), at=the_house().clock())
        return f"{user.called} has no place at the desk any more."

    return _do(user_id, remove)


@desk.post("/users/<user_id>/disable")
@staff_required(StaffRole.ADMIN, lately=True)
def disable_user(user_id: str) -> ResponseReturnValue:
    def disable(session: Session, user: User) -> str:
        accounts.disable(session, user, actor=actor(), at=the_house().clock())
        return f"{user.called} cannot sign in any more."

    return _do(user_id, disable)


@desk.post("/users/<user_id>/enable")
@staff_required(StaffRole.ADMIN, lately=True)
def enable_user(user_id: str) -> ResponseReturnValue:
    def enable(session: Session, user: User) -> str:
        accounts.enable(session, user, actor=actor(), at=the_house().clock())
        return f"{user.called} can sign in again."

    return _do(user_id, enable)


@desk.post("/users/<user_id>/reset")
@staff_required(StaffRole.ADMIN, lately=True)
def reset_user(user_id: str) -> ResponseReturnValue:
    """For one who lost the password or the phone: forget both, and send a link."""

    def reset(session: Session, user: User) -> str:
        house = the_house()
        accounts.reset(session, user, actor=actor(), at=house.clock())
        return f"Password and second factor of {user.called} are forgotten; the way in is a link by e-mail."

    return _do(user_id, reset)


def _do(user_id: str, change: Callable[[Session, User], str]) -> ResponseReturnValue:
    """Make one change in a transaction and say what was done, or why not; then show the staff."""
    try:
        with the_house().sessions.begin() as session:
            words = change(session, _staff_user(session, user_id))
        flash(words, "good")
    except Conflict as error:
        flash(str(error), "bad")
    return _back()


def _staff_user(session: Session, user_id: str) -> User:
    user = accounts.get_user(session, user_id)
    if user.staff_role is None:
        raise NotFound(f"there is no staff user {user_id!r}")
    return user


def _page(form: StaffForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        users = accounts.staff_users(session)
    return render_template("desk/users.html", users=users, form=form, me=me().user), status


def _role(form: RoleForm) -> StaffRole:
    try:
        return StaffRole(form.role.data or "")
    except ValueError as error:
        raise InvalidRequest("Choose a role.", "role") from error


def _back() -> ResponseReturnValue:
    return redirect(url_for("desk.users_page"), 303)
