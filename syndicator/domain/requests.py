"""Requests that were sent with an Idempotency-Key: what was asked, whether it took effect, and what was answered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base


class RememberedRequest(Base):
    """One request of one API key. The answer is encrypted, since it may hold a secret that is shown once."""

    __tablename__ = "remembered_requests"
    __table_args__ = (Index("ix_remembered_requests_claimed", "claimed_at"),)

    holder: Mapped[str] = mapped_column(String(32), primary_key=True)  # public id of the API key
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of the Idempotency-Key
    request_hash: Mapped[str] = mapped_column(String(64))
    claimed_at: Mapped[datetime]
    took_effect: Mapped[bool] = mapped_column(default=False)  # written in the transaction of the effect itself
    answer: Mapped[str | None] = mapped_column(Text)  # encrypted; None until there is one
