"""The terms in the store: every version of license and notice that was ever in force, and their acceptance by members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.config import Config
from syndicator.domain.accounts import StaffRole, User, fold_email
from syndicator.domain.publishers import Publisher
from syndicator.domain.terms import LicenseVersion, NoticeVersion, TermsAcceptance
from syndicator.errors import ConfigError, Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.letters import write_letter
from syndicator.render.entry import Terms

ACTOR = "settings"
PEOPLE = 2  # who have to agree to new terms


def sync_terms(session: Session, house: House, *, at: datetime) -> list[str]:
    """Store license and notice of the settings if their versions are new, and return what is new, in words.

    Raises ConfigError where a version that is stored already reads otherwise: what publishers accepted never changes its words;
    and where a new version lacks the two people who agreed to it (reliability S10).
    """
    config, former = house.config, next(iter(license_versions(session)), None)
    if former is not None and session.get(LicenseVersion, config.license.version) is None:
        _tell_who_agreed(session, house, at)
    new = [*_sync_notice(session, config, at), *_sync_license(session, config, at)]
    if new:
        session.flush()
        audit.record(
            session,
            ACTOR,
            "terms.version",
            config.license.version,
            at=at,
            before=former.version if former is not None else None,
            notice=config.notice.version,
            agreed_by=list(config.license.agreed_by),
        )
    return new


def _tell_who_agreed(session: Session, house: House, at: datetime) -> None:
    """Write to both people in whose name the terms change, so that nobody is named unasked. Raises ConfigError without two."""
    terms = house.config.license
    named = {fold_email(email) for email in terms.agreed_by}
    may = (StaffRole.LICENSING, StaffRole.ADMIN)
    wanted = select(User.email).where(User.email.in_(named), User.staff_role.in_(may), User.disabled_at.is_(None))
    if len(people := session.scalars(wanted.order_by(User.email)).all()) < PEOPLE:
        raise ConfigError(
            f"license.agreed_by: version {terms.version!r} changes what publishers accept; name two of the licensing team or "
            "administrators who agreed to it"
        )
    for email in people:
        write_letter(
            session,
            house,
            "note",
            to=email,
            at=at,
            heading=f"The license has a new version in your name: {terms.version}",
            words=f"From now on publishers are asked to accept version {terms.version} of the license. The settings say that you "
            f"agreed to it, together with {', '.join(other for other in people if other != email)}:\n\n"
            f"{house.config.license_url}\n\nIf you did not, tell an administrator at once.",
        )


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
        if stored.notice_version != config.notice.version:  # the license quotes it, and receipts hold the hash of its text
            raise ConfigError(
                f"license.version: {terms.version!r} was stored with notice {stored.notice_version!r}; with a new notice goes a "
                "new version of the license, which publishers are asked to accept"
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
