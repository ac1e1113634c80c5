"""The audit log: who decided or changed what. Entries are chained by hash, so that a missing or altered one shows."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base

GENESIS = "0" * 64


class AuditEntry(Base):
    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_subject", "subject", "seq"),
        Index("ix_audit_entries_actor", "actor", "seq"),
        Index("ix_audit_entries_action", "action", "seq"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(254))  # an e-mail address, `key:…`, `job:…` or `command line`
    action: Mapped[str] = mapped_column(String(80))  # such as story.kill or publisher.approve
    subject: Mapped[str] = mapped_column(String(255))  # the uri or public id it was done to
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous_hash: Mapped[str] = mapped_column(String(64))
    entry_hash: Mapped[str] = mapped_column(String(64))


def hash_of(previous_hash: str, seq: int, at: datetime, actor: str, action: str, subject: str, details: dict[str, Any]) -> str:
    """SHA-256 over an entry and the hash before it; equal on every database."""
    values = [
        previous_hash,
        seq,
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        actor,
        action,
        subject,
        details,
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
