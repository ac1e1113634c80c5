"""Receipts: signed proof that a publisher may use one version of a story. The row remembers what was signed.

Whether a receipt still holds is never stored: it follows from publisher, story, agreement and time whenever somebody asks.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from syndicator.domain.agreements import Agreement
from syndicator.domain.base import Base
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Story


class Receipt(Base):
    __tablename__ = "receipts"
    __table_args__ = (Index("ix_receipts_publisher", "publisher_id", "story_id", "version_number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(String(32), unique=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publishers.id"))
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"))
    version_number: Mapped[int]
    license_url: Mapped[str] = mapped_column(String(2048))
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreements.id"))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    token: Mapped[str] = mapped_column(Text)  # the compact JWS; nothing in it is secret

    publisher: Mapped[Publisher] = relationship(lazy="joined", innerjoin=True)
    story: Mapped[Story] = relationship(lazy="joined", innerjoin=True)
    agreement: Mapped[Agreement | None] = relationship(lazy="joined")
