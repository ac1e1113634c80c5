"""Pushes that came in signed: each is taken once, so that nobody who listened can send one again; and the pictures among them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base
from syndicator.domain.stories import Story


class PushTaken(Base):
    """One signed body, by its digest. Rows stay: an old push is as dangerous as a young one."""

    __tablename__ = "pushes_taken"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of what was signed, hex
    at: Mapped[datetime]


class PushedPicture(Base):
    """A picture as an editing system pushed it. It is given out for the sake of stories alone, at an address of ours."""

    __tablename__ = "pushed_pictures"
    __table_args__ = (Index("ix_pushed_pictures_at", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    media_id: Mapped[str] = mapped_column(String(200), unique=True)  # the pusher's name for it
    media_type: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class PictureUse(Base):
    """That a version of a story showed a pushed picture as cleared."""

    __tablename__ = "picture_uses"
    __table_args__ = (Index("ix_picture_uses_story", "story_id"),)

    picture_id: Mapped[int] = mapped_column(ForeignKey("pushed_pictures.id"), primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id), primary_key=True)
