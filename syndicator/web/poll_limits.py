"""How many whole feed documents one address may fetch. A 304 costs next to nothing and is not counted.

Readers that show they had an earlier document, by an ETag or date that was ours, are counted apart from those that do not, and
may have more. So readers behind one proxy that poll as they should do not suffer for a neighbour that does not. What they call
themselves counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syndicator.clock import Clock
from syndicator.web.meter import Meter, Rate, asker_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

DOCUMENTS = 10  # for each request to the application that is allowed: from memory, one costs less than a tenth of that
TO_READERS = 100  # the same, for those who had an earlier document: there may be hundreds behind one address


class PollLimits:
    """Some times `rate`, which is that of requests to the application, for each address or IPv6 network."""

    def __init__(self, meter: Meter, rate: Rate, *, trusted_proxies: int, clock: Clock) -> None:
        self._meter, self._clock, self._proxies = meter, clock, trusted_proxies
        self._rates = {
            "poll": Rate(rate.amount * DOCUMENTS, rate.seconds),
            "reader": Rate(rate.amount * TO_READERS, rate.seconds),
        }

    def wait_seconds(self, environ: WSGIEnvironment, *, reader: bool) -> int:
        """Count one document for whoever asks; returns 0, or after how many seconds this address may have another."""
        kind = "reader" if reader else "poll"
        asker = f"{kind} {asker_of(environ, self._proxies)}"
        standing = self._meter.take(asker, self._rates[kind], self._clock().timestamp())
        return 0 if standing.granted else standing.again_in_seconds
