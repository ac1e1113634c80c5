"""The desk's first page: what waits for whoever looks, counted; charts; what is taken most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.publishers import PublisherState
from syndicator.operations.desk_counts import GIVEN_UP_DAYS, DeskCounts, count_desk
from syndicator.operations.desk_figures import top_stories
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.desk.charts import CHARTS
from syndicator.web.guard import may, me, staff_required
from syndicator.web.identity import the_house

TOP_DAYS = 7


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, and the page that shows what it counts. `tone` is as of ui.badge: quiet when there is nothing to do."""

    words: str
    count: int
    path: str
    tone: str = "plain"


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
    return render_template("desk/start.html", tiles=_tiles(counts), user=me().user, charts=charts, top=top, top_days=TOP_DAYS)


def _tiles(counts: DeskCounts) -> list[Tile]:
    """Return the figures of the pages that the person may open."""

    def waits(words: str, count: int, endpoint: str, tone: str, **query: Any) -> tuple[str, Tile]:
        return endpoint, Tile(words, count, url_for(endpoint, **query), tone if count else "plain")

    figures = (
        waits("Applications that wait", counts.applications, "desk.applications_page", "warn"),
        waits("Open inquiries", counts.inquiries, "desk.inquiries_page", "warn", state="open"),
        waits("Kills and corrections not acknowledged", counts.unacknowledged, "desk.acknowledgements_page", "bad"),
        waits(f"Deliveries given up in {GIVEN_UP_DAYS} days", counts.given_up, "desk.deliveries_page", "bad", state="given_up"),
        waits("Letters not sent", counts.letters, "desk.letters_page", "bad", state="failed"),
        waits("Failing sources", counts.sources, "desk.sources_page", "bad"),
        waits("Failing jobs", counts.jobs, "desk.jobs_page", "bad"),
        waits("Approved publishers", counts.approved, "desk.publishers_page", "plain", state=PublisherState.APPROVED),
        waits("Stories in 24 hours", counts.stories_last_day, "desk.stories_page", "plain"),
    )
    return [tile for endpoint, tile in figures if may(endpoint)]
