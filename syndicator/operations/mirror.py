"""Documents on many machines: whoever renders shares the bytes in the database, and every web machine keeps a copy on its disk.

A poll still reads a file. A push leaves only when every web machine that is alive has the documents that show its story; one that
was not heard of for NODE_LOST is not waited for, and knows itself that it must not serve (`fresh`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from syndicator.documents import copy_document, public_folder, remove_document
from syndicator.domain.mirrors import SharedDocument, WebNode
from syndicator.house import House
from syndicator.static_copy import begin_copy, show
from syndicator.storage.engine import reading
from syndicator.storage.queries import last_value, next_value

COUNTER = "documents"
NODE_LOST = timedelta(seconds=15)
CLOCKS_DIFFER = timedelta(minutes=1)  # those of two machines, at most
SAY_SECONDS = 3.0
BATCH = 100
MARK = ".mirrored"  # its time says when this machine last had everything


def on_many_machines(house: House) -> bool:
    """Whether documents are rendered on other machines than those that serve them."""
    return house.config.push.executor == "celery"


def share(session: Session, folder: Path, paths: Sequence[Path]) -> None:
    """Keep the files at `paths`, which lie under `folder` or have been removed, for the other machines; equal ones stay."""
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    found = select(SharedDocument.path, SharedDocument.digest).where(SharedDocument.path.in_(names))
    known = dict(iter(session.execute(found)))
    for name, path in names.items():
        packed = path.read_bytes() if path.exists() else None
        digest = hashlib.sha256(packed or b"").hexdigest()
        if known.get(name) != digest:
            number = next_value(session, COUNTER)
            session.merge(SharedDocument(path=name, number=number, digest=digest, packed=packed))
    session.flush()


def share_again(session: Session, folder: Path, paths: Sequence[Path]) -> None:
    """Have the files at `paths` count as new when they are shared the next time, since a machine has lost its copy."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    session.execute(update(SharedDocument).where(SharedDocument.path.in_(names)).values(digest=""))


def forget_shared(session: Session, unwanted: Callable[[str, str], bool]) -> None:
    """Have every web machine remove the documents for whose folder (`public` or `private`) and feed `unwanted` says so."""
    for path in session.scalars(select(SharedDocument.path).where(SharedDocument.packed.is_not(None))).all():
        access, _, key = path.partition("/")
        if unwanted(access, key.partition("/")[0].partition(".")[0]):
            removed = {"number": next_value(session, COUNTER), "digest": "", "packed": None}
            session.execute(update(SharedDocument).where(SharedDocument.path == path).values(removed))


@contextmanager
def alone(house: House, feed: str) -> Iterator[None]:
    """Keep other machines from rendering `feed` meanwhile. The lock goes with the connection, so a dead holder frees it."""
    if house.engine.dialect.name != "postgresql" or not on_many_machines(house):
        yield
        return
    with house.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"feed": f"feed {feed}"}
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:feed))"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtext(:feed))"), key)


def shown_everywhere(session: Session, *, at: datetime) -> bool:
    """Say whether every web machine that is alive has every document."""
    alive = WebNode.seen_at.between(at - NODE_LOST, at + CLOCKS_DIFFER)  # later: it was seen under a clock set back since
    behind = select(WebNode.name).where(alive, WebNode.number < last_value(session, COUNTER))
    return session.scalar(behind.limit(1)) is None


class Mirror:
    """One web machine's copy of the documents. `turn` copies what is new; a new Mirror begins with everything."""

    def __init__(self, house: House, node: str) -> None:
        self._house, self._node = house, node
        self._folder = house.config.data_dir / "documents"
        self._number = 0
        self._said_at: datetime | None = None
        begin_copy(house.config.static_dir, house.config.data_dir)

    def turn(self) -> int:
        """Copy what is new and say so; returns how many documents were copied."""
        with reading(self._house.sessions) as session:
            newer = select(SharedDocument).where(SharedDocument.number > self._number).order_by(SharedDocument.number)
            documents = session.scalars(newer.limit(BATCH)).all()
            newest = session.scalar(select(func.max(SharedDocument.number))) or 0
        for document in documents:
            self._copy(document)
            self._number = document.number
        if self._number >= newest:
            self._say()
        return len(documents)

    def _copy(self, document: SharedDocument) -> None:
        access, _, key = document.path.partition("/")
        folder = self._folder / access
        if document.packed is None:
            remove_document(folder, key)
        else:
            copy_document(folder, key, document.packed)
        if (static := self._house.config.static_dir) and folder == public_folder(self._house.config.data_dir):
            show(static, folder, key)

    def _say(self) -> None:
        """Tell the engines how far this machine is, at once when it got further, and every few seconds that it lives."""
        at = self._house.clock()
        with self._house.sessions.begin() as session:
            node = session.get(WebNode, self._node)
            unchanged = node is not None and node.number == self._number
            if unchanged and self._said_at and at - self._said_at < timedelta(seconds=SAY_SECONDS):
                return
            session.merge(WebNode(name=self._node, number=self._number, seen_at=at))
        self._said_at = at
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        (self._folder / MARK).write_text(at.isoformat(), encoding="ascii")


def fresh(house: House, *, at: datetime) -> bool:
    """Say whether this machine may serve documents: always on one machine; on many, while its mirror keeps up."""
    if not on_many_machines(house):
        return True
    try:
        said = (house.config.data_dir / "documents" / MARK).read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return at - datetime.fromisoformat(said) < NODE_LOST
