"""How many whole feed documents one address may fetch. A 304 costs next to nothing and is not counted.

Readers that show they had an earlier document, by an ETag or date that was ours, are counted apart from those that do not, and
may have more. So readers behind one proxy that poll as they should do not suffer for a neighbour that does not. What they call
themselves counts for nothing.
"""

from __future__ import annotations

from syndicator.clock import Clock
from syndicator.web.meter import Meter, Rate

PURSE, MOST_IN_A_PURSE = 100, 64  # the hundredth part of an allowance is taken from the meter at once, but not more than so many
MOST_PURSES = 10_000
DOCUMENTS = 10  # for each request to the application that is allowed: from memory, one costs less than a tenth of that
TO_READERS = 100  # the same, for those who had an earlier document: there may be hundreds behind one address


class PollLimits:
    """Some times `rate`, which is that of requests to the application, for each address or IPv6 network.

    The meter's file is locked for each time that it is asked, which threads and processes would wait for at each poll. So each
    process has a purse for each asker, and goes to the meter only with an empty one: what lies in it is counted already, and what
    is left there of a burst a minute ago is good for the next.
    """

    def __init__(self, meter: Meter, rate: Rate, *, clock: Clock) -> None:
        self._meter, self._clock = meter, clock
        self._rates = {
            "poll": Rate(rate.amount * DOCUMENTS, rate.seconds),
            "reader": Rate(rate.amount * TO_READERS, rate.seconds),
        }
        self._purses: dict[str, int] = {}

    def wait_seconds(self, asker: str, *, reader: bool) -> int:
        """Count one document for `asker`; returns 0, or after how many seconds this address may have another."""
        kind = "reader" if reader else "poll"
        asker = f"{kind} {asker}"
        left = self._purses.get(asker, 0)
        if left:
            self._purses[asker] = left - 1
            return 0
        return self._fill_purse(asker, self._rates[kind])

    def _fill_purse(self, asker: str, rate: Rate) -> int:
        now, many = self._clock().timestamp(), min(max(rate.amount // PURSE, 1), MOST_IN_A_PURSE)
        if len(self._purses) >= MOST_PURSES:
            self._purses.clear()
        if many > 1 and self._meter.take(asker, rate, now, many).granted:
            self._purses[asker] = many - 1
            return 0
        standing = self._meter.take(asker, rate, now)
        return 0 if standing.granted else standing.again_in_seconds
