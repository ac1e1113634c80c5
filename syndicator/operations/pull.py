"""Pulling a source: the network outside any transaction, each story published in a short one of its own.

Two that pull one source at once only do the work twice: a story is known by its source and key. The cursor is saved last, so a
process that dies in between leads to the same stories being read again, never to one being missed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from syndicator.domain.stories import PubStatus, Source, SourceKind, Story, StoryDraft
from syndicator.errors import ConfigError, Conflict, FetchFailed, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.intake import feed, wordpress
from syndicator.intake.clean import prepare
from syndicator.intake.pulling import Auth, Gone, Pull, SourceFailed
from syndicator.operations.publish import Outcome, publish_story
from syndicator.outbound import Fetched, Outbound
from syndicator.storage.engine import reading
from syndicator.storage.queries import find_story_of

log = logging.getLogger(__name__)

PULL_SECONDS = 60.0  # for all requests of one pull, so that the next source is on time
LONGEST_PAUSE = timedelta(hours=6)
LONGEST_RETRY_AFTER = timedelta(hours=24)
SHARE = 300  # of our stories that one sweep asks after: three requests
MAX_GONE = 100  # vanished stories remembered for the desk
LAST = datetime.max.replace(tzinfo=UTC)
MAX_ERROR = 2000  # characters kept of what went wrong


@dataclass(slots=True)
class PullReport:
    """What one pull of one source came to."""

    source: str
    made: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)  # stories that were not taken, one line each
    gone: list[Gone] = field(default_factory=list)  # stories of ours that vanished at the source; for a person to judge
    failure: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.failure)

    @property
    def words(self) -> str:
        """Say it in one line."""
        counts = f"{self.made} new, {self.changed} changed, {self.unchanged} unchanged"
        notes = [f"not taken: {problem}" for problem in self.problems]
        notes += [f"story {gone.external_id} is {gone.why}" for gone in self.gone]
        return "; ".join(part for part in (self.failure and f"failed: {self.failure}", counts, *notes) if part)

    def count(self, outcome: Outcome) -> None:
        self.made += outcome == "made"
        self.changed += outcome == "changed"
        self.unchanged += outcome == "unchanged"


def due_sources(session: Session, at: datetime) -> Sequence[int]:
    """Return the ids of the sources to pull now, the longest overdue first."""
    due = select(Source.id).where(Source.next_pull_at <= at, Source.paused.is_(False))
    return session.scalars(due.order_by(Source.next_pull_at, Source.id)).all()


def pull_source(house: House, outbound: Outbound, source_id: int) -> PullReport:
    """Read what is new at the source, publish it, and record how it went; never raises for what the source does.

    Raises NotFound, and InvalidRequest for a source that is not pulled.
    """
    source = _claim(house, source_id)
    report = PullReport(source.name)
    try:
        pulled = _read(house, outbound, source)
    except (InvalidRequest, ConfigError) as error:  # no answer, a document that cannot be parsed, a password that cannot be read
        waits = error.retry_after_seconds if isinstance(error, SourceFailed) else None
        pulled = Pull(cursor=source.cursor, failure=SourceFailed(source.url, str(error).removeprefix(f"{source.url}: "), waits))
    report.problems.extend(pulled.problems)
    for draft in sorted(pulled.drafts, key=_age):  # feeds name the newest first
        _take(house, source, draft, report)
    _record(house, source_id, pulled, report)
    log.info(
        "source pulled source=%s made=%s changed=%s unchanged=%s problems=%s gone=%s failure=%s",
        *(report.source, report.made, report.changed, report.unchanged, len(report.problems), len(report.gone), report.failure),
    )
    return report


def _claim(house: House, source_id: int) -> Source:
    """Return the source, not due again before its time, so that nobody else begins; a claim lapses by itself."""
    at = house.clock()
    with house.sessions.begin() as session:
        source = session.get(Source, source_id)
        if source is None:
            raise NotFound(f"there is no source {source_id}")
        if source.kind not in {SourceKind.WORDPRESS, SourceKind.FEED}:
            raise InvalidRequest(f"a {source.kind.value} source is not pulled", "kind")
        if source.next_pull_at is not None:
            source.next_pull_at = at + timedelta(seconds=max(source.every_seconds, 2 * PULL_SECONDS))
        return source


def _read(house: House, outbound: Outbound, source: Source) -> Pull:
    at, auth = house.clock(), credentials_of(house, source)
    get = BoundedGet(outbound, house.config.intake.max_document_bytes)
    if source.kind is SourceKind.WORDPRESS:
        return wordpress.pull(
            get,
            source.url,
            source.cursor,
            auth=auth,
            newsroom=house.config.site.name,
            at=at,
            offered=lambda after: _offered(house, source, after),
        )
    seconds = house.config.intake.parse_timeout_seconds
    return feed.pull(get, source.url, source.cursor, auth=auth, at=at, parse_seconds=seconds)


def _offered(house: House, source: Source, after: int) -> Sequence[tuple[int, str]]:
    """Return the next stories of the source that may still be used, by row id, with their numbers there."""
    ours = select(Story.id, Story.external_id).where(Story.source_id == source.id, Story.pubstatus == PubStatus.USABLE)
    with reading(house.sessions) as session:
        return [
            (place, number) for place, number in session.execute(ours.where(Story.id > after).order_by(Story.id).limit(SHARE))
        ]


def credentials_of(house: House, source: Source) -> Auth:
    if source.credentials is None:
        return None
    user, _, password = house.vault.unlock(source.credentials).partition(":")
    return user, password


class BoundedGet:
    """Gives one pull its share of time and bytes, however many requests it makes."""

    def __init__(self, outbound: Outbound, max_bytes: int) -> None:
        self._outbound = outbound
        self._bytes = max_bytes
        self._ends = monotonic() + PULL_SECONDS

    def __call__(self, url: str, *, headers: Mapping[str, str] | None = None, auth: Auth = None) -> Fetched:
        if monotonic() >= self._ends:
            raise FetchFailed(url, "timeout")
        if self._bytes <= 0:
            raise FetchFailed(url, "too-large")
        answer = self._outbound.get(url, headers=headers, auth=auth, max_bytes=self._bytes)
        self._bytes -= len(answer.body)
        return answer


def _age(draft: StoryDraft) -> datetime:
    at = draft.published_at
    return at if at is not None and at.tzinfo is not None else LAST


def _take(house: House, source: Source, draft: StoryDraft, report: PullReport) -> None:
    """Publish one draft; one that is refused is a problem and leaves the others."""
    try:
        # Cleaned before the transaction, since a hostile body takes its time.
        ready = prepare(
            replace(draft, section=draft.section or source.section),
            notice_texts=house.config.notice_texts,
            language=house.config.site.language,
            max_bytes=house.config.intake.max_story_bytes,
        )
        try:
            report.count(_publish(house, source.id, ready))
        except IntegrityError:
            report.count(_publish(house, source.id, ready))  # somebody else stored it at the same moment: now it is known
    except (InvalidRequest, Conflict) as error:
        report.problems.append(f"story {draft.external_id[:200]}: {error}")
    except (DataError, IntegrityError) as error:
        log.warning(
            "story not stored source=%s external_id=%s error=%s", source.name, draft.external_id[:200], type(error).__name__
        )
        report.problems.append(f"story {draft.external_id[:200]}: the database refused it")


def _publish(house: House, source_id: int, draft: StoryDraft) -> Outcome:
    with house.sessions.begin() as session:
        source = session.get_one(Source, source_id)
        return publish_story(session, house, source, draft, at=house.clock()).outcome


def _record(house: House, source_id: int, pulled: Pull, report: PullReport) -> None:
    """Save the cursor and how it went, and set the next pull: on time, or later and later after failures."""
    at = house.clock()
    with house.sessions.begin() as session:
        source = session.get(Source, source_id, with_for_update=True)
        if source is None:
            return  # removed while it was read
        report.gone.extend(gone for gone in pulled.gone if _still_usable(session, source_id, gone))
        source.cursor = pulled.cursor | {"gone": _remembered_gone(source, pulled, report, at)}
        pause = timedelta(seconds=source.every_seconds)
        if pulled.failure is None:
            source.failures = 0
            source.last_success_at = at
        else:
            report.failure = str(pulled.failure)
            source.failures += 1
            pause = max(pause, min(pause * 2 ** min(source.failures, 20), LONGEST_PAUSE))
            asked = timedelta(seconds=min(pulled.failure.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER.total_seconds()))
            pause = max(pause, asked)
        wrong = "; ".join(part for part in (report.failure, *report.problems) if part)
        source.last_error = wrong[:MAX_ERROR] or None
        source.last_error_at = at if wrong else source.last_error_at
        if source.next_pull_at is not None:
            source.next_pull_at = at + pause


def _still_usable(session: Session, source_id: int, gone: Gone) -> bool:
    story = find_story_of(session, source_id, gone.external_id)
    return story is not None and story.pubstatus is PubStatus.USABLE


def _remembered_gone(source: Source, pulled: Pull, report: PullReport, at: datetime) -> dict[str, dict[str, str]]:
    """Return the vanished stories for the desk to judge, the newest last; one that came back is forgotten."""
    back = {draft.external_id for draft in pulled.drafts}
    before = {key: value for key, value in (source.cursor.get("gone") or {}).items() if key not in back}
    now = {gone.external_id: {"why": gone.why, "since": at.isoformat()} for gone in report.gone}
    return dict([*(before | now).items()][-MAX_GONE:])
