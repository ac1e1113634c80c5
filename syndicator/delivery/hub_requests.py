"""The hub's other half: requests that were answered 202 are verified at their callback (WebSub 5.3), denials are told (5.2)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from syndicator.channels import Answer, Request
from syndicator.channels.websub import challenge_echoed, denial_url, verification_url
from syndicator.domain.subscriptions import HubRequest
from syndicator.house import House
from syndicator.operations.hub import settle_hub_request
from syndicator.vault import Vault

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
RETRY_SECONDS = (30, 120, 600)  # only after a time-out, a refused connection or a 5xx


@dataclass(frozen=True, slots=True)
class Verification:
    """One GET to a callback and what has to come back; an empty challenge expects nothing."""

    request_id: int
    request: Request
    challenge: str


def anything_due(session: Session, *, at: datetime) -> bool:
    return session.scalar(select(HubRequest.id).where(HubRequest.next_attempt_at <= at).limit(1)) is not None


def claim_due(session: Session, vault: Vault, *, at: datetime, limit: int) -> list[Verification]:
    """Take the hub requests that are due; one that is not settled comes back after LEASE."""
    due = select(HubRequest).where(HubRequest.next_attempt_at <= at).order_by(HubRequest.next_attempt_at).limit(limit)
    claimed = session.scalars(due.with_for_update(skip_locked=True)).all()
    for request in claimed:
        request.next_attempt_at = at + LEASE
        request.attempts += 1
    return [_verification(request, vault) for request in claimed]


def settle(session: Session, house: House, answered: Sequence[tuple[Verification, Answer]], *, at: datetime) -> None:
    """Do what each answer says: the subscription counts, or the request is dropped or tried again."""
    for verification, answer in answered:
        request = session.get(HubRequest, verification.request_id, with_for_update=True)
        if request is None:
            continue
        passing = answer.status == 0 or answer.status >= 500
        if passing and request.attempts <= len(RETRY_SECONDS):
            request.next_attempt_at = at + timedelta(seconds=RETRY_SECONDS[request.attempts - 1])
            continue
        if request.mode != "denied" and challenge_echoed(answer, verification.challenge):
            settle_hub_request(session, house, request, at=at)
            log.info("hub request verified mode=%s", request.mode)
        else:
            log.info("hub request dropped mode=%s status=%s error=%s", request.mode, answer.status, answer.error)
        session.execute(delete(HubRequest).where(HubRequest.id == request.id))


def _verification(request: HubRequest, vault: Vault) -> Verification:
    topic = vault.unlock(request.topic)
    if request.mode == "denied":
        url, challenge = denial_url(request.callback, topic, request.reason), ""
    else:
        challenge = secrets.token_urlsafe(24)
        lease = request.lease_seconds if request.mode == "subscribe" else None
        url = verification_url(request.callback, request.mode, topic, challenge, lease)
    return Verification(request.id, Request(method="GET", url=url, headers=(), body=b""), challenge)
