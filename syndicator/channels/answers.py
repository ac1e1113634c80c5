"""What a subscriber's HTTP answer means; the same for webhook and WebSub.

2xx delivers, 410 Gone ends the subscription, everything else may be tried again; redirects are failures (Standard Webhooks
1.0.0, WebSub 7). Reasons are fixed words: `http-500`, `redirect`, `timeout`, `connect`, `tls`, `dns`, `address-refused`,
`broken-answer`. Nothing that the subscriber wrote gets into them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from syndicator.channels import Accepted, Answer, Deferred, Outcome, Refused

WORDS = {
    "redirect": "it sent us elsewhere, where we do not follow",
    "timeout": "no answer in time",
    "connect": "no connection could be made",
    "connection-lost": "the connection was lost",
    "tls": "no trusted TLS connection could be made",
    "dns": "the name of the host was not found",
    "address-refused": "we may not connect to this address",
    "broken-answer": "the answer was broken",
    "gone": "it says that it is gone for good (410)",
    "not-started": "we did not get to it in time",
    "not-made": "we could not make what was to be sent",
}
LONGEST_WAIT_SECONDS = 86_400.0
OVERLOAD_WAIT_SECONDS = 60.0


def read_answer(answer: Answer, at: datetime) -> Outcome:
    """Read the answer to a push that came at the instant `at`."""
    if 200 <= answer.status < 300:
        return Accepted()
    if answer.status == 410:
        return Refused("gone", ends_subscription=True)
    return Deferred(_reason(answer), _wait_seconds(answer, at), throttled=answer.status in {429, 503})


def in_words(reason: str) -> str:
    """Say a reason to people; one that is no code of ours is words already."""
    status = re.fullmatch(r"http-([0-9]{3})", reason)
    return f"it answered with status {status[1]}" if status else WORDS.get(reason, reason)


def least_wait_seconds(error: str) -> float | None:
    """Return how long to wait at least after `error`: who answers too late has too much to do."""
    return OVERLOAD_WAIT_SECONDS if error == "timeout" else None


def retry_after_seconds(value: str, at: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3), seconds or a date; at most a day, None when it is neither."""
    if re.fullmatch(r"[0-9]+", value):
        return LONGEST_WAIT_SECONDS if len(value) > 6 else min(float(value), LONGEST_WAIT_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    until = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max((until - at).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)


def _wait_seconds(answer: Answer, at: datetime) -> float | None:
    asked = retry_after_seconds(answer.headers.get("retry-after", ""), at) if answer.status in {429, 502, 503, 504} else None
    least = OVERLOAD_WAIT_SECONDS if answer.status in {429, 503} else least_wait_seconds(answer.error)
    return max(asked or 0.0, least) if least else asked


def _reason(answer: Answer) -> str:
    if answer.status == 0:
        return answer.error or "broken-answer"
    return "redirect" if 300 <= answer.status < 400 else f"http-{answer.status}"
