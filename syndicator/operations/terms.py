"""The terms in the store: every version of license and notice that was ever in force, and their acceptance by members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.config import Config
from syndicator.domain.publishers import Publisher
from syndicator.domain.terms import LicenseVersion, NoticeVersion, TermsAcceptance
from syndicator.errors import ConfigError, Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.render.entry import Terms

ACTOR = "settings"


def sync_terms(session: Session, config: Config, *, at: datetime) -> list[str]:
    """Store license and notice of the settings if their versions are new, and return what is new, in words.

    Raises ConfigError where a version that is stored already reads otherwise: what publishers accepted never changes its words.
    """
    new = [*_sync_notice(session, config, at), *_sync_license(session, config, at)]
    if new:
        session.flush()
        audit.record(session, ACTOR, "terms.version", config.license.version, at=at, notice=config.notice.version)
    return new


def get_license_version(session: Session, version: str) -> LicenseVersion:
    """Return the license as it reads under `version`; raises NotFound."""
    found = session.get(LicenseVersion, version)
    if found is None:
        raise NotFound(f"there is no license version {version!r}")
    return found


def terms_as_they_read(session: Session, house: House, version: str) -> tuple[Terms, tuple[str, ...]]:
    """Return the terms under license `version`, with its notice and duties; raises NotFound."""
    if version == house.config.license.version:
        return house.terms, house.config.license.duties
    found = get_license_version(session, version)
    notice = session.get_one(NoticeVersion, found.notice_version)
    as_they_read = replace(
        house.terms,
        license_version=found.version,
        license_title=found.title,
        license_url=house.config.license_url_of(found.version),
        notice_version=notice.version,
        notice_text=notice.text,
        contact_email=notice.contact_email,
    )
    return as_they_read, tuple(found.duties)


def license_versions(session: Session) -> Sequence[LicenseVersion]:
    """Every version, the newest first."""
    newest = select(LicenseVersion).order_by(LicenseVersion.in_force_since.desc(), LicenseVersion.version.desc())
    return session.scalars(newest.limit(100)).all()


def notice_texts(session: Session, config: Config) -> tuple[str, ...]:
    """Return every wording that is removed from bodies, since the one in force is added to what leaves."""
    former = session.scalars(select(NoticeVersion.text).order_by(NoticeVersion.in_force_since).limit(100))
    return tuple(dict.fromkeys((*config.notice_texts, *former)))


def accept(
    session: Session,
    config: Config,
    publisher: Publisher,
    *,
    license_version: str,
    accepted_by: str,
    signer: str,
    at: datetime,
    address: str = "",
    agent: str = "",
) -> TermsAcceptance:
    """Keep that `accepted_by` accepts the license for the publisher; `license_version` is the one that was shown.

    Raises InvalidRequest without a signer, Conflict when another version has come into force since the page was shown.
    """
    if license_version != config.license.version:
        raise Conflict("The terms have changed since this page was made; please read them again.")
    if not signer.strip():
        raise InvalidRequest("Say who signs: your name and position.", "signer")
    publisher.terms_version, publisher.terms_accepted_at, publisher.terms_until = license_version, at, None
    acceptance = TermsAcceptance(
        publisher_id=publisher.id,
        license_version=license_version,
        notice_version=config.notice.version,
        accepted_by=accepted_by,
        signer=" ".join(signer.split())[:200],
        accepted_at=at,
        address=address[:64],
        agent=agent[:200],
    )
    session.add(acceptance)
    session.flush()
    return acceptance


def acceptances_of(session: Session, publisher_id: int) -> Sequence[TermsAcceptance]:
    """The newest first."""
    wanted = select(TermsAcceptance).where(TermsAcceptance.publisher_id == publisher_id)
    return session.scalars(wanted.order_by(TermsAcceptance.id.desc()).limit(100)).all()


def _sync_notice(session: Session, config: Config, at: datetime) -> list[str]:
    notice = config.notice
    stored = session.get(NoticeVersion, notice.version)
    if stored is not None:
        if stored.text != notice.text:
            raise ConfigError(
                f"notice.text: version {notice.version!r} was stored with other words; give the new wording a version of its own"
            )
        return []
    session.add(NoticeVersion(version=notice.version, text=notice.text, contact_email=notice.contact_email, in_force_since=at))
    return [f"notice {notice.version}"]


def _sync_license(session: Session, config: Config, at: datetime) -> list[str]:
    terms = config.license
    stored = session.get(LicenseVersion, terms.version)
    if stored is not None:
        if (stored.title, tuple(stored.duties)) != (terms.title, terms.duties):
            raise ConfigError(
                f"license.duties: version {terms.version!r} was stored with other words; give new terms a version of their own"
            )
        return []
    accept_by = at + timedelta(days=terms.grace_days)
    session.add(
        LicenseVersion(
            version=terms.version,
            title=terms.title,
            duties=list(terms.duties),
            notice_version=config.notice.version,
            in_force_since=at,
            accept_by=accept_by,
        )
    )
    # Whoever had accepted the version before has until then; a grace that is still running is not made longer.
    session.execute(
        update(Publisher)
        .where(Publisher.terms_version.not_in(("", terms.version)), Publisher.terms_until.is_(None))
        .values(terms_until=accept_by)
        .execution_options(synchronize_session=False)
    )
    return [f"license {terms.version}"]
