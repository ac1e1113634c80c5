"""Heads of the audit log, kept outside the database: whoever rewrites the whole log there cannot rewrite what it was.

A head names an entry by number and hash, under a seal that only our vault can make. The timetable adds one to
`data_dir/audit-heads` as long as the log grows; a line of it kept elsewhere proves as much.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.audit import AuditEntry
from syndicator.house import House
from syndicator.operations.audit import verify
from syndicator.vault import Vault

FILE = "audit-heads"


def newest_head(session: Session, vault: Vault) -> str:
    """Return the head of the log as a line: number, hash, seal. Empty for an empty log."""
    newest = session.execute(select(AuditEntry.seq, AuditEntry.entry_hash).order_by(AuditEntry.seq.desc()).limit(1)).one_or_none()
    return "" if newest is None else f"{newest.seq} {newest.entry_hash} {vault.seal(_words(newest.seq, newest.entry_hash))}"


def note_head(session: Session, house: House) -> bool:
    """Add the head to the file, and say so; the file stays as it is when the log has not grown."""
    head, file = newest_head(session, house.vault), house.config.data_dir / FILE
    if not head or head in _lines(file)[-1:]:
        return False
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(head + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    return True


def prove_log(session: Session, house: House, *, elsewhere: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with the log, a sentence each: with its chain, and where it is not what was noted of it.

    `elsewhere` are lines that were kept in another place.
    """
    heads: dict[int, str] = {}
    faults = []
    for line in (*_lines(house.config.data_dir / FILE), *elsewhere):
        seq, _, rest = line.partition(" ")
        entry_hash, _, seal = rest.partition(" ")
        if seq.isdecimal() and house.vault.sealed(_words(int(seq), entry_hash), seal):
            heads[int(seq)] = entry_hash
        else:
            faults.append(f"a head was not sealed by us: {line[:120]!r}")
    return faults + verify(session, heads)


def _words(seq: int, entry_hash: str) -> str:
    return f"audit {seq} {entry_hash}"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="ascii", errors="replace").splitlines() if file.exists() else []
