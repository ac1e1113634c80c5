"""Writing and verifying the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.audit import GENESIS, AuditEntry, hash_of
from syndicator.storage.queries import last_value, next_value


def record(session: Session, actor: str, action: str, subject: str, *, at: datetime, **details: Any) -> AuditEntry:
    """Add an entry; the chain's lock is held until the transaction ends, so call this last."""
    seq = next_value(session, "audit")
    previous = session.execute(select(AuditEntry.entry_hash).where(AuditEntry.seq == seq - 1)).scalar_one_or_none() or GENESIS
    entry = AuditEntry(
        seq=seq,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        details=details,
        previous_hash=previous,
        entry_hash=hash_of(previous, seq, at, actor, action, subject, details),
    )
    session.add(entry)
    session.flush()
    return entry


def verify(session: Session, heads: Mapping[int, str] | None = None) -> list[str]:
    """Walk the whole chain and return what is wrong with it, a sentence each; an empty list means that nothing is.

    `heads` are hashes of entries by number, as they were noted outside the database.
    """
    heads = heads or {}
    faults: list[str] = []
    expected_seq, previous = 1, GENESIS
    for entry in session.execute(select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=1000)).scalars():
        if entry.seq != expected_seq:
            faults.append(f"entries {expected_seq} to {entry.seq - 1} are missing")
        elif entry.previous_hash != previous:
            faults.append(f"entry {entry.seq} does not follow the one before it")
        if entry.entry_hash != hash_of(
            entry.previous_hash, entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.details
        ):
            faults.append(f"entry {entry.seq} has been altered")
        if heads.get(entry.seq, entry.entry_hash) != entry.entry_hash:
            faults.append(f"entry {entry.seq} is not the one that was noted: the log up to it has been rewritten")
        expected_seq, previous = entry.seq + 1, entry.entry_hash
    newest = max(last_value(session, "audit"), *heads, 0)
    if expected_seq - 1 < newest:
        faults.append(f"entries after {expected_seq - 1} are missing")
    elif expected_seq - 1 > newest:
        faults.append(f"entries after {newest} were not written by us: the counter does not know of them")
    return faults


def newest_entries(
    session: Session,
    *,
    actor: str = "",
    action: str = "",
    subject: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Return entries, newest first, that fit what is not empty; `action` is a whole one or its first word, such as `story`."""
    wanted = select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(limit)
    for column, value in ((AuditEntry.actor, actor), (AuditEntry.subject, subject)):
        if value:
            wanted = wanted.where(column == value)
    if action:
        # "/" is the character after ".", so this is the range of all actions that begin with the word and a dot.
        wanted = wanted.where(
            (AuditEntry.action == action) | ((AuditEntry.action > f"{action}.") & (AuditEntry.action < f"{action}/"))
        )
    if since is not None:
        wanted = wanted.where(AuditEntry.at >= since)
    if until is not None:
        wanted = wanted.where(AuditEntry.at < until)
    if before is not None:
        wanted = wanted.where(AuditEntry.seq < before)
    return session.scalars(wanted).all()
