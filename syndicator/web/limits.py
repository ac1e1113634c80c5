"""Rate limits: one for each key, one for each address that has none; feeds and beacons apart. Told in RateLimit fields and
Retry-After.

RateLimit fields: draft-ietf-httpapi-ratelimit-headers-10. Polls of private feeds that send validators cost little and have a
larger allowance, each token its own, so that the readers behind one proxy do not hurt each other; public feeds do not even come
here (poll_limits.py).
"""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask, Response, current_app, g, request

from syndicator.errors import AccessDenied, TooManyRequests
from syndicator.house import House
from syndicator.web.identity import caller
from syndicator.web.meter import Meter, Rate, Standing, network_of, read_rate

UNCOUNTED = ("/assets/", "/healthz", "/readyz", "/metrics")
FEEDS = ("/f/", "/feeds/")
BEACONS = "/b/"
TO_READER = 10  # how often as much one token may ask from one address as somebody without validators


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
        "reader": Rate(per_address.amount * TO_READER, per_address.seconds),
    }

    def take(policy: str, name: str) -> None:
        rate = rates.get(policy, per_address)
        standing = meter.take(f"{policy} {name}", rate, house.clock().timestamp())
        g.limit = Told(policy, rate, standing)
        if not standing.granted:
            raise TooManyRequests(standing.again_in_seconds, policy)

    def count() -> None:
        if asker := _asker():
            take(*asker)

    app.extensions["limits"] = take
    app.before_request(count)
    app.after_request(_tell)


def count_stranger() -> None:
    """Count a poll whose token nobody has like one without validators: who makes tokens up has no allowance for each of them."""
    take = current_app.extensions.get("limits")
    if take is not None and _asks_again():
        take("feed", network_of(request.remote_addr or ""))


def _asker() -> tuple[str, str] | None:
    """Return by which limit the request is counted, and whose it is; None when it is not counted."""
    if request.path.startswith(UNCOUNTED):
        return None
    if request.path.startswith(FEEDS):
        network = network_of(request.remote_addr or "")
        return ("reader", f"{network} {_token()}") if _asks_again() else ("feed", network)
    if request.path.startswith(BEACONS):
        return "beacon", network_of(request.remote_addr or "")
    if request.path.startswith("/v1/"):
        try:
            if key := caller().key:
                return "key", key.public_id
        except AccessDenied:
            pass  # a wrong key counts against the address, and its view refuses it
    return "address", network_of(request.remote_addr or "")


def _asks_again() -> bool:
    return "If-None-Match" in request.headers or "If-Modified-Since" in request.headers


def _token() -> str:
    """Return what a poll shows to be let in, whether anybody has it or not."""
    if request.path.startswith("/f/"):
        return request.path.split("/")[2]
    return (request.authorization and request.authorization.password) or ""


def _tell(response: Response) -> Response:
    told: Told | None = g.get("limit")
    if told is not None and (request.path.startswith("/v1/") or not told.standing.granted):
        response.headers["RateLimit-Policy"] = f'"{told.policy}";q={told.rate.amount};w={told.rate.seconds}'
        response.headers["RateLimit"] = f'"{told.policy}";r={told.standing.left};t={told.standing.whole_in_seconds}'
    return response
