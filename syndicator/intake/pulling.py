"""What all pulls share: how they reach the network (they are handed a `Get`), what they yield, and how they fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from syndicator.domain.stories import StoryDraft
from syndicator.errors import AddressRefused, FetchFailed, IntakeError
from syndicator.outbound import Fetched

Auth = tuple[str, str] | None  # user and password; never sent to another host than the source's own


class Get(Protocol):
    """Fetch an address: any status is an answer. Raises AddressRefused and FetchFailed."""

    def __call__(self, url: str, *, headers: Mapping[str, str] | None = None, auth: Auth = None) -> Fetched: ...


@dataclass(frozen=True, slots=True)
class Gone:
    """A story that its source no longer shows. Only a person may conclude from it that the story is to be withdrawn."""

    external_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What one pull read. `cursor` stands behind what was read whole; `failure` says why the rest was not."""

    drafts: tuple[StoryDraft, ...] = ()
    cursor: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # stories that could not be read, one line each
    gone: tuple[Gone, ...] = ()
    failure: SourceFailed | None = None


class SourceFailed(IntakeError):
    """The source gave no answer that could be read; `retry_after_seconds` is what it asked for, if it did."""

    def __init__(self, origin: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(origin, message)
        self.retry_after_seconds = retry_after_seconds


def ask(get: Get, url: str, at: datetime, headers: Mapping[str, str] | None = None, auth: Auth = None) -> Fetched:
    """Return the answer, whatever its status but 429 and 5xx; everything else raises SourceFailed."""
    try:
        answer = get(url, headers=headers or {}, auth=auth)
    except (AddressRefused, FetchFailed) as error:
        raise SourceFailed(url, str(error)) from error
    if answer.status == 429 or answer.status >= 500:
        raise SourceFailed(url, f"answered {answer.status}", _retry_after(answer.headers.get("retry-after", ""), at))
    return answer


def _retry_after(value: str, at: datetime) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((moment.replace(tzinfo=moment.tzinfo or UTC) - at).total_seconds(), 0.0)
