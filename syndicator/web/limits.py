"""Rate limits: one for each key, one for each address that has none; feeds and beacons apart. Told in RateLimit fields and
Retry-After.

RateLimit fields: draft-ietf-httpapi-ratelimit-headers-10. Polls that send validators cost little and have a far larger allowance
of their own, so that the readers behind one proxy do not hurt each other; public feeds do not even come here (poll_limits.py).
"""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask, Response, g, request

from syndicator.errors import AccessDenied, TooManyRequests
from syndicator.house import House
from syndicator.web.identity import caller
from syndicator.web.meter import Meter, Rate, Standing, network_of, read_rate
from syndicator.web.poll_limits import TO_READERS

UNCOUNTED = ("/assets/", "/healthz", "/readyz", "/metrics")
FEEDS = ("/f/", "/feeds/")
BEACONS = "/b/"


class Told(NamedTuple):
    """What the answer says about its asker's limit."""

    policy: str
    rate: Rate
    standing: Standing


def furnish(app: Flask, house: House) -> None:
    """Count every request of `app`, unless the settings say not to."""
    if not house.config.limits.enabled:
        return
    meter = Meter(house.config.data_dir / "limits.meter")
    per_address = read_rate(house.config.limits.requests_per_address)
    rates = {
        "key": read_rate(house.config.limits.requests_per_key),
        "reader": Rate(per_address.amount * TO_READERS, per_address.seconds),
    }

    def count() -> None:
        asker = _asker()
        if asker is None:
            return
        policy, name = asker
        rate = rates.get(policy, per_address)
        standing = meter.take(f"{policy} {name}", rate, house.clock().timestamp())
        g.limit = Told(policy, rate, standing)
        if not standing.granted:
            raise TooManyRequests(standing.again_in_seconds, policy)

    app.before_request(count)
    app.after_request(_tell)


def _asker() -> tuple[str, str] | None:
    """Return by which limit the request is counted, and whose it is; None when it is not counted."""
    if request.path.startswith(UNCOUNTED):
        return None
    if request.path.startswith(FEEDS):
        asks_again = "If-None-Match" in request.headers or "If-Modified-Since" in request.headers
        return "reader" if asks_again else "feed", network_of(request.remote_addr or "")
    if request.path.startswith(BEACONS):
        return "beacon", network_of(request.remote_addr or "")
    if request.path.startswith("/v1/"):
        try:
            if key := caller().key:
                return "key", key.public_id
        except AccessDenied:
            pass  # a wrong key counts against the address, and its view refuses it
    return "address", network_of(request.remote_addr or "")


def _tell(response: Response) -> Response:
    told: Told | None = g.get("limit")
    if told is not None and (request.path.startswith("/v1/") or not told.standing.granted):
        response.headers["RateLimit-Policy"] = f'"{told.policy}";q={told.rate.amount};w={told.rate.seconds}'
        response.headers["RateLimit"] = f'"{told.policy}";r={told.standing.left};t={told.standing.whole_in_seconds}'
    return response
