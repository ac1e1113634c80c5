"""The questions asked of the store. Each is bounded, and served by an index named in its class.

`find_` may return None, `get_` raises NotFound, `next_value` takes a lock that lasts until the transaction ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    String,
    TypeDecorator,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased, joinedload
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from syndicator.domain.base import Base, Counter
from syndicator.domain.deliveries import TOPIC_LANE, Delivery
from syndicator.domain.feeds import FeedEntry
from syndicator.domain.stories import Event, Source, SourceKind, Story, StoryVersion
from syndicator.errors import NotFound, StoryNotFound

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


class _Ids(TypeDecorator[Collection[int]]):
    """Row ids as one value: an array, and as JSON where there are none."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(BigInteger) if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        ids = list(value or ())
        return ids if dialect.name == "postgresql" else json.dumps(ids)


class _Among(FunctionElement[bool]):
    inherit_cache = True
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:
        """Itself: SQLite uses no index for a condition that is compared with 1, as those of its whole numbers are."""
        return self


def among(column: ColumnElement[Any] | Any, name: str) -> ColumnElement[bool]:
    """The condition that `column` is one of the ids given as the parameter `name` when the statement is executed.

    A statement can be built once for any number of them, where `in_` writes each into its text: of 500, half the time.
    """
    return _Among(column, bindparam(name, type_=_Ids()))


@compiles(_Among)
def _among_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608  # both are SQL, made by the compiler


@compiles(_Among, "postgresql")
def _among_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({ids})"


def next_value(session: Session, counter: str) -> int:
    """Take the next number of `counter`; others who want one wait until this transaction ends, so there are no gaps."""
    grow = update(Counter).where(Counter.name == counter).values(value=Counter.value + 1).returning(Counter.value)
    value = session.execute(grow).scalar_one_or_none()
    if value is None:
        session.execute(insert(Counter).values(name=counter, value=1))
        return 1
    return value


def lock_rows(session: Session, rows: Select[Any], given: Mapping[str, Any] | None = None) -> None:
    """Keep others from changing `rows`, whose parameters are `given`, until the transaction ends.

    SQLite has one writer at a time, who need not ask. Others may still refer to the rows: whoever owes a delivery would else wait
    for a worker that waits for what it supersedes.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(rows.with_for_update(key_share=True), given).all()


def insert_into(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of this database's own, which can say what to do about a row that is there already."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # 2 MiB that nobody else needs

    return postgresql.insert(table)


def insert_once(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`; one whose key is there already is left as it stands. Waits for nobody else's choice."""
    session.execute(insert_into(session, table).on_conflict_do_nothing(), list(rows))


def insert_new(session: Session, table: type[Base], row: Mapping[str, Any]) -> bool:
    """Insert `row` and say whether it was new; somebody who inserts the same just now is waited for."""
    statement = insert_into(session, table).values(**row)
    key = next(iter(table.__table__.primary_key))
    return session.execute(statement.on_conflict_do_nothing().returning(key)).first() is not None


NEWEST = select(Counter.value).where(Counter.name == bindparam("counter"))


def last_value(session: Session, counter: str) -> int:
    """Return the newest committed number of `counter`, 0 before the first."""
    return session.scalar(NEWEST, {"counter": counter}) or 0


def find_story(session: Session, public_id: str) -> Story | None:
    """Return the story by its public id, with its current version."""
    wanted = select(Story).where(Story.public_id == public_id).options(joinedload(Story.current))
    return session.execute(wanted).scalar_one_or_none()


def get_story(session: Session, reference: str, *, lock: bool = False) -> Story:
    """Return the story by public id or uri; `lock` keeps others from changing it until the transaction ends."""
    wanted = select(Story).where(or_(Story.public_id == reference, Story.uri == reference))
    if lock:
        wanted = wanted.with_for_update(of=Story)
    story = session.execute(wanted).scalar_one_or_none()
    if story is None:
        raise StoryNotFound(reference)
    return story


def find_story_of(session: Session, source_id: int, external_id: str) -> Story | None:
    """Return the story that `source_id` knows as `external_id`, locked for a change."""
    wanted = select(Story).where(Story.source_id == source_id, Story.external_id == external_id).with_for_update(of=Story)
    return session.execute(wanted).scalar_one_or_none()


def get_version(session: Session, story_id: int, number: int) -> StoryVersion:
    wanted = select(StoryVersion).where(StoryVersion.story_id == story_id, StoryVersion.number == number)
    version = session.execute(wanted).scalar_one_or_none()
    if version is None:
        raise NotFound(f"this story has no version {number}")
    return version


