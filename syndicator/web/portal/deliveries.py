"""Deliveries: what was pushed to the publisher, every attempt with the answer, and sending one again."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.accounts import MemberRole
from syndicator.domain.deliveries import DeliveryState, delivery_uid
from syndicator.errors import Conflict
from syndicator.operations import deliveries, subscriptions
from syndicator.storage.engine import reading
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal

PAGE = 50


@portal.app_template_global()
def delivery_id(delivery: object) -> str:
    return delivery_uid(delivery.subscription.public_id, delivery.event_seq)  # type: ignore[attr-defined]


@portal.get("/deliveries")
@member_required()
def deliveries_page() -> ResponseReturnValue:
    """The newest deliveries; `subscription`, `state` and `story` filter, `before` leads on."""
    state, story, chosen = (
        request.args.get("state", type=DeliveryState),
        request.args.get("story"),
        request.args.get("subscription"),
    )
    publisher_id = mine().publisher_id
    with reading(the_house().sessions) as session:
        own = subscriptions.subscriptions_of(session, publisher_id)
        found = deliveries.deliveries_of(
            session,
            publisher_id,
            before_id=request.args.get("before", 2**62, type=int),
            limit=PAGE + 1,
            subscription_id=subscriptions.get_subscription(session, chosen, publisher_id).id if chosen else None,
            state=state,
            story=story or None,
        )
    asked: dict[str, Any] = {"state": state, "story": story, "subscription": chosen}
    older = url_for("portal.deliveries_page", before=found[PAGE - 1].id, **asked) if len(found) > PAGE else None
    return render_template(
        "portal/deliveries.html", deliveries=found[:PAGE], subscriptions=own, states=DeliveryState, asked=asked, older=older
    )


@portal.get("/deliveries/<uid>")
@member_required()
def delivery_page(uid: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        delivery = deliveries.get_delivery(session, uid, mine().publisher_id)
        attempts = deliveries.attempts_of(session, delivery.id)
    return render_template("portal/delivery.html", delivery=delivery, attempts=attempts)


@portal.post("/deliveries/<uid>/replay")
@member_required(MemberRole.TECHNICIAN)
def replay_delivery(uid: str) -> ResponseReturnValue:
    house = the_house()
    try:
        with house.sessions.begin() as session:
            delivery = deliveries.get_delivery(session, uid, mine().publisher_id)
            deliveries.replay(session, delivery, actor=actor(), at=house.clock())
        flash("It is on its way again, with the same id.", "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("portal.delivery_page", uid=uid), 303)
