"""/metrics for Prometheus, for this machine and the networks of `server.metrics_networks` only.

The worker's numbers come from the database, where it adds them every few seconds. So do polls: each web
process adds its own twice a minute, and the one that is asked at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy.orm import Session

from syndicator.house import House
from syndicator.operations.tallies import BUCKETS_SECONDS, delivery_states, read_tallies
from syndicator.storage.engine import reading
from syndicator.web.identity import the_house
from syndicator.web.polls import PollBook

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def show() -> ResponseReturnValue:
    """Answer a scrape."""
    house = the_house()
    if not _may_look(house):
        abort(404)
    book: PollBook = current_app.extensions["polls"]
    book.write_down()
    registry = CollectorRegistry(auto_describe=False)
    with reading(house.sessions) as session:
        registry.register(_Numbers(session, house))
        text = generate_latest(registry)
    return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def _may_look(house: House) -> bool:
    """Whether the request comes from where metrics may be read; what a proxy passed on without our believing it does not."""
    passed_on = request.headers.get("X-Forwarded-For")
    if passed_on is not None and not 0 < house.config.server.trusted_proxies <= len(passed_on.split(",")):
        return False
    try:
        asker = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    return any(asker in network for network in house.config.server.metrics_networks)


class _Numbers:
    """A collector for one scrape."""

    def __init__(self, session: Session, house: House) -> None:
        self._session, self._house = session, house

    def collect(self) -> Iterator[Metric]:
        states = delivery_states(self._session, at=self._house.clock())
        yield GaugeMetricFamily(
            "syndicator_deliveries_owed",
            "Deliveries owed, but to paused subscriptions.",
            states["owed"],
        )
        yield GaugeMetricFamily("syndicator_deliveries_in_flight", "Deliveries claimed by a worker.", states["in_flight"])
        yield GaugeMetricFamily("syndicator_deliveries_given_up", "Deliveries that were given up.", states["given_up"])
        oldest = states["oldest_owed_seconds"]
        yield GaugeMetricFamily("syndicator_oldest_owed_seconds", "Since when the oldest delivery has been owed.", oldest)
        breakers = GaugeMetricFamily("syndicator_breakers", "Endpoints that failed too often, by state.", labels=["state"])
        for state in ("open", "half_open"):
            breakers.add_metric([state], states[state])
        yield breakers
        yield self._counter("attempts", "Attempts to deliver.", ["channel", "outcome"])
        yield self._counter("renders", "Renderings of feeds.", [])
        yield self._counter("polls", "Polls of feed documents.", ["feed", "format", "status"])
        yield self._durations()

    def _counter(self, name: str, words: str, labels: list[str]) -> Metric:
        family = CounterMetricFamily(f"syndicator_{name}", words, labels=labels)
        for values, count in read_tallies(self._session, name).items():
            family.add_metric([value for value in values if value], count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily("syndicator_attempt_duration_seconds", "How long attempts took.", labels=["channel"])
        counted = read_tallies(self._session, "attempt_buckets")
        for (channel,), seconds in read_tallies(self._session, "attempt_seconds").items():
            total, buckets = 0.0, []
            for limit in (*(f"{each:g}" for each in BUCKETS_SECONDS), "+Inf"):
                total += counted.get((channel, limit), 0.0)
                buckets.append((limit, total))
            family.add_metric([channel], buckets=buckets, sum_value=seconds)
        return family
