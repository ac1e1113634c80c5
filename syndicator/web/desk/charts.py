"""Charts of the desk's first page as SVG. Each stands in an <img>, so nothing in it runs; a table of the figures stands beside.

A chart has addresses of its own for light and dark screens. Its styles are inside the file, for which alone the policy allows
them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pygal
from flask import Response, request
from flask.typing import ResponseReturnValue
from pygal.style import Style

from syndicator.errors import NotFound
from syndicator.operations import desk_figures
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import staff_required
from syndicator.web.identity import the_house

# pygal puts a finder for its plugins, of which there are none here, into every import from now on: Python warns of it each time.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

DAYS = 14
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
LIGHT = {"foreground": "#5d5a53", "foreground_strong": "#1c1b19", "foreground_subtle": "#d8d3c8"}
DARK = {"foreground": "#aaa69c", "foreground_strong": "#e8e5de", "foreground_subtle": "#37383c"}
COLOURS = {"accepted": "#3c8d5a", "deferred": "#c98a1b", "refused": "#b6373a"}


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows: rows of figures, by series."""

    name: str
    title: str
    words: str  # what it says, for those who do not see it
    labels: Sequence[str]
    series: Mapping[str, Sequence[int]]


def deliveries_chart() -> Chart:
    house = the_house()
    with reading(house.sessions) as session:
        days = desk_figures.attempts_by_day(session, days=DAYS, at=house.clock())
    series = {outcome: [day[outcome] for day in days.values()] for outcome in desk_figures.OUTCOMES}
    total = {outcome: sum(values) for outcome, values in series.items()}
    words = f"In {DAYS} days " + ", ".join(f"{count:,} {outcome}" for outcome, count in total.items())
    return Chart("deliveries", "Attempts at delivery, by outcome", words, [f"{day:%b} {day.day}" for day in days], series)


def ages_chart() -> Chart:
    house = the_house()
    with reading(house.sessions) as session:
        ages = desk_figures.waiting_by_age(session, at=house.clock())
    words = ", ".join(f"{count} waiting {age}" for age, count in ages.items())
    return Chart("ages", "Applications that wait for us, by age", words, list(ages), {"applications": list(ages.values())})


def states_chart() -> Chart:
    with reading(the_house().sessions) as session:
        states = {state.words: count for state, count in desk_figures.applications_by_state(session).items()}
    words = ", ".join(f"{count} {state}" for state, count in states.items())
    return Chart("states", "Applications, by state", words, list(states), {"applications": list(states.values())})


CHARTS = {"deliveries": deliveries_chart, "ages": ages_chart, "states": states_chart}


@desk.get("/charts/<name>.svg")
@staff_required()
def chart_image(name: str) -> ResponseReturnValue:
    if name not in CHARTS:
        raise NotFound(f"there is no chart {name!r}")
    answer = Response(draw(CHARTS[name](), dark=request.args.get("on") == "dark"), content_type="image/svg+xml")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def draw(chart: Chart, *, dark: bool) -> bytes:
    """Draw stacked bars for several series, plain bars for one; equal figures give equal bytes."""
    colours = tuple(COLOURS.get(name, "#4a78a8") for name in chart.series)
    style = Style(
        background="transparent",
        plot_background="transparent",
        opacity="1",
        colors=colours,
        font_family="Helvetica, Arial, sans-serif",
        label_font_size=14,
        major_label_font_size=14,
        legend_font_size=15,
        **(DARK if dark else LIGHT),
    )
    kind = pygal.StackedBar if len(chart.series) > 1 else pygal.HorizontalBar
    drawing = kind(
        style=style,
        width=720,
        height=360,
        js=(),
        disable_xml_declaration=True,
        show_legend=len(chart.series) > 1,
        legend_at_bottom=True,
        x_label_rotation=0 if len(chart.labels) < 8 else 45,
        margin=10,
        print_values=False,
        uuid_seed=0,
        include_x_axis=True,
        value_formatter=lambda value: f"{value:,.0f}" if value is not None else "",
    )
    if kind is pygal.HorizontalBar:
        drawing.x_labels = list(reversed(chart.labels))
        for name, values in chart.series.items():
            drawing.add(name, list(reversed(values)))
    else:
        drawing.x_labels = list(chart.labels)
        for name, values in chart.series.items():
            drawing.add(name, list(values))
    image: bytes = drawing.render(is_unicode=False)
    return image
