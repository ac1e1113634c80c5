"""Deliveries at the desk: everybody's, one with its attempts, and what was given up sent again, one or many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.deliveries import DeliveryState
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations import deliveries, subscriptions
from syndicator.operations.publishers import get_publisher
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PAGE = 50
SINCE = {"1": "the last hour", "24": "the last day", "72": "the last three days", "720": "the last thirty days"}


@desk.get("/deliveries")
@staff_required()
def deliveries_page() -> ResponseReturnValue:
    state, story = request.args.get("state", type=DeliveryState), request.args.get("story", "").strip()
    who, chosen = request.args.get("publisher", "").strip(), request.args.get("subscription", "").strip()
    wrong = ""
    with reading(the_house().sessions) as session:
        try:
            found = deliveries.deliveries_of(
                session,
                get_publisher(session, who).id if who else None,
                before_id=request.args.get("before", 2**62, type=int),
                limit=PAGE + 1,
                subscription_id=subscriptions.get_subscription(session, chosen).id if chosen else None,
                state=state,
                story=story or None,
            )
        except (NotFound, Conflict) as error:
            found, wrong = [], str(error)
    asked: dict[str, Any] = {"state": state, "story": story or None, "publisher": who or None, "subscription": chosen or None}
    older = url_for("desk.deliveries_page", before=found[PAGE - 1].id, **asked) if len(found) > PAGE else None
    return render_template(
        "desk/deliveries.html",
        deliveries=found[:PAGE],
        states=DeliveryState,
        asked=asked,
        wrong=wrong,
        older=older,
        spans=SINCE,
    )


@desk.post("/deliveries/replay")
@staff_required(lately=True)
def replay_many() -> ResponseReturnValue:
    """Send again what was given up in the time chosen: for after an outage."""
    house, hours, chosen = the_house(), request.form.get("hours", ""), request.form.get("subscription", "").strip()
    if hours not in SINCE:
        raise InvalidRequest("Choose the time.", "hours")
    at = house.clock()
    with house.sessions.begin() as session:
        done = deliveries.replay_given_up(
            session,
            since=at - timedelta(hours=int(hours)),
            subscription_id=subscriptions.get_subscription(session, chosen).id if chosen else None,
            actor=actor(),
            at=at,
        )
    flash(done.words, "good" if done.owed or not done.refused else "warn")
    return redirect(url_for("desk.deliveries_page", state="given_up"), 303)


@desk.get("/deliveries/<uid>")
@staff_required()
def delivery_page(uid: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        delivery = deliveries.get_delivery(session, uid)
        attempts = deliveries.attempts_of(session, delivery.id)
    return render_template("desk/delivery.html", delivery=delivery, attempts=attempts)


@desk.post("/deliveries/<uid>/replay")
@staff_required()
def replay_delivery(uid: str) -> ResponseReturnValue:
    house = the_house()
    try:
        with house.sessions.begin() as session:
            deliveries.replay(session, deliveries.get_delivery(session, uid), actor=actor(), at=house.clock())
        flash("It is on its way again, with the same id.", "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("desk.delivery_page", uid=uid), 303)
