"""The terms as they stood at each version, and who accepted which. A version's words never change once it is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base
from syndicator.domain.publishers import Publisher


class LicenseVersion(Base):
    """The license as it reads at /licenses/free-use/VERSION for ever, with the notice that stood in it at first."""

    __tablename__ = "license_versions"

    version: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    duties: Mapped[list[str]] = mapped_column(default=list)
    notice_version: Mapped[str] = mapped_column(String(40))
    in_force_since: Mapped[datetime]
    accept_by: Mapped[datetime]  # until then an acceptance of the version before still counts


class NoticeVersion(Base):
    """One wording of the free-use text."""

    __tablename__ = "notice_versions"

    version: Mapped[str] = mapped_column(String(40), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    contact_email: Mapped[str] = mapped_column(String(254))
    in_force_since: Mapped[datetime]


class TermsAcceptance(Base):
    """Who accepted which version for a publisher, when, and from where."""

    __tablename__ = "terms_acceptances"
    __table_args__ = (Index("ix_terms_acceptances_publisher", "publisher_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    publisher_id: Mapped[int] = mapped_column(ForeignKey(Publisher.id))
    license_version: Mapped[str] = mapped_column(String(40))
    notice_version: Mapped[str] = mapped_column(String(40))
    accepted_by: Mapped[str] = mapped_column(String(254))  # e-mail address of the member, or who vouched
    signer: Mapped[str] = mapped_column(String(200), default="")  # name and position, as the member wrote them
    accepted_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")
