"""All agreements on one page, and what was taken as a statement, of everybody or of one publisher."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from syndicator.domain.accounts import StaffRole
from syndicator.operations import agreements, takes
from syndicator.render.spreadsheet import CONTENT_TYPE, csv_text
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.desk.publishers import publisher_called
from syndicator.web.guard import staff_required
from syndicator.web.identity import the_house

USAGE_DAYS = 90


@desk.get("/agreements")
@staff_required(StaffRole.LICENSING)
def agreements_page() -> ResponseReturnValue:
    at = the_house().clock()
    with reading(the_house().sessions) as session:
        found = agreements.agreements_of(session)
        used = {each.id: agreements.quota_used(session, each, at=at) for each in found if each.quota and each.in_force(at)}
    return render_template("desk/agreements.html", agreements=found, used=used, at=at, days=USAGE_DAYS)


@desk.get("/agreements/usage")
@staff_required(StaffRole.LICENSING)
def usage_statement() -> ResponseReturnValue:
    """What was first taken in the last days, by everybody or by `publisher`, as CSV."""
    house, asked = the_house(), request.args.get("publisher")
    at = house.clock()
    with reading(house.sessions) as session:
        publisher_id = publisher_called(session, asked).id if asked else None
        taken = takes.usage(session, house.catalogue, since=at - timedelta(days=USAGE_DAYS), until=at, publisher_id=publisher_id)
    answer = Response(csv_text(takes.usage_rows(taken)), content_type=CONTENT_TYPE)
    answer.headers["Content-Disposition"] = f'attachment; filename="usage-{at:%Y-%m-%d}.csv"'
    return answer
