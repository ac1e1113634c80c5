"""The portal's first page: how things stand with the publisher, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from syndicator.access import decide_viewer, viewer_of
from syndicator.domain.accounts import SignIn
from syndicator.domain.publishers import PublisherState
from syndicator.errors import NotFound
from syndicator.operations.acknowledge import pending_acknowledgements
from syndicator.operations.apply import find_application, may_begin
from syndicator.operations.find_publishers import last_signs
from syndicator.operations.keys import keys_of, tokens_of
from syndicator.operations.subscriptions import subscriptions_of
from syndicator.reasons import Reason
from syndicator.storage.engine import reading
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
    Reason.OK: Standing("Approved", "good", "You may take stories.", "/portal/stories", "Read the newest stories"),
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


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to the first story. `next`: it is this one's turn."""

    title: str
    words: str
    done: bool
    next: bool = False
    path: str = ""
    action: str = ""
    others: tuple[tuple[str, str], ...] = ()


def steps_to_first_story(reason: Reason, *, ways: bool, arrived: bool) -> list[Step]:
    """Return what is left to do, once approved; nothing when stories arrive, or when the gate says no for another reason."""
    if arrived or reason not in {Reason.OK, Reason.TERMS_NOT_ACCEPTED}:
        return []
    signed = reason is Reason.OK
    return [
        Step("Be approved", "The licensing team has approved you.", done=True),
        Step(
            "Accept the terms",
            "An owner accepts them once for all of you.",
            done=signed,
            next=not signed,
            path="/portal/terms",
            action="Read and accept the terms",
        ),
        Step(
            "Choose how stories come to you",
            "Copy a feed's address, make a key for the API, or have stories sent to your server, mailbox, folder or WordPress.",
            done=signed and ways,
            next=signed and not ways,
            path="/portal/feeds",
            action="Copy a feed address",
            others=(("Make an API key", "/portal/keys"), ("Have them sent to you", "/portal/subscriptions")),
        ),
        Step(
            "See the first one arrive",
            "As soon as one has, this list goes away. Until then you can read and copy stories here.",
            done=False,
            next=signed and ways,
            path="/portal/stories",
            action="Read stories now",
            others=(("Look at the deliveries", "/portal/deliveries"),),
        ),
    ]


@portal.get("/")
@member_required()
def start() -> ResponseReturnValue:
    house, person, membership = the_house(), me(), mine()
    publisher = membership.publisher
    decision = decide_viewer(viewer_of(publisher, house.config.license.version), house.clock())
    with reading(house.sessions) as session:
        signs = last_signs(session, publisher.id)
        ways = bool(keys_of(session, publisher.id) or tokens_of(session, publisher.id))
        ways = ways or bool(subscriptions_of(session, publisher.id))
        pending = len(pending_acknowledgements(session, publisher.id))
        newest = find_application(session, publisher.id)
    at, approved = house.clock(), publisher.state is PublisherState.APPROVED
    begun = approved and newest is not None and newest.renewal and newest.changeable
    return render_template(
        "portal/start.html",
        publisher=publisher,
        role=membership.role,
        standing=STANDINGS[decision.reason],
        steps=steps_to_first_story(decision.reason, ways=ways, arrived=any(signs.values())),
        signs=signs,
        pending=pending,
        # Both are told by letter too, to one address; here everybody sees them in time.
        renewing=begun or (approved and may_begin(publisher, newest, at=at)),
        asked_again=decision.granted and publisher.terms_version != house.config.license.version,
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
