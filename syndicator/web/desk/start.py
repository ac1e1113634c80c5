"""The desk's first page: what waits, counted."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from syndicator.operations.desk_counts import count_desk
from syndicator.operations.desk_figures import top_stories
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.desk.charts import CHARTS
from syndicator.web.guard import may, me, staff_required
from syndicator.web.identity import the_house

TOP_DAYS = 7


@desk.get("/")
@staff_required()
def start() -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        counts = count_desk(session, at=house.clock())
        top = top_stories(session, days=TOP_DAYS, at=house.clock())
    charts = [CHARTS["deliveries"](), CHARTS["polls"]()]
    if may("desk.publishers_page"):
        charts += [CHARTS["ages"](), CHARTS["states"]()]
    return render_template("desk/start.html", counts=counts, user=me().user, charts=charts, top=top, top_days=TOP_DAYS)
