"""API keys of the publisher: made, shown once, replaced, revoked; soon after the member has proven who they are."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import RadioField, SelectField, StringField

from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Scope
from syndicator.errors import Conflict, InvalidRequest
from syndicator.operations import keys
from syndicator.storage.engine import reading
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.own import own, standing

SCOPES = {
    "both": (Scope.READ, Scope.SUBSCRIBE),
    "read": (Scope.READ,),
    "subscribe": (Scope.SUBSCRIBE,),
}
DAYS = {"90": "90 days", "365": "One year", "30": "30 days", "0": "Until it is revoked"}


class KeyForm(PageForm):
    name = StringField(
        "What will use it",
        description="Such as “CMS import”. To replace a key, make a second one of the same name, and revoke the old one"
        " when the new one works.",
        render_kw={"maxlength": "120", "required": True, "autocomplete": "off"},
    )
    scopes = RadioField(
        "What it may do",
        choices={"both": "Read stories, and manage subscriptions", "read": "Read stories", "subscribe": "Manage subscriptions"},
    )
    days = SelectField("How long it works", choices=DAYS)


@portal.get("/keys")
@member_required(MemberRole.TECHNICIAN)
def keys_page() -> ResponseReturnValue:
    return _page(KeyForm(scopes="both", days="365"), 200)


@portal.post("/keys")
@member_required(MemberRole.TECHNICIAN, lately=True)
def create_key() -> ResponseReturnValue:
    """Make a key and show it, this once."""
    form, house = KeyForm(), the_house()
    at = house.clock()
    try:
        name, days = _read(form)
        with house.sessions.begin() as session:
            standing(session).require()
            key, secret = keys.create_key(
                session,
                own(session),
                actor=actor(),
                at=at,
                scopes=SCOPES[form.scopes.data],
                name=name,
                expires_at=at + timedelta(days=days) if days else None,
            )
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "name"))
        return _page(form, 422)
    return render_template("portal/key_made.html", key=key, secret=secret), 201


@portal.get("/keys/<key_id>/revoke")
@member_required(MemberRole.TECHNICIAN)
def revoke_key_page(key_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        key = keys.get_credential(session, key_id, publisher_id=mine().publisher_id)
    return render_template(
        "confirm.html",
        title=f"Revoke {key.prefix}…",
        words=["Whatever uses it is refused from this moment on. This cannot be undone."],
        button="Revoke it",
        back=url_for("portal.keys_page" if key_id.startswith("key_") else "portal.feeds_page"),
    )


@portal.post("/keys/<key_id>/revoke")
@member_required(MemberRole.TECHNICIAN, lately=True)
def revoke_key(key_id: str) -> ResponseReturnValue:
    """Revoke a key, or a token of a private feed."""
    house = the_house()
    try:
        with house.sessions.begin() as session:
            gone = keys.revoke(session, key_id, actor=actor(), at=house.clock(), publisher_id=mine().publisher_id)
        flash(f"{gone.prefix}… is revoked.", "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("portal.keys_page" if key_id.startswith("key_") else "portal.feeds_page"), 303)


def _read(form: KeyForm) -> tuple[str, int]:
    name = " ".join((form.name.data or "").split())
    if not 1 <= len(name) <= 120:
        raise InvalidRequest("Say in 1 to 120 characters what will use it.", "name")
    if form.scopes.data not in SCOPES:
        raise InvalidRequest("Choose what it may do.", "scopes")
    if form.days.data not in DAYS:
        raise InvalidRequest("Choose how long it works.", "days")
    return name, int(form.days.data)


def _page(form: KeyForm, status: int) -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        found = keys.keys_of(session, mine().publisher_id)
        decision = standing(session)
    at = house.clock()
    live = [key for key in found if key.live(at)]
    return render_template(
        "portal/keys.html", form=form, live=live, over=[key for key in found if key not in live], decision=decision
    ), status