def versions_of(session: Session, story_id: int, *, before: int, limit: int) -> Sequence[StoryVersion]:
    """Return the story's versions that are older than number `before`, newest first."""
    wanted = select(StoryVersion).where(StoryVersion.story_id == story_id, StoryVersion.number < before)
    return session.scalars(wanted.order_by(StoryVersion.number.desc()).limit(limit)).all()


def source_called(session: Session, name: str, kind: SourceKind) -> Source:
    """Return the source called `name`, made on first use: the ways in that push (API, import) need no set-up."""
    wanted = select(Source).where(Source.name == name)
    source = session.execute(wanted).scalar_one_or_none()
    if source is None:
        insert_new(session, Source, {"name": name, "kind": kind, "every_seconds": 0})
        source = session.execute(wanted).scalar_one()
    return source


def feed_stories(session: Session, feed: str, limit: int) -> Sequence[FeedEntry]:
    """Return the `limit` entries of `feed` that are in no archive and have the latest news, with stories and current versions."""
    wanted = (
        select(FeedEntry)
        .where(FeedEntry.feed == feed, FeedEntry.archive.is_(None), FeedEntry.left_at.is_(None))
        .options(joinedload(FeedEntry.story).joinedload(Story.current))
        .order_by(FeedEntry.updated_at.desc(), FeedEntry.story_id.desc())
        .limit(limit)
    )
    return session.execute(wanted).scalars().all()


def archived_stories(session: Session, feed: str, archive: int) -> Sequence[FeedEntry]:
    """Return all that was put into the archive, also what has left it since."""
    wanted = (
        select(FeedEntry)
        .where(FeedEntry.feed == feed, FeedEntry.archive == archive)
        .options(joinedload(FeedEntry.story).joinedload(Story.current))
    )
    return session.execute(wanted).scalars().all()


def feed_tombstones(session: Session, feed: str, since: datetime, limit: int) -> Sequence[FeedEntry]:
    """Return what was killed or taken down from `feed` since `since`, newest first."""
    wanted = (
        select(FeedEntry)
        .where(FeedEntry.feed == feed, FeedEntry.left_at >= since, FeedEntry.tombstone.is_(True))
        .options(joinedload(FeedEntry.story).joinedload(Story.current))
        .order_by(FeedEntry.left_at.desc(), FeedEntry.story_id.desc())
        .limit(limit)
    )
    return session.execute(wanted).scalars().all()


def changes_after(session: Session, seq: int, *, limit: int, embargo_trusted: bool, at: datetime) -> Sequence[Event]:
    """Return events after `seq` in order. What is still under embargo is told only to those trusted with embargoes."""
    wanted = (
        select(Event)
        .where(Event.seq > seq)
        .options(joinedload(Event.story).joinedload(Story.current))
        .order_by(Event.seq)
        .limit(limit)
    )
    if not embargo_trusted:
        out = or_(Story.released_at.is_not(None), and_(Story.embargoed_until.is_not(None), Story.embargoed_until <= at))
        known = (
            select(Story.id).where(Story.id == Event.story_id, out).correlate(Event).exists()
        )  # the log leads, not the stories
        wanted = wanted.where(Event.embargoed.is_(False), known)
    return session.execute(wanted).scalars().all()


def correction_notes(session: Session, story_id: int) -> Sequence[StoryVersion]:
    """Return the story's newest ten versions that put something right, newest first; readers see the note of each."""
    wanted = (
        select(StoryVersion)
        .where(StoryVersion.story_id == story_id, StoryVersion.correction_note != "")
        .order_by(StoryVersion.number.desc())
        .limit(10)
    )
    return session.execute(wanted).scalars().all()


def of_events(seqs: Sequence[int]) -> ColumnElement[bool]:
    """The condition that a Delivery is of one of these events; their stories are named, as its index begins with the story."""
    stories = select(Event.story_id).where(Event.seq.in_(seqs))
    return and_(Delivery.story_id.in_(stories), Delivery.event_seq.in_(seqs))


def overtaken() -> ColumnElement[bool]:
    """The condition that something newer about the same story is, or was, owed to the same subscription as a Delivery; never true
    of a topic as it stands, which is read when it is sent."""
    newer = aliased(Delivery)
    later = select(newer.id).where(
        newer.subscription_id == Delivery.subscription_id,
        newer.story_id == Delivery.story_id,
        newer.event_seq > Delivery.event_seq,
    )
    return and_(Delivery.lane != TOPIC_LANE, later.exists())
