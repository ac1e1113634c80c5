"""Audience figures and the files that show them. A file lies under data_dir/evidence by its hash, readable by its owner only.

The database knows which publisher gave a file; nobody reads one without asking for it by its figure (`get_figure`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.config import Config
from syndicator.domain.answers import MOST_PEOPLE
from syndicator.domain.applications import Application, AudienceEvidence
from syndicator.domain.base import new_id
from syndicator.domain.uploads import MEDIA_TYPES, MOST_BYTES_IN_ALL, kind_of
from syndicator.errors import Conflict, InvalidForm, InvalidRequest, NotFound
from syndicator.operations import audit

MOST_FIGURES = 40


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came in; the name is only shown."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FigureGiven:
    """What the form says of one figure. Months are first days."""

    site: str
    first_month: date | None
    last_month: date | None
    unique_visitors: int | None
    page_views: int | None
    source: str
    link: str


def add_figure(
    session: Session,
    config: Config,
    application: Application,
    given: FigureGiven,
    upload: Upload | None,
    *,
    actor: str,
    at: datetime,
) -> AudienceEvidence:
    """Keep a figure of a site of the publisher's. Raises InvalidForm for what does not fit, Conflict beyond the bounds."""
    publisher = application.publisher
    faults = _faults(given, {domain.domain for domain in publisher.domains}, at)
    kind = ""
    if upload is not None:
        try:
            kind = kind_of(upload.content)
        except InvalidRequest as error:
            faults["file"] = str(error)
    if faults or given.first_month is None or given.last_month is None or given.unique_visitors is None:
        raise InvalidForm(faults)
    _require_room(session, publisher.id, len(upload.content) if upload else 0)
    figure = AudienceEvidence(
        public_id=new_id("evi_"),
        publisher_id=publisher.id,
        site=given.site,
        first_month=given.first_month,
        last_month=given.last_month,
        unique_visitors=given.unique_visitors,
        page_views=given.page_views,
        source=given.source,
        link=given.link,
        given_by=actor,
        given_at=at,
    )
    if upload is not None:
        figure.file_name, figure.media_type = _shown_name(upload.name, kind), MEDIA_TYPES[kind]
        figure.size_bytes, figure.sha256 = len(upload.content), hashlib.sha256(upload.content).hexdigest()
    session.add(figure)
    application.changed_at = at
    session.flush()
    audit.record(
        session,
        actor,
        "evidence.add",
        application.public_id,
        at=at,
        evidence=figure.public_id,
        site=figure.site,
        sha256=figure.sha256,
    )
    if upload is not None:  # last, behind the lock of the audit log: see forget_file
        keep_file(config.data_dir, upload.content)
    return figure


def remove_figure(session: Session, application: Application, public_id: str, *, actor: str, at: datetime) -> str:
    """Take out a figure given for this application, and return its file's hash, to hand to `forget_file` after the commit.

    What an earlier decision rested on stays. Raises NotFound and Conflict.
    """
    figure = get_figure(session, public_id, publisher_id=application.publisher_id)
    if figure.given_at < application.created_at:
        raise Conflict("An earlier decision rests on this figure; it stays.")
    session.delete(figure)
    application.changed_at = at
    audit.record(session, actor, "evidence.remove", application.public_id, at=at, evidence=public_id, site=figure.site)
    return figure.sha256


def forget_file(session: Session, data_dir: Path, digest: str, *, actor: str, at: datetime) -> None:
    """Delete a file that no figure has any more, or taking figures out and giving others would fill the disk.

    The entry in the audit log comes first: its lock keeps away everybody who is about to give the same file.
    """
    if not digest or _in_use(session, digest):
        return
    audit.record(session, actor, "evidence.forget", digest, at=at)
    if not _in_use(session, digest):
        file_of(data_dir, digest).unlink(missing_ok=True)


def _in_use(session: Session, digest: str) -> bool:
    return session.scalar(select(AudienceEvidence.id).where(AudienceEvidence.sha256 == digest).limit(1)) is not None


def figures_of(session: Session, publisher_id: int) -> Sequence[AudienceEvidence]:
    """The publisher's figures, those of the newest months first."""
    wanted = select(AudienceEvidence).where(AudienceEvidence.publisher_id == publisher_id)
    return session.scalars(
        wanted.order_by(AudienceEvidence.last_month.desc(), AudienceEvidence.id.desc()).limit(MOST_FIGURES)
    ).all()


def get_figure(session: Session, public_id: str, *, publisher_id: int) -> AudienceEvidence:
    """Return a figure of this publisher; raises NotFound, also for one of another."""
    wanted = select(AudienceEvidence).where(
        AudienceEvidence.public_id == public_id, AudienceEvidence.publisher_id == publisher_id
    )
    figure = session.scalars(wanted).one_or_none()
    if figure is None:
        raise NotFound(f"there is no figure {public_id!r} here")
    return figure


def keep_file(data_dir: Path, content: bytes) -> str:
    """Store `content`, durable and whole before this returns, and return its SHA-256. The same content is stored once."""
    digest = hashlib.sha256(content).hexdigest()
    file = file_of(data_dir, digest)
    if file.exists():
        return digest
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.parent / f".{digest}.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.rename(file)
    return digest


def read_file(data_dir: Path, figure: AudienceEvidence) -> bytes:
    """Return the file of a figure; raises NotFound when it has none, or when it is not what was given."""
    try:
        content = file_of(data_dir, figure.sha256).read_bytes() if figure.sha256 else b""
    except FileNotFoundError:
        content = b""
    if not figure.sha256 or hashlib.sha256(content).hexdigest() != figure.sha256:
        raise NotFound(f"there is no file of {figure.public_id!r}")
    return content


def file_of(data_dir: Path, digest: str) -> Path:
    return data_dir / "evidence" / digest[:2] / digest


def _faults(given: FigureGiven, sites: set[str], at: datetime) -> dict[str, str]:
    faults = {}
    if given.site not in sites:
        faults["site"] = "Choose one of your sites."
    if given.unique_visitors is None or not 0 < given.unique_visitors <= MOST_PEOPLE:
        faults["unique_visitors"] = "Give a whole number, such as 120,000."
    if not given.source:
        faults["source"] = "Say where the figure comes from, such as Google Analytics."
    if given.first_month is None or given.first_month.year < 2000:
        faults["first_month"] = "Give a month, such as 2026-04."
    if given.last_month is None or given.last_month > at.date():
        faults["last_month"] = "Give a month that has begun, such as 2026-06."
    elif given.first_month is not None and given.first_month > given.last_month:
        faults["last_month"] = "This is before the first month."
    return faults


def _require_room(session: Session, publisher_id: int, more: int) -> None:
    mine = select(func.count(), func.coalesce(func.sum(AudienceEvidence.size_bytes), 0)).where(
        AudienceEvidence.publisher_id == publisher_id
    )
    count, size = session.execute(mine).one()
    if count >= MOST_FIGURES or (more and size + more > MOST_BYTES_IN_ALL):
        raise Conflict(f"There is no room for more: {MOST_FIGURES} figures and {MOST_BYTES_IN_ALL // 1_000_000} MB are the most.")


def _shown_name(name: str, kind: str) -> str:
    """Return a plain name with the ending of what the file is."""
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or "evidence"
    plain = "".join(mark if mark.isascii() and (mark.isalnum() or mark in "-_") else "-" for mark in stem).strip("-")
    return f"{plain[:80] or 'evidence'}.{kind}"
