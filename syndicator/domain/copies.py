"""Copies that we put on partners' sites ourselves: which post there is which story here, and how we left it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base
from syndicator.domain.stories import Story
from syndicator.domain.subscriptions import Subscription


class RemoteCopy(Base):
    """One story on one partner's site (channel wordpress)."""

    __tablename__ = "remote_copies"
    __table_args__ = (UniqueConstraint("subscription_id", "story_id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey(Subscription.id))
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    remote_id: Mapped[int | None] = mapped_column(BigInteger)
    url: Mapped[str] = mapped_column(String(2048), default="")
    version: Mapped[int] = mapped_column(default=0)  # of ours, that the copy shows
    seen: Mapped[str] = mapped_column(String(64), default="")  # SHA-256 of the copy after our last answered write
    sent: Mapped[str] = mapped_column(String(64), default="")  # SHA-256 of the words of a write that was not answered
    withdrawn: Mapped[bool] = mapped_column(default=False)
    changed_there: Mapped[bool] = mapped_column(default=False)  # by the partner, and so left as it is
