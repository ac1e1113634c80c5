"""Charts of the desk's first page as SVG. Each stands in an <img>, so nothing in it runs; a table of the figures stands beside.

A chart has addresses of its own for light and dark screens, and for narrow ones. Its styles are inside the file, for which alone
the policy allows them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

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
OTHERS = ("#4a78a8", "#c98a1b", "#3c8d5a", "#8a63a8", "#b6373a", "#6b7a85")  # for series without a meaning of their own
MOST_FEEDS = len(OTHERS) - 1
MOST_TICKS = 6
NARROW_LABELS = 4  # on a phone every fourth day is named


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
    words = f"In {DAYS} days " + ", ".join(f"{number:,} {outcome}" for outcome, number in total.items())
    return Chart("deliveries", "Attempts at delivery, by outcome", words, [f"{day:%b} {day.day}" for day in days], series)


def ages_chart() -> Chart:
    house = the_house()
    with reading(house.sessions) as session:
        ages = desk_figures.waiting_by_age(session, at=house.clock())
    words = ", ".join(f"{number} waiting {age}" for age, number in ages.items())
    return Chart("ages", "Applications that wait for us, by age", words, list(ages), {"applications": list(ages.values())})


def states_chart() -> Chart:
    with reading(the_house().sessions) as session:
        states = {state.words: count for state, count in desk_figures.applications_by_state(session).items()}
    words = ", ".join(f"{number} {state}" for state, number in states.items())
    return Chart("states", "Applications, by state", words, list(states), {"applications": list(states.values())})


def polls_chart() -> Chart:
    """Feeds by their polls, those polled most by name and the others together."""
    house = the_house()
    with reading(house.sessions) as session:
        days = desk_figures.polls_by_day(session, days=DAYS, at=house.clock())
    total = Counter[str]()
    for counts in days.values():
        total.update(counts)
    named = [feed for feed, _ in total.most_common(MOST_FEEDS)]
    series = {feed: [counts.get(feed, 0) for counts in days.values()] for feed in named}
    if len(total) > len(named):
        series["other feeds"] = [sum(number for feed, number in counts.items() if feed not in named) for counts in days.values()]
    words = f"In {DAYS} days " + (", ".join(f"{feed} {sum(counts):,}" for feed, counts in series.items()) or "none")
    return Chart("polls", "Polls of feeds", words, [f"{day:%b} {day.day}" for day in days], series or {"polls": [0] * DAYS})


CHARTS = {"deliveries": deliveries_chart, "polls": polls_chart, "ages": ages_chart, "states": states_chart}


@desk.get("/charts/<name>.svg")
@staff_required()
def chart_image(name: str) -> ResponseReturnValue:
    if name not in CHARTS:
        raise NotFound(f"there is no chart {name!r}")
    chart = CHARTS[name]()
    image = draw(chart, dark=request.args.get("on") == "dark", narrow="narrow" in request.args)
    answer = Response(image, content_type="image/svg+xml")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def draw(chart: Chart, *, dark: bool, narrow: bool = False) -> bytes:
    """Draw stacked bars for several series, plain bars for one; equal figures give equal bytes. `narrow` is for a phone."""
    colours = tuple(COLOURS.get(name, OTHERS[place % len(OTHERS)]) for place, name in enumerate(chart.series))
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
    by_day = len(chart.labels) >= DAYS
    kind = pygal.StackedBar if by_day else pygal.HorizontalBar
    marks = ticks(max(map(sum, zip(*chart.series.values(), strict=True)), default=0))
    drawing = kind(
        style=style,
        width=400 if narrow else 720,
        height=320 if narrow else 360,
        js=(),
        disable_xml_declaration=True,
        show_legend=len(chart.series) > 1,
        legend_at_bottom=True,
        x_label_rotation=0 if len(chart.labels) < 8 else 45,
        margin=10,
        print_values=False,
        uuid_seed=0,
        range=(0, marks[-1]),
        include_x_axis=True,
        value_formatter=lambda value: f"{value:,.0f}" if value is not None else "",
    )
    drawing.y_labels = marks
    if kind is pygal.HorizontalBar:
        drawing.x_labels = list(reversed(chart.labels))
        for name, values in chart.series.items():
            drawing.add(name, list(reversed(values)))
    else:
        drawing.x_labels = list(chart.labels)
        if narrow:
            drawing.x_labels_major_every, drawing.show_minor_x_labels = NARROW_LABELS, False
        for name, values in chart.series.items():
            drawing.add(name, list(values))
    image: bytes = drawing.render(is_unicode=False)
    return image


def ticks(most: int) -> list[int]:
    """Return whole numbers from 0 to `most` or just above, evenly apart by 1, 2 or 5 times a power of ten, MOST_TICKS at most."""
    steps = (base * 10**power for power in count() for base in (1, 2, 5))
    step = next(step for step in steps if most <= step * (MOST_TICKS - 1))
    return [step * n for n in range(max(1, -(-most // step)) + 1)]
