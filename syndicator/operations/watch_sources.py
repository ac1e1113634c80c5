"""Watching sources: what was withdrawn there is taken off our offer, and a source that fell silent or keeps failing is reported.

A story that vanished at WordPress was asked for by its id when the sweep missed it. Asked for again after an hour, and gone by
the word of WordPress itself while the site lists others as ever, it is taken down, and the editors get a letter. An outage, a
block, a password that no longer counts, a page in place of JSON, or many stories gone at once never take a story down: that is
for people to judge.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.accounts import StaffRole, User
from syndicator.domain.stories import PubStatus, Source, SourceKind, Story
from syndicator.errors import ConfigError, InvalidRequest
from syndicator.house import House
from syndicator.intake import wordpress
from syndicator.operations.letters import write_letter
from syndicator.operations.pull import BoundedGet, credentials_of
from syndicator.operations.sources import pulled_sources
from syndicator.operations.withdraw import take_down
from syndicator.outbound import Outbound
from syndicator.storage.queries import find_story_of

log = logging.getLogger(__name__)

ACTOR = "job:recheck-withdrawn"
ASK_AGAIN_AFTER = timedelta(hours=1)
MOST_AT_ONCE = 5  # more stories gone together than this look like a fault of the site
FAILING_AFTER = 5  # pulls in a row, or two and half a day
QUIET_AFTER_GAPS = 5
SHORTEST_QUIET = timedelta(hours=12)
GAPS_READ = 30


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A vanished story that is to be asked for once more."""

    external_id: str
    why: str


def recheck_withdrawn(house: House, outbound: Outbound) -> int:
    """Ask for what vanished an hour ago or more, and take down what is gone for good; returns how many stories."""
    at, count = house.clock(), 0
    with house.sessions() as session:
        sources = session.scalars(select(Source).where(Source.kind == SourceKind.WORDPRESS, Source.paused.is_(False))).all()
    for source in sources:
        doubtful = _due(source, at)
        if not doubtful:
            continue
        if len(doubtful) > MOST_AT_ONCE:
            _report_many(house, source, doubtful, at)
            continue
        try:
            get = BoundedGet(outbound, house.config.intake.max_document_bytes)
            numbers = [each.external_id for each in doubtful]
            gone = wordpress.still_gone(get, source.url, source.cursor, numbers, auth=credentials_of(house, source), at=at)
        except (InvalidRequest, ConfigError) as error:
            log.info("recheck put off source=%s reason=%s", source.name, error)
            continue
        for each in doubtful:
            count += _settle(house, source.id, each.external_id, gone.get(each.external_id, ""), at)
    return count


def report_quiet(session: Session, house: House, *, at: datetime) -> int:
    """Write to the editors, once each time, about sources that keep failing, and about those that answer but bring nothing for
    many times their usual gap; returns how many."""
    reported = 0
    for source in pulled_sources(session):
        since, heading, words = _trouble_of(session, source, at)
        if since is not None and source.quiet_since is None:
            _tell_editors(session, house, heading, words, at)
            reported += 1
        source.quiet_since = since
    return reported


def _trouble_of(session: Session, source: Source, at: datetime) -> tuple[datetime | None, str, str]:
    """Return since when the source brings nothing, and how to say it; None when all is well."""
    if is_failing(source.failures, source.last_success_at, at):
        worked = (
            f"last worked at {source.last_success_at:%Y-%m-%d %H:%M} UTC" if source.last_success_at else "has never worked yet"
        )
        words = f"The source {source.name} ({source.url}) has failed {source.failures} times in a row and {worked}."
        return source.last_success_at or at, f"{source.name} is failing", f"{words} The last fault was:\n\n{source.last_error}"
    newest = select(Story.published_at).where(Story.source_id == source.id, Story.published_at <= at)
    last = session.scalars(newest.order_by(Story.published_at.desc()).limit(GAPS_READ)).all()
    if source.failures:
        return source.quiet_since, "", ""  # a passing fault changes nothing
    if not is_quiet(last, at):
        return None, "", ""
    words = (
        f"The source {source.name} ({source.url}) answers as usual, but its newest story is of "
        f"{last[0]:%Y-%m-%d %H:%M} UTC, which is unusually long ago. Perhaps it has moved, or shows us an old page."
    )
    return last[0], f"Nothing new from {source.name}", words


