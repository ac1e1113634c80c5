"""The portal's first page: how things stand with the publisher, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from syndicator.access import decide_viewer, viewer_of
from syndicator.domain.accounts import SignIn
from syndicator.errors import NotFound
from syndicator.reasons import Reason
from syndicator.web.guard import me, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate says of a publisher, for its members: a title, a tone (as of ui.badge), what to do next, and where."""

    title: str
    tone: str
    words: str
    path: str = ""
    action: str = ""


STANDINGS = {
    Reason.OK: Standing(
        "Approved", "good", "You may take stories. They are waiting in the feeds.", "/feeds", "Look at the feeds"
    ),
    Reason.APPLICATION_PENDING: Standing(
        "Not decided yet",
        "warn",
        "Stories can be taken as soon as your application is approved.",
        "/portal/application",
        "Look at the application",
    ),
    Reason.TERMS_NOT_ACCEPTED: Standing(
        "Approved, terms open",
        "warn",
        "An owner has to accept the terms before stories can be taken.",
        "/portal/terms",
        "Read and accept the terms",
    ),
    Reason.ELIGIBILITY_EXPIRED: Standing(
        "Approval over", "bad", "The term of your approval is over; it has to be renewed.", "/portal/application", "Renew it"
    ),
    Reason.SUSPENDED: Standing("Suspended", "bad", "Your access is suspended. Please write to the licensing team."),
    Reason.NOT_ELIGIBLE: Standing(
        "Not approved",
        "bad",
        "You may not take stories. The reason stands below.",
        "/portal/application",
        "Look at the application",
    ),
}


@portal.get("/")
@member_required()
def start() -> ResponseReturnValue:
    house, person, membership = the_house(), me(), mine()
    publisher = membership.publisher
    decision = decide_viewer(viewer_of(publisher, house.config.license.version), house.clock())
    return render_template(
        "portal/start.html",
        publisher=publisher,
        role=membership.role,
        standing=STANDINGS[decision.reason],
        others=[each for each in person.memberships if each is not membership],
    )


@portal.post("/switch")
@member_required()
def switch() -> ResponseReturnValue:
    """Show another of the person's publishers."""
    house, person = the_house(), me()
    chosen = [each for each in person.memberships if each.publisher.public_id == request.form.get("publisher")]
    if not chosen:
        raise NotFound("there is no such publisher among yours")
    with house.sessions.begin() as session:
        session.get_one(SignIn, person.sign_in.id).publisher_id = chosen[0].publisher_id
    flash(f"You are now at {chosen[0].publisher.name}.", "good")
    return redirect("/portal/", 303)
