"""Backup and restore: what was accepted comes back, secrets stay private, and nothing is ever overwritten."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text

from syndicator.config import Config
from syndicator.domain.publishers import FeedToken, Publisher, PublisherState
from syndicator.domain.stories import Source, SourceKind
from syndicator.errors import BackupFailed
from syndicator.house import House
from syndicator.operations.evidence import file_of, keep_file
from syndicator.storage import revision
from syndicator.storage.backup import backup, check, restore
from syndicator.storage.engine import open_engine, open_sessions
from syndicator.vault import open_vault
from tests.clocks import NOON

EVIDENCE = b"%PDF-1.7 what an applicant gave"


@pytest.fixture
def elsewhere(empty_database_url: str) -> Iterator[Engine]:
    """An empty database to restore into."""
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def other_config(config: Config, tmp_path: Path) -> Config:
    """The settings of another machine: nothing in its folders yet."""
    site = config.site.model_copy(update={"data_dir": tmp_path / "other", "feeds_dir": tmp_path / "other-feeds"})
    return config.model_copy(update={"site": site})


@pytest.fixture
def file(house: House, tmp_path: Path) -> Path:
    """A backup of a house with one publisher and one evidence file."""
    keep_file(house.config.data_dir, EVIDENCE)
    with house.sessions.begin() as session:
        session.add(publisher(house))
    file = tmp_path / "night.tar"
    backup(house.engine, house.config, file)
    return file


def publisher(house: House) -> Publisher:
    return Publisher(
        public_id="pub_1", name="Zoë’s Gazette", email="a@b.example", state=PublisherState.APPROVED, created_at=house.clock()
    )


def same_kind(house: House, engine: Engine) -> bool:
    return house.engine.dialect.name == engine.dialect.name


def test_what_was_backed_up_comes_back_elsewhere(house: House, file: Path, elsewhere: Engine, other_config: Config) -> None:
    locked = house.vault.lock("a subscriber's secret")
    if not same_kind(house, elsewhere):
        with pytest.raises(BackupFailed, match=f"made from {house.engine.dialect.name}"):
            restore(elsewhere, other_config, file)
        assert revision.current_revision(elsewhere) is None
        return
    restored = restore(elsewhere, other_config, file)
    with open_sessions(elsewhere)() as session:
        assert session.scalars(select(Publisher.name)).all() == ["Zoë’s Gazette"]
    assert open_vault(other_config.data_dir).unlock(locked) == "a subscriber's secret"
    digest = hashlib.sha256(EVIDENCE).hexdigest()
    assert file_of(other_config.data_dir, digest).read_bytes() == EVIDENCE
    assert file_of(other_config.data_dir, digest).stat().st_mode & 0o777 == 0o600
    assert "latest.toml" in restored.feeds
    assert (other_config.site.feeds_dir / "latest.toml").read_bytes() == (
        house.config.site.feeds_dir / "latest.toml"
    ).read_bytes()
    assert check(elsewhere) == []


def test_a_backup_is_its_owners_alone_and_leaves_no_scraps(file: Path) -> None:
    assert file.stat().st_mode & 0o077 == 0
    assert not list(file.parent.glob(".backup-*"))


def test_a_backup_never_replaces_another(house: House, file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(BackupFailed, match="exists already"):
        backup(house.engine, house.config, file)
    assert file.read_bytes() == before


def test_a_restore_never_destroys_what_is_there(house: House, file: Path) -> None:
    with pytest.raises(BackupFailed, match="holds publishers already"):
        restore(house.engine, house.config, file)
    with house.sessions() as session:
        assert session.scalars(select(Publisher.public_id)).all() == ["pub_1"]


def test_a_restore_into_an_upgraded_but_empty_database_works(house: House, tmp_path: Path, other_config: Config) -> None:
    file = tmp_path / "empty.tar"
    backup(house.engine, house.config, file)
    restore(house.engine, other_config, file)
    assert check(house.engine) == []


def test_feeds_that_stand_here_with_other_content_are_left_and_told(house: House, tmp_path: Path, other_config: Config) -> None:
    file = tmp_path / "empty.tar"
    backup(house.engine, house.config, file)
    other_config.site.feeds_dir.mkdir()
    ours = other_config.site.feeds_dir / "latest.toml"
    ours.write_text('title = "Ours"\n')
    restored = restore(house.engine, other_config, file)
    assert restored.kept_feeds == ["latest.toml"]
    assert ours.read_text() == 'title = "Ours"\n'


def hostile(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "keys/../../escape", "feeds/.hidden.toml", "other"])
def test_a_tar_with_anything_else_in_it_is_refused(name: str, config: Config, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(BackupFailed, match="no backup has"):
        restore(engine, config, hostile(tmp_path / "bad.tar", (name, b"x")))
    assert not list(tmp_path.rglob("*escape*"))
    engine.dispose()


@pytest.mark.parametrize("content", [b"", b"not a tar at all", b"\0" * 10240])
def test_a_file_that_is_no_backup_is_refused_by_name(content: bytes, config: Config, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}")
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(BackupFailed, match=r"bad\.tar: is not a whole backup"):
        restore(engine, config, tmp_path / "bad.tar")
    engine.dispose()


def test_a_missing_client_program_is_named(
    postgresql_url: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    engine = open_engine(postgresql_url)
    with pytest.raises(BackupFailed, match="apt-get install postgresql-client"):
        backup(engine, config, tmp_path / "never.tar")
    assert not (tmp_path / "never.tar").exists()
    engine.dispose()


def test_a_sound_database_passes_and_an_old_one_is_named(house: House, elsewhere: Engine) -> None:
    assert check(house.engine) == []
    assert check(elsewhere) == [f"the schema is at revision None, not {revision.newest_revision()}"]


def test_a_gap_in_the_event_log_is_found(house: House) -> None:
    with house.sessions.begin() as session:
        session.add(Source(id=1, name="desk", kind=SourceKind.API, every_seconds=0))
        session.execute(text("INSERT INTO counters (name, value) VALUES ('events', 7)"))
    assert check(house.engine) == ["the counter of events stands at 7; the log ends at 0 and holds 0, 0 left out"]


def test_a_row_that_points_at_nothing_is_found(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        driver = connection.connection.cursor()
        driver.execute("PRAGMA foreign_keys=OFF")
        orphan = {"public_id": "t", "publisher_id": 404, "feed": "latest", "prefix": "p", "secret_hash": "h", "created_at": NOON}
        connection.execute(insert(FeedToken).values(orphan))
        connection.commit()
        driver.execute("PRAGMA foreign_keys=ON")
    assert check(engine) == ["feed_tokens row 1 points at a row of publishers that is not there"]
    engine.dispose()