def is_failing(failures: int, worked_at: datetime | None, at: datetime) -> bool:
    """Say whether a source fails for longer than a passing fault does."""
    return failures >= FAILING_AFTER or (failures >= 2 and worked_at is not None and at - worked_at > SHORTEST_QUIET)


def is_quiet(published: Sequence[datetime], at: datetime) -> bool:
    """Say whether the newest of `published` (newest first) lies several times the usual gap back; five stories make a habit."""
    if len(published) < QUIET_AFTER_GAPS:
        return False
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(published)]
    usual = timedelta(seconds=QUIET_AFTER_GAPS * median(gaps))
    return at - published[0] > max(usual, SHORTEST_QUIET)


def _due(source: Source, at: datetime) -> list[Doubtful]:
    gone = source.cursor.get("gone") or {}
    return [
        Doubtful(number, said["why"])
        for number, said in gone.items()
        if not said.get("told") and at - datetime.fromisoformat(said["since"]) >= ASK_AGAIN_AFTER
    ]


def _settle(house: House, source_id: int, number: str, why: str, at: datetime) -> int:
    """Take the story down if it is gone, and forget it if it is there again; returns how many were taken down."""
    with house.sessions.begin() as session:
        source = session.get_one(Source, source_id, with_for_update=True)
        gone = dict(source.cursor.get("gone") or {})
        if gone.pop(number, None) is None:
            return 0
        source.cursor = source.cursor | {"gone": gone}
        story = find_story_of(session, source_id, number)
        if not why or story is None or story.pubstatus is not PubStatus.USABLE:
            return 0
        headline = story.current.headline
        words = (
            f'The story "{headline}" ({story.public_id}) is {why} ({source.name}), asked for twice. It was taken off our offer, '
            "and whoever had it is asked to remove it. If that was a mistake, bring it back at the desk; if it is wrong, kill it."
        )
        _tell_editors(session, house, f"Taken down: {headline[:100]}", words, at)
        take_down(session, house, story.uri, reason=f"It is {why}.", actor=ACTOR, at=at)
        log.warning("story taken down source=%s external_id=%s why=%s", source.name, number, why)
        return 1


def _report_many(house: House, source: Source, doubtful: list[Doubtful], at: datetime) -> None:
    """Tell the editors once that many stories vanished together, and leave them on offer."""
    with house.sessions.begin() as session:
        locked = session.get_one(Source, source.id, with_for_update=True)
        told = {each.external_id for each in doubtful}
        gone = {
            number: said | {"told": at.isoformat()} if number in told else said
            for number, said in (locked.cursor.get("gone") or {}).items()
        }
        locked.cursor = locked.cursor | {"gone": gone}
        words = (
            f"{len(doubtful)} stories have vanished from {source.name} ({source.url}) at about the same time. That may be a "
            "fault of the site, so they stay on offer. If they were withdrawn on purpose, please take them down."
        )
        _tell_editors(session, house, f"{len(doubtful)} stories vanished from {source.name}", words, at)


def _tell_editors(session: Session, house: House, heading: str, words: str, at: datetime) -> None:
    editors = select(User.email).where(User.staff_role.in_((StaffRole.EDITOR, StaffRole.ADMIN)), User.disabled_at.is_(None))
    for address in session.scalars(editors.order_by(User.id).limit(50)).all() or [house.config.notice.contact_email]:
        write_letter(session, house, "note", to=address, at=at, heading=heading, words=words)
