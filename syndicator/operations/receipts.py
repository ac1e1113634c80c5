"""Receipts: issued to who may take a story, and checked for anybody who was shown one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.access import GRANTED, Decision, decide_story, decide_viewer, denied, embargoed, viewer_of
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher
from syndicator.domain.receipts import Receipt
from syndicator.domain.stories import Rights, Story, StoryVersion
from syndicator.errors import NotFound
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.agreements import policy_url
from syndicator.reasons import Reason
from syndicator.render.license_text import license_digest
from syndicator.signing import Signer

TYPE = "syndication-receipt+jwt"
ID = re.compile(r"rcpt_[0-9a-z]{1,27}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a receipt now. `receipt` is None when the signature is not ours."""

    valid: bool
    reason: Reason
    words: str
    receipt: Receipt | None = None
    newer_version: int | None = None  # a correction or update that its holder should take


def issue_receipt(
    session: Session,
    house: House,
    publisher: Publisher,
    story: Story,
    version: StoryVersion,
    decision: Decision,
    *,
    actor: str,
    at: datetime,
) -> tuple[Receipt, bool]:
    """Return the receipt for this version, and whether it was made now; one that holds on the same terms is not repeated.

    `decision` is the gate's grant for `story`.
    """
    grant = decision.grant
    agreement_id = grant.agreement_id if grant else None
    license_url = policy_url(house.config, grant.public_id) if grant else house.config.license_url
    same = select(Receipt).where(
        Receipt.publisher_id == publisher.id,
        Receipt.story_id == story.id,
        Receipt.version_number == version.number,
        Receipt.license_url == license_url,
        Receipt.agreement_id.is_(None) if agreement_id is None else Receipt.agreement_id == agreement_id,
        Receipt.expires_at > at,
    )
    ends = [publisher.approved_until, story.expires_at, grant.valid_until if grant else None]
    expires_at = min(moment for moment in ends if moment is not None)
    for known in session.scalars(same.order_by(Receipt.id.desc()).limit(1)):
        if known.expires_at == expires_at:
            return known, False
    jti = new_id("rcpt_")
    claims = _claims(house, publisher, story, version)
    if grant is None:
        claims |= {"lic": license_url, "lic_sha256": license_digest(house.terms, house.config.license.duties)}
    else:
        claims |= {"lic": license_url, "agreement": grant.public_id}
    lasts = {"jti": jti, "iat": _seconds(at), "exp": _seconds(expires_at)}
    if embargoed(story, at) and story.embargoed_until is not None:
        lasts["nbf"] = _seconds(story.embargoed_until)
    receipt = Receipt(
        jti=jti,
        publisher=publisher,
        story=story,
        version_number=version.number,
        license_url=license_url,
        agreement_id=agreement_id,
        issued_at=at,
        expires_at=expires_at,
        token=Signer(house.config.data_dir).sign(claims | lasts, TYPE),
    )
    session.add(receipt)
    session.flush()
    audit.record(
        session, actor, "receipt.issue", jti, at=at, publisher=publisher.public_id, story=story.uri, version=version.number
    )
    return receipt, True


def _claims(house: House, publisher: Publisher, story: Story, version: StoryVersion) -> dict[str, Any]:
    """Return who may use what on which terms; the body's hash is of what is stored, before the notice is put beneath it."""
    domains = [each.domain for each in publisher.domains if each.verified_at] or [each.domain for each in publisher.domains]
    return {
        "iss": house.config.site.base_url,
        "sub": publisher.public_id,
        "name": publisher.name,
        "aud": domains,
        "story": story.uri,
        "ver": version.number,
        "headline": version.headline,
        "body_sha256": hashlib.sha256(version.body_html.encode()).hexdigest(),
        "duties": list(house.config.license.duties),
        "notice": {"version": house.config.notice.version, "text": house.config.notice.text},
        "domains": domains,
        "contact": house.config.notice.contact_email,
        "verify": f"{house.config.site.base_url}/receipts/verify",
    }


def get_receipt(session: Session, jti: str, publisher_id: int) -> Receipt:
    """Return the publisher's own receipt; another's is as unknown as none. Raises NotFound."""
    receipt = session.scalars(select(Receipt).where(Receipt.jti == jti, Receipt.publisher_id == publisher_id)).one_or_none()
    if receipt is None:
        raise NotFound(f"there is no receipt {jti!r}")
    return receipt


def receipts_of(session: Session, publisher_id: int, *, limit: int = 100) -> Sequence[Receipt]:
    """The publisher's receipts, the newest first, with their stories."""
    theirs = (
        select(Receipt).where(Receipt.publisher_id == publisher_id).options(joinedload(Receipt.story).joinedload(Story.current))
    )
    return session.scalars(theirs.order_by(Receipt.id.desc()).limit(limit)).all()


def receipts_judged(session: Session, publisher_id: int, *, at: datetime, limit: int = 50) -> list[Verdict]:
    """Return what can be said now of the publisher's receipts, the newest first."""
    return [judge_receipt(each, at=at) for each in receipts_of(session, publisher_id, limit=limit)]


def check_shown(session: Session, house: House, shown: str, *, at: datetime) -> Verdict:
    """Judge a receipt that somebody shows: its token, whose signature is checked, its id alone, or a link that holds either."""
    jti = _pasted(shown)
    if not ID.fullmatch(jti):
        claims = Signer(house.config.data_dir).read(jti)
        if claims is None:
            return Verdict(False, Reason.INVALID_REQUEST, "This is not a receipt that we signed, or it has been changed since.")
        jti = str(claims.get("jti", ""))
    receipt = session.scalars(select(Receipt).where(Receipt.jti == jti)).one_or_none() if ID.fullmatch(jti) else None
    if receipt is None:
        return Verdict(False, Reason.INVALID_REQUEST, "We have no record of this receipt.")
    return judge_receipt(receipt, at=at)


def _pasted(shown: str) -> str:
    """Return what was meant: letters break long words into lines, and people paste the whole link."""
    joined = "".join(shown.split())
    _, linked, after = joined.partition("receipt=")
    return unquote(after.partition("&")[0]) if linked else joined


def judge_receipt(receipt: Receipt, *, at: datetime) -> Verdict:
    """Say whether a receipt still holds: not after a kill, takedown, suspension, the end of an agreement, or its time."""
    decision = _standing(receipt, at)
    current = receipt.story.version_number
    newer = current if decision.granted and current > receipt.version_number else None
    words = "Its holder may use the story on the terms that it names." if decision.granted else decision.reason.words
    return Verdict(decision.granted, decision.reason, decision.detail or words, receipt, newer)


def _standing(receipt: Receipt, at: datetime) -> Decision:
    if at >= receipt.expires_at:
        return denied(Reason.EXPIRED, "The time for which this receipt was given is over.")
    holder = decide_viewer(viewer_of(receipt.publisher, receipt.publisher.terms_version), at)
    if not holder.granted:
        return holder
    story, agreement = receipt.story, receipt.agreement
    if agreement is not None and not agreement.in_force(at):
        return denied(Reason.LICENSE_REQUIRED, "The agreement that this receipt rests on has ended.")
    decision = decide_story(story, at, embargo_trusted=True)
    if decision.reason is Reason.LICENSE_REQUIRED and agreement is not None and story.rights is Rights.LICENSED:
        decision = GRANTED
    if decision.granted and story.embargoed_until is not None and embargoed(story, at):
        return denied(Reason.EMBARGOED, f"It counts from {story.embargoed_until:%Y-%m-%d %H:%M} UTC, when the embargo ends.")
    return decision


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
