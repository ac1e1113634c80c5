"""Feed documents on many machines: the bytes that were rendered once, and how far each web machine has copied them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base


class SharedDocument(Base):
    """One document file as it lies under `data_dir/documents`. Numbers grow in commit order and have no gaps."""

    __tablename__ = "shared_documents"
    __table_args__ = (Index("ix_shared_documents_number", "number"),)

    path: Mapped[str] = mapped_column(String(255), primary_key=True)  # public/latest.rss
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    packed: Mapped[bytes | None] = mapped_column(LargeBinary)  # None: removed


class WebNode(Base):
    """A machine that serves documents, and the number up to which it has them all."""

    __tablename__ = "web_nodes"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    number: Mapped[int]
    seen_at: Mapped[datetime]
