"""Members of the publisher: who they are, invitations, roles. Owners change them, soon after proving who they are."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import EmailField, RadioField

from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Publisher
from syndicator.errors import Conflict, InvalidRequest
from syndicator.operations import members
from syndicator.storage.engine import reading
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, me, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal

ROLES = {
    MemberRole.EDITOR.value: "Editor: reads and takes stories",
    MemberRole.TECHNICIAN.value: "Technician: keys, feeds, subscriptions and deliveries",
    MemberRole.OWNER.value: "Owner: everything, also members and terms",
}


class RoleForm(PageForm):
    role = RadioField("Role", choices=ROLES)


class InvitationForm(RoleForm):
    email = EmailField("E-mail address", render_kw={"autocomplete": "off", "required": True})


@portal.get("/members")
@member_required()
def members_page() -> ResponseReturnValue:
    return _page(InvitationForm(role=MemberRole.EDITOR.value), 200)


@portal.post("/members/invite")
@member_required(MemberRole.OWNER, lately=True)
def invite() -> ResponseReturnValue:
    form, house = InvitationForm(), the_house()
    try:
        role = _role(form)
        with house.sessions.begin() as session:
            members.invite(
                session,
                house,
                session.get_one(Publisher, mine().publisher_id),
                email=form.email.data or "",
                role=role,
                inviter=me().user.called,
                actor=actor(),
                at=house.clock(),
            )
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "email"))
        return _page(form, 422)
    flash(f"An invitation is on its way to {form.email.data}.", "good")
    return _back()


@portal.get("/members/<user_id>")
@member_required(MemberRole.OWNER)
def member_page(user_id: str) -> ResponseReturnValue:
    with the_house().sessions() as session:
        member = members.get_member(session, mine().publisher_id, user_id)
        return render_template("portal/member.html", member=member, form=RoleForm(role=member.role.value))


@portal.post("/members/<user_id>/role")
@member_required(MemberRole.OWNER, lately=True)
def change_role(user_id: str) -> ResponseReturnValue:
    def change(session: Session) -> str:
        member = members.get_member(session, mine().publisher_id, user_id)
        members.change_role(session, member, _role(RoleForm()), actor=actor(), at=the_house().clock())
        return f"{member.user.called} is now {member.role.value}."

    return _do(change)


@portal.post("/members/<user_id>/remove")
@member_required(MemberRole.OWNER, lately=True)
def remove_member(user_id: str) -> ResponseReturnValue:
    def remove(session: Session) -> str:
        member = members.get_member(session, mine().publisher_id, user_id)
        members.remove(session, member, actor=actor(), at=the_house().clock())
        return f"{member.user.called} is no member any more."

    return _do(remove)


@portal.post("/members/invitations/<invitation_id>/withdraw")
@member_required(MemberRole.OWNER, lately=True)
def withdraw_invitation(invitation_id: str) -> ResponseReturnValue:
    def withdraw(session: Session) -> str:
        invitation = members.withdraw_invitation(
            session, mine().publisher_id, invitation_id, actor=actor(), at=the_house().clock()
        )
        return f"The invitation to {invitation.email} is withdrawn."

    return _do(withdraw)


def _do(change: Callable[[Session], str]) -> ResponseReturnValue:
    """Make one change in a transaction and say what was done, or why not; then show the members."""
    try:
        with the_house().sessions.begin() as session:
            words = change(session)
        flash(words, "good")
    except Conflict as error:
        flash(str(error), "bad")
    return _back()


def _page(form: InvitationForm, status: int) -> ResponseReturnValue:
    house, publisher_id = the_house(), mine().publisher_id
    with reading(house.sessions) as session:
        everybody = members.members_of(session, publisher_id)
        waiting = members.open_invitations(session, publisher_id, at=house.clock())
    return render_template(
        "portal/members.html", members=everybody, waiting=waiting, form=form, me=me().user, roles=ROLES
    ), status


def _role(form: RoleForm) -> MemberRole:
    try:
        return MemberRole(form.role.data or "")
    except ValueError as error:
        raise InvalidRequest("Choose a role.", "role") from error


def _back() -> ResponseReturnValue:
    return redirect(url_for("portal.members_page"), 303)
