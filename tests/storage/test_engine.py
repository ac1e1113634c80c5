"""What each database is told on connect: durable, strict about references, patient with writers, exact about instants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from syndicator.domain.base import Base, Counter
from syndicator.domain.jobs import LeaderLease
from syndicator.domain.publishers import FeedToken
from syndicator.house import House
from syndicator.storage.engine import open_engine, open_sessions, reading
from tests.clocks import NOON


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def told(engine: Engine, question: str) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text(question)).scalar_one())


@pytest.mark.parametrize(
    ("pragma", "answer"),
    [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("busy_timeout", "30000"), ("trusted_schema", "0")],
)
def test_sqlite_keeps_what_it_acknowledged_and_waits_for_writers(sqlite_url: str, pragma: str, answer: str) -> None:
    engine = open_engine(sqlite_url)
    assert told(engine, f"PRAGMA {pragma}") == answer
    engine.dispose()


def test_postgresql_speaks_utc_and_ends_a_statement_that_runs_away(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    assert told(engine, "SHOW timezone") == "UTC"
    assert told(engine, "SHOW statement_timeout") == "1min"
    engine.dispose()


def test_the_folder_of_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'var' / 'syndicator.db'}")
    assert (tmp_path / "var").stat().st_mode & 0o077 == 0
    engine.dispose()


def test_a_row_that_points_at_nothing_is_refused(session: Session) -> None:
    orphan = FeedToken(public_id="t", publisher_id=404, feed="latest", prefix="p", secret_hash="h", created_at=NOON)
    session.add(orphan)
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        session.flush()


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_unfinished_work(house: House) -> None:
    with house.sessions.begin() as writer:
        writer.add(Counter(name="events", value=1))
        writer.flush()
        with reading(house.sessions) as reader:
            assert reader.scalars(select(Counter)).all() == []


def test_what_was_not_committed_is_gone(house: House) -> None:
    with house.sessions() as session:
        session.add(Counter(name="events", value=1))
        session.flush()
    with reading(house.sessions) as reader:
        assert reader.scalars(select(Counter)).all() == []


def test_what_was_committed_can_still_be_read_from_its_objects(house: House) -> None:
    with house.sessions.begin() as session:
        counter = Counter(name="events", value=7)
        session.add(counter)
    assert counter.value == 7


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_an_instant_comes_back_as_itself_in_utc(engine: Engine, hours: int) -> None:
    local = datetime(2026, 7, 1, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=hours)))
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(LeaderLease(name="timetable", holder="a", until=local))
    with reading(sessions) as session:
        until = session.scalars(select(LeaderLease.until)).one()
        assert (until, until.tzinfo) == (local, UTC)
        assert session.scalars(select(LeaderLease.name).where(LeaderLease.until == local)).one() == "timetable"


@given(instants=st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=5, unique=True))
def test_instants_sort_in_a_database_as_they_do_in_time(instants: list[datetime]) -> None:
    engine = create_engine("sqlite://")  # PostgreSQL has a type for it; here they are compared as text
    with engine.begin() as connection:
        Base.metadata.tables["leader_leases"].create(connection)
        for number, instant in enumerate(instants):
            connection.execute(insert(LeaderLease).values(name=str(number), holder="", until=instant))
        assert connection.scalars(select(LeaderLease.until).order_by(LeaderLease.until)).all() == sorted(instants)
    engine.dispose()


def test_a_time_without_a_zone_is_refused(session: Session) -> None:
    session.add(LeaderLease(name="timetable", holder="a", until=datetime(2026, 7, 1)))  # noqa: DTZ001 -- what is refused
    with pytest.raises(StatementError, match="a naive datetime cannot be stored"):
        session.flush()
