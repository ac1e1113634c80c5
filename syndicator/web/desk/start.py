"""The desk's first page: what waits, counted."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from syndicator.operations.desk_counts import count_desk
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import me, staff_required
from syndicator.web.identity import the_house


@desk.get("/")
@staff_required()
def start() -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        counts = count_desk(session, at=house.clock())
    return render_template("desk/start.html", counts=counts, user=me().user)
