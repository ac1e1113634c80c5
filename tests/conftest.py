"""What tests are handed: a fresh database of each kind, a house on it, a clock that is set by hand, a broker.

A test that takes `database_url`, `house` or `session` runs twice, on SQLite and on PostgreSQL (`-k sqlite` runs half). Each test
has a database of its own, copied from one made once, so it may commit what it likes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import settings
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from syndicator.config import ENV_PREFIX, Config, Database, read_config
from syndicator.domain.tables import TABLES
from syndicator.house import House, open_house
from syndicator.log import JsonLines, TextLines
from syndicator.storage import schema
from syndicator.storage.engine import open_engine
from tests import dialects as _dialects  # noqa: F401 -- for what it registers
from tests.clocks import HandClock
from tests.databases import Databases, connect, remove_rows, remove_schema, shape
from tests.desk import Desk
from tests.servers import BROKERS, Broker, Postgres

ROOT = Path(__file__).resolve().parent.parent
BASE_URL = "https://wire.example"

for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
    del os.environ[name]  # the settings of whoever runs the tests are none of theirs

# No file of a test has to outlive a power cut, so none waits for a disk where memory has room for them all.
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 * 1024**3
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# In CI the same examples every time, so that nobody's change fails for an old bug; at a desk new ones, so that the bug is found.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")


class CompiledTemplates(BytecodeCache):
    """The templates of this process, which each test's application would compile again, page by page."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._kept.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {"bytecode_cache": CompiledTemplates()}


def pytest_addoption(parser: pytest.Parser) -> None:
    says = "what Celery is tested on; RabbitMQ takes many seconds to start"
    parser.addoption("--broker", choices=sorted(BROKERS), default="redis", help=says)


_used: set[Engine] = set()


@event.listens_for(Engine, "engine_connect")
def _remember(connection: Connection) -> None:
    _used.add(connection.engine)


@pytest.fixture(autouse=True)
def no_connection_outlives_its_test() -> Iterator[None]:
    """Close what was opened, also by a test that failed half way, or an innocent one after it would be blamed for the leak."""
    yield
    while _used:
        _used.pop().dispose()


@pytest.fixture(autouse=True)
def no_log_outlives_its_test() -> Iterator[None]:
    """Take our handlers away again: they write to what was standard error during one test."""
    root = logging.getLogger()
    level = root.level
    yield
    ours = [handler for handler in root.handlers if isinstance(handler.formatter, JsonLines | TextLines)]
    if ours:
        root.handlers = [handler for handler in root.handlers if handler not in ours]
        root.setLevel(level)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config(tmp_path / "var")


def make_config(data_dir: Path) -> Config:
    """Settings with all state under `data_dir`, the shipped feed catalogue, loopback allowed as a destination, and no limits."""
    values = {
        "site": {"base_url": BASE_URL, "data_dir": str(data_dir), "feeds_dir": str(ROOT / "feeds")},
        "outbound": {"allow_networks": ["127.0.0.0/8"]},
        "limits": {"enabled": False},  # a test asks as fast as it can, and the clock stands still
    }
    return read_config(values, data_dir, "test")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database with the schema and no rows."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database without any schema."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture
def house(config: Config, clock: HandClock, database_url: str) -> Iterator[House]:
    """A house on a fresh database, with the hand-set clock."""
    opened = open_house(config.model_copy(update={"database": Database(url=database_url)}), clock)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def desk(house: House) -> Desk:
    """The house with its catalogue in the store, and one-line versions of what a desk does."""
    return Desk(house)


@pytest.fixture
def session(house: House) -> Iterator[Session]:
    """One open session; nothing is kept unless the test commits. On SQLite its first use takes the write lock."""
    with house.sessions() as opened:
        yield opened


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    file = tmp_path / "syndicator.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def postgresql_url(postgres_databases: Databases) -> Iterator[str]:
    with postgres_databases.fresh() as name:
        yield postgres_databases.server.url(name)


@pytest.fixture
def empty_postgresql_url(empty_postgres_databases: Databases) -> Iterator[str]:
    with empty_postgres_databases.fresh() as name:
        yield empty_postgres_databases.server.url(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    _make_schema(open_engine(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it. One that stops it must start it again."""
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_databases(postgres: Postgres) -> Databases:
    with connect(postgres) as connection:
        connection.execute("CREATE DATABASE syndicator_template TEMPLATE template0")
    _make_schema(open_engine(postgres.url("syndicator_template")))
    with connect(postgres, "syndicator_template") as connection:
        empty = remove_rows(shape(connection))
    return Databases(postgres, "syndicator_template", empty)


@pytest.fixture(scope="session")
def empty_postgres_databases(postgres: Postgres) -> Databases:
    return Databases(postgres, "template0", remove_schema)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A Celery broker of its own: Redis, or what `--broker` names."""
    server = BROKERS[request.config.getoption("--broker")]()
    yield server
    server.remove()


def _make_schema(engine: Engine) -> None:
    """Make the tables from the models; tests/storage proves that the migrations make the same."""
    TABLES.create_all(engine)
    schema.stamp(engine)
    engine.dispose()
