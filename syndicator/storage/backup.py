"""Backup: the database, the keys, evidence files and the feed catalogue in one tar, made during service; and the way back.

A backup holds secrets (the keys, and what they lock), so its file is its owner's alone. The settings file is not in it, nor what
can be made anew (feed documents). A restore goes only into a database without stories, publishers or audit entries, so it never
destroys any, and leaves out event numbers that partners may know from the time after the copy. `check` tells what is wrong with
a database.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, func, inspect, select, text, update
from sqlalchemy.orm import Session

from syndicator import __version__
from syndicator.config import Config
from syndicator.domain.audit import AuditEntry
from syndicator.domain.base import Counter
from syndicator.domain.deliveries import Delivery
from syndicator.domain.feeds import FeedArchive, FeedState
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event, Story
from syndicator.errors import BackupFailed
from syndicator.storage import revision, schema

MEMBER = re.compile(
    r"(manifest\.json|database\.(sqlite|dump)|keys/[A-Za-z0-9][\w.-]*|evidence/[0-9a-f]{64}|feeds/[a-z0-9][a-z0-9-]*\.toml)"
)
ROOM = 1_000_000  # event numbers left out at each restore
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    syndicator: str
    database: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `kept_feeds` are files of the catalogue that stand here with other content, and were left alone."""

    manifest: Manifest
    keys: list[str]
    feeds: list[str]
    kept_feeds: list[str]


def backup(engine: Engine, config: Config, file: Path) -> Manifest:
    """Write a consistent copy to `file`, whole or not at all; raises BackupFailed, also where `file` exists."""
    if file.exists():
        raise BackupFailed(f"{file}: exists already; a backup never replaces another")
    kind = engine.dialect.name
    manifest = Manifest(__version__, kind, revision.current_revision(engine))
    with _scratch(file.parent) as folder:
        (folder / "manifest.json").write_text(json.dumps(asdict(manifest)), encoding="utf-8")
        (_copy_sqlite if kind == "sqlite" else _dump_postgres)(engine, folder / DATABASES[kind])
        whole = folder / "backup.tar"
        whole.touch(mode=0o600)
        with whole.open("wb") as handle:
            with tarfile.open(fileobj=handle, mode="w") as tar:
                for name in ("manifest.json", DATABASES[kind]):
                    tar.add(folder / name, name)
                for key in _files(config.data_dir / "keys", "*"):
                    tar.add(key, f"keys/{key.name}")
                for evidence in _files(config.data_dir / "evidence", "[0-9a-f][0-9a-f]/*"):
                    if re.fullmatch("[0-9a-f]{64}", evidence.name):  # nothing that is still being written
                        tar.add(evidence, f"evidence/{evidence.name}")
                for feed in _files(config.site.feeds_dir, "*.toml"):
                    tar.add(feed, f"feeds/{feed.name}")
            handle.flush()
            os.fsync(handle.fileno())
        whole.rename(file)
    return manifest


def restore(engine: Engine, config: Config, file: Path) -> Restored:
    """Bring back what `backup` wrote, then upgrade the schema; where it does not fit, raises BackupFailed and touches nothing."""
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _scratch(config.data_dir) as folder:
        manifest = _unpack(file, folder)
        _must_fit(manifest, engine, file)
        source = folder / DATABASES[manifest.database]
        (_fill_sqlite if manifest.database == "sqlite" else _fill_postgres)(engine, source)
        keys = _restore_keys(folder / "keys", config.data_dir / "keys")
        _restore_evidence(folder / "evidence", config.data_dir / "evidence")
        feeds, kept = _restore_feeds(folder / "feeds", config.site.feeds_dir)
    schema.upgrade(engine)
    _leave_room(engine)
    _forget_documents(engine)
    _free_claims(engine)
    return Restored(manifest, keys, feeds, kept)


def check(engine: Engine) -> list[str]:
    """Return what is wrong with the database, one sentence each; empty when it is sound."""
    if not revision.is_current(engine):
        return [f"the schema is at revision {revision.current_revision(engine)}, not {revision.newest_revision()}"]
    problems = [f"the schema differs from this version's: {difference}" for difference in schema.differences(engine)]
    return problems + _broken_storage(engine) + _broken_log(engine)


