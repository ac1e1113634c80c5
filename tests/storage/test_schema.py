"""The schema: both databases go up and down alike, and what the migrations make is what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, insert, inspect, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from syndicator.domain.base import Counter
from syndicator.domain.publishers import FeedToken
from syndicator.domain.tables import TABLES
from syndicator.errors import ConfigError
from syndicator.house import House
from syndicator.storage import revision, schema
from syndicator.storage.backup import check
from syndicator.storage.engine import open_engine
from tests.clocks import NOON


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def index_definitions(engine: Engine) -> dict[str, str]:
    """Return each index as the database would make it again, with the condition that leaves rows out."""
    question = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    }
    with engine.connect() as connection:
        return {str(row[0]): str(row[1]) for row in connection.execute(text(question[engine.dialect.name]))}


def test_an_empty_database_becomes_current_and_fits_the_models(empty: Engine) -> None:
    assert not revision.is_current(empty)
    schema.upgrade(empty)
    assert revision.is_current(empty)
    assert schema.differences(empty) == []
    assert set(TABLES.tables) <= tables(empty)


def test_upgrading_twice_changes_nothing(empty: Engine) -> None:
    schema.upgrade(empty)
    before = tables(empty)
    schema.upgrade(empty)
    assert tables(empty) == before


def test_the_way_back_leaves_nothing_and_leads_up_again(empty: Engine) -> None:
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert tables(empty) == {"alembic_version"}
    assert revision.current_revision(empty) is None
    schema.upgrade(empty)
    assert schema.differences(empty) == []


def test_indexes_are_those_of_the_models_conditions_included(house: House) -> None:
    from_models = index_definitions(house.engine)
    schema.downgrade(house.engine, "base")
    schema.upgrade(house.engine)
    assert index_definitions(house.engine) == from_models
    assert "WHERE" in from_models["ix_deliveries_due"]


def test_constraints_carry_the_names_of_the_convention(empty: Engine) -> None:
    schema.upgrade(empty)
    looking = inspect(empty)
    assert looking.get_pk_constraint("deliveries")["name"] == "pk_deliveries"
    assert {key["name"] for key in looking.get_foreign_keys("attempts")} == {"fk_attempts_delivery_id"}
    assert "uq_deliveries_story_id_subscription_id_event_seq" in {
        key["name"] for key in looking.get_unique_constraints("deliveries")
    }


def test_an_upgrade_that_breaks_off_leaves_nothing_half_done(empty: Engine) -> None:
    last = next(reversed(TABLES.tables))
    with empty.begin() as connection:
        connection.execute(text(f"CREATE TABLE {last} (in_the_way INTEGER)"))
    with pytest.raises(DatabaseError, match="already exists"):
        schema.upgrade(empty)
    assert tables(empty) == {last}
    assert revision.current_revision(empty) is None


def test_two_that_upgrade_at_once_wait_for_each_other(empty: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(schema.upgrade, empty) for _ in range(2)]:
            done.result()
    assert schema.differences(empty) == []


def test_foreign_keys_hold_again_after_an_upgrade(empty: Engine) -> None:
    schema.upgrade(empty)
    orphan = insert(FeedToken).values(
        public_id="t", publisher_id=404, feed="latest", prefix="p", secret_hash="h", created_at=NOON
    )
    with empty.connect() as connection, pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        connection.execute(orphan)


def test_asking_where_the_database_stands_does_not_wait_for_a_writer(house: House) -> None:
    with house.engine.begin() as writer:
        writer.execute(insert(Counter).values(name="held", value=1))
        assert revision.is_current(house.engine)
        assert check(house.engine) == []


def test_a_database_of_a_newer_version_is_refused_by_name(empty: Engine) -> None:
    schema.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not revision.is_current(empty)
    with pytest.raises(ConfigError, match=r"database\.url: .*9999"):
        schema.upgrade(empty)


def test_the_quick_schema_that_other_tests_use_is_the_migrated_one(database_url: str) -> None:
    quick = open_engine(database_url)
    assert revision.is_current(quick)
    assert schema.differences(quick) == []
    quick.dispose()


def test_the_newest_revision_is_the_one_the_migrations_end_with() -> None:
    assert revision.newest_revision() == ScriptDirectory.from_config(schema.alembic_config()).get_current_head()
