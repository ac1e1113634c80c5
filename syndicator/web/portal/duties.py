"""What the publisher owes and has: kills and corrections to acknowledge, agreements, usage, receipts."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from syndicator.operations import acknowledge, agreements, receipts, takes
from syndicator.render.spreadsheet import CONTENT_TYPE, csv_text
from syndicator.storage.engine import reading
from syndicator.web.guard import actor, me, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal

USAGE_DAYS = 90
MOST_SHOWN = 200


@portal.get("/acknowledgements")
@member_required()
def acknowledgements_page() -> ResponseReturnValue:
    """Corrections, kills and takedowns of stories that the publisher had, and has not said to have acted on."""
    with reading(the_house().sessions) as session:
        pending = acknowledge.pending_acknowledgements(session, mine().publisher_id)
    return render_template("portal/acknowledgements.html", pending=pending)


@portal.post("/acknowledgements/<int:seq>")
@member_required()
def acknowledge_event(seq: int) -> ResponseReturnValue:
    house = the_house()
    with house.sessions.begin() as session:
        acknowledge.acknowledge(session, mine().publisher_id, seq, by=me().user.called, actor=actor(), at=house.clock())
    flash("Thank you. No more reminders come for it.", "good")
    return redirect(url_for("portal.acknowledgements_page"), 303)


@portal.get("/use")
@member_required()
def use_page() -> ResponseReturnValue:
    """Agreements, what was taken lately, and receipts."""
    house, publisher_id = the_house(), mine().publisher_id
    at = house.clock()
    with reading(house.sessions) as session:
        found = agreements.agreements_of(session, publisher_id, limit=50)
        used = {each.id: agreements.quota_used(session, each, at=at) for each in found if each.quota and each.in_force(at)}
        taken = takes.usage(
            session,
            house.catalogue,
            since=at - timedelta(days=USAGE_DAYS),
            until=at,
            publisher_id=publisher_id,
            most=MOST_SHOWN,
        )
        proofs = receipts.receipts_judged(session, publisher_id, at=at)
    return render_template(
        "portal/use.html",
        agreements=found,
        used=used,
        taken=taken[::-1],
        receipts=proofs,
        days=USAGE_DAYS,
        at=at,
        most=MOST_SHOWN,
    )


@portal.get("/use/statement")
@member_required()
def use_statement() -> ResponseReturnValue:
    """The usage of the last days as CSV."""
    house = the_house()
    at = house.clock()
    with reading(house.sessions) as session:
        taken = takes.usage(
            session, house.catalogue, since=at - timedelta(days=USAGE_DAYS), until=at, publisher_id=mine().publisher_id
        )
    answer = Response(csv_text(takes.usage_rows(taken)), content_type=CONTENT_TYPE)
    answer.headers["Content-Disposition"] = f'attachment; filename="usage-{at:%Y-%m-%d}.csv"'
    return answer
