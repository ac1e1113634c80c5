"""What a subscriber's answer means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator.channels import Accepted, Answer, Deferred, Refused
from syndicator.channels.answers import LONGEST_WAIT_SECONDS, read_answer, retry_after_seconds

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def read(status: int, error: str = "", **headers: str) -> object:
    return read_answer(Answer(status=status, error=error, headers={k.replace("_", "-"): v for k, v in headers.items()}), AT)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_any_2xx_delivers(status: int) -> None:
    assert read(status) == Accepted()


def test_gone_ends_the_subscription_and_nothing_else_does() -> None:
    assert read(410) == Refused("gone", ends_subscription=True)
    others = (read(status) for status in range(300, 600) if status != 410)
    assert all(isinstance(outcome, Deferred) for outcome in others)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_is_a_failure(status: int) -> None:
    assert read(status) == Deferred("redirect")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 500])
def test_other_failures_are_tried_again_and_keep_to_the_schedule(status: int) -> None:
    assert read(status, retry_after="30") == Deferred(f"http-{status}")


@pytest.mark.parametrize(
    ("status", "asked", "waits"),
    [
        (502, "30", 30),
        (504, "30", 30),
        (502, "", None),
        (429, "", 60),
        (503, "", 60),
        (503, "7", 60),
        (429, "600", 600),
        (503, "Fri, 20 Nov 2026 12:10:00 GMT", 600),
        (503, "Friday, 20-Nov-26 12:10:00 GMT", 600),
        (503, "Thu, 19 Nov 2026 12:10:00 GMT", 60),
        (503, "99999999999999999999999", LONGEST_WAIT_SECONDS),
        (503, "Fri, 20 Nov 2099 12:10:00 GMT", LONGEST_WAIT_SECONDS),
        (503, "-5", 60),
        (503, "soon", 60),
    ],
)
def test_retry_after_is_honoured_within_a_minute_and_a_day(status: int, asked: str, waits: float | None) -> None:
    assert read(status, retry_after=asked) == Deferred(f"http-{status}", waits, throttled=status in {429, 503})


def test_a_time_out_waits_at_least_a_minute() -> None:
    assert read(0, "timeout") == Deferred("timeout", 60)


@pytest.mark.parametrize("error", ["connect", "tls", "dns", "address-refused", "broken-answer"])
def test_what_broke_is_the_reason(error: str) -> None:
    assert read(0, error) == Deferred(error)


@settings(max_examples=200)
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d( GMT|[+-]\d{4})?", fullmatch=True))
def test_no_header_whatever_makes_us_wait_longer_than_a_day_or_stumble(value: str) -> None:
    seconds = retry_after_seconds(value, AT)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS
