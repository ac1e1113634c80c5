"""Pushes that came in signed: each is taken once, so that nobody who listened can send one again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base


class PushTaken(Base):
    """One signed body, by its digest. Rows stay: an old push is as dangerous as a young one."""

    __tablename__ = "pushes_taken"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of what was signed, hex
    at: Mapped[datetime]