def _broken_storage(engine: Engine) -> list[str]:
    with revision.reading_connection(engine) as connection:
        if engine.dialect.name == "sqlite":
            broken = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok"]
            orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
            return broken + [f"{row[0]} row {row[1]} points at a row of {row[2]} that is not there" for row in orphans]
        invalid = connection.execute(text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")).scalars()
        return [f"index {name} is not valid" for name in invalid]


def _broken_log(engine: Engine) -> list[str]:
    """The event log has no gaps but those that a restore left, and the counter counts them all: partners follow it by number."""
    with revision.reading_connection(engine) as connection, Session(connection) as session:
        events, last = session.execute(select(func.count(), func.coalesce(func.max(Event.seq), 0)).select_from(Event)).one()
        counted, left_out = _counted(session, "events"), _counted(session, "events_left_out")
    if counted == events + left_out and last <= counted:
        return []
    return [f"the counter of events stands at {counted}; the log ends at {last} and holds {events}, {left_out} left out"]


def _copy_sqlite(engine: Engine, file: Path) -> None:
    with closing(sqlite3.connect(file)) as copy, engine.connect() as connection:
        origin = connection.connection.driver_connection
        if not isinstance(origin, sqlite3.Connection):
            raise BackupFailed(f"{engine.url.drivername}: no driver this version can copy from")
        origin.backup(copy)
        if (found := copy.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise BackupFailed(f"the copy is damaged, and so may be the database: {found}")


def _fill_sqlite(engine: Engine, file: Path) -> None:
    with closing(sqlite3.connect(file)) as copy, engine.connect() as connection:
        target = connection.connection.driver_connection
        if not isinstance(target, sqlite3.Connection):
            raise BackupFailed(f"{engine.url.drivername}: no driver this version can copy to")
        copy.backup(target)


def _dump_postgres(engine: Engine, file: Path) -> None:
    _run_postgres(engine, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def _fill_postgres(engine: Engine, file: Path) -> None:
    if revision.current_revision(engine) is not None:
        schema.downgrade(engine, "base")
    _run_postgres(
        engine, "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", str(file)
    )


def _run_postgres(engine: Engine, program: str, *options: str) -> None:
    """Run a PostgreSQL client program on the engine's database; the password goes by the environment, unseen in `ps`."""
    if (path := shutil.which(program)) is None:
        raise BackupFailed(f"{program} is not installed; apt-get install postgresql-client")
    address = engine.url.set(drivername="postgresql", password=None).render_as_string()
    secret = {"PGPASSWORD": str(engine.url.password)} if engine.url.password else {}
    command = [path, *options, f"--dbname={address}"]
    done = subprocess.run(command, env=os.environ | secret, capture_output=True, text=True, check=False)  # noqa: S603 -- no shell
    if done.returncode:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()[:2000]}")


def _unpack(file: Path, folder: Path) -> Manifest:
    """Put the members that a backup has into `folder`; raises BackupFailed for a file that holds anything else."""
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() and MEMBER.fullmatch(member.name) else None
                if content is None:
                    raise BackupFailed(f"{file}: holds {member.name!r}, which no backup has")
                (folder / member.name).parent.mkdir(exist_ok=True)
                with (folder / member.name).open("xb") as handle:
                    shutil.copyfileobj(content, handle)
        manifest = Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (tarfile.TarError, OSError, ValueError, TypeError) as error:
        raise BackupFailed(f"{file}: is not a whole backup: {error}") from error
    if manifest.database not in DATABASES or not (folder / DATABASES[manifest.database]).exists():
        raise BackupFailed(f"{file}: is not a whole backup: it holds no database")
    return manifest


def _must_fit(manifest: Manifest, engine: Engine, file: Path) -> None:
    if manifest.database != engine.dialect.name:
        raise BackupFailed(f"{file}: was made from {manifest.database}, and database.url names {engine.dialect.name}")
    if manifest.revision not in schema.known_revisions():
        raise BackupFailed(f"{file}: was made by Syndicator {manifest.syndicator}, whose schema this version does not know")
    present = set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        for noun in (Story, Publisher, AuditEntry):
            if noun.__tablename__ in present and connection.execute(select(noun).limit(1)).first():
                raise BackupFailed(f"the database holds {noun.__tablename__} already; restore into an empty one")


def _leave_room(engine: Engine) -> None:
    """Number events from well behind those that came after the copy and are lost: partners know these numbers, as ids of
    deliveries and as how far they have read, and would take what comes under one of them for something they have."""
    with Session(engine) as session, session.begin():
        if session.get(Counter, "events") is not None:
            session.execute(update(Counter).where(Counter.name == "events").values(value=Counter.value + ROOM))
            session.merge(Counter(name="events_left_out", value=_counted(session, "events_left_out") + ROOM))


def _counted(session: Session, name: str) -> int:
    return session.scalar(select(Counter.value).where(Counter.name == name)) or 0


def _forget_documents(engine: Engine) -> None:
    """Have all feed documents written anew: those that lie here may be of another time."""
    with Session(engine) as session, session.begin():
        session.execute(update(FeedState).values(rendered_seq=-1))
        session.execute(update(FeedArchive).values(stale_at=FeedArchive.changed_at))


def _free_claims(engine: Engine) -> None:
    """What workers had in hand when the copy was made is sent at once, and not when their claims would have lapsed."""
    with Session(engine) as session, session.begin():
        claimed = update(Delivery).where(Delivery.claimed_by.is_not(None))
        session.execute(claimed.values(claimed_by=None, claimed_until=None))


def _restore_keys(source: Path, target: Path) -> list[str]:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = _files(source, "*")
    for key in keys:
        key.chmod(0o600)
        key.replace(target / key.name)
    return [key.name for key in keys]


def _restore_evidence(source: Path, target: Path) -> None:
    """Put each file where operations/evidence.py looks for it: by the first two digits of its hash."""
    for file in _files(source, "*"):
        place = target / file.name[:2]
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.chmod(0o600)
        file.replace(place / file.name)


def _restore_feeds(source: Path, target: Path) -> tuple[list[str], list[str]]:
    target.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for feed in _files(source, "*.toml"):
        here = target / feed.name
        if not here.exists():
            shutil.copyfile(feed, here)
            written.append(feed.name)
        elif here.read_bytes() != feed.read_bytes():
            kept.append(feed.name)
    return written, kept


def _files(folder: Path, pattern: str) -> list[Path]:
    """The plain files of `folder`, by name; those that begin with a dot are being written and are not whole."""
    return sorted(file for file in folder.glob(pattern) if file.is_file() and not file.name.startswith("."))


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """A folder that only we can read, on the same disk as what it becomes, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=beside) as folder:
        yield Path(folder)
