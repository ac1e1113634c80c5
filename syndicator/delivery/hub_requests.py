"""The hub's other half: requests that were answered 202 are verified at their callback (WebSub 5.3), denials are told (5.2).

A host is asked ASKED_PER_MINUTE times a minute at most, so that nobody can have us flood a server that is not theirs.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.channels import Answer, Request
from syndicator.channels.websub import challenge_echoed, denial_url, verification_url
from syndicator.delivery.errands import Errand
from syndicator.delivery.ledger import AT
from syndicator.domain.subscriptions import CallbackHost, HubRequest
from syndicator.house import House
from syndicator.operations.hub import ASKED_PER_MINUTE, settle_hub_request

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
RETRY_SECONDS = (30, 120, 600)  # only after a time-out, a refused connection, a 429 or a 5xx


class HubRequests:
    """Errands (see errands.py)."""

    due = select(HubRequest.id).where(HubRequest.next_attempt_at <= AT)

    def claim_due(self, session: Session, house: House, *, at: datetime, limit: int) -> list[Errand]:
        """Take the requests that are due; one that is not settled comes back after LEASE, one whose host had its share later."""
        due = select(HubRequest).where(HubRequest.next_attempt_at <= at).order_by(HubRequest.next_attempt_at, HubRequest.id)
        errands = []
        for request in session.scalars(due.limit(limit).with_for_update(skip_locked=True)):
            if not _may_ask(session, request.host, at):
                request.next_attempt_at = at + timedelta(seconds=60 - at.second)
                continue
            request.next_attempt_at = at + LEASE
            request.attempts += 1
            try:
                errands.append(_verification(request, house))
            except Exception:  # such as a topic that cannot be read; it must not stop the others
                log.exception("hub request not made request=%s", request.id)
                session.delete(request)
        return errands

    def settle(self, session: Session, house: House, answered: Sequence[tuple[Errand, Answer]], *, at: datetime) -> None:
        """Do what each answer says: the subscription counts, or the request is dropped or tried again."""
        for errand, answer in answered:
            request = session.get(HubRequest, errand.row_id, with_for_update=True)
            if request is None:
                continue
            passing = answer.status in {0, 429} or answer.status >= 500
            if passing and request.attempts <= len(RETRY_SECONDS):
                request.next_attempt_at = at + timedelta(seconds=RETRY_SECONDS[request.attempts - 1])
                continue
            if request.mode != "denied" and challenge_echoed(answer, errand.challenge):
                settle_hub_request(session, house, request, at=at)
                log.info("hub request verified mode=%s", request.mode)
            else:
                log.info("hub request dropped mode=%s status=%s error=%s", request.mode, answer.status, answer.error)
                session.delete(request)


def _may_ask(session: Session, host: str, at: datetime) -> bool:
    """Count one question to `host`, unless it has had its share of this minute."""
    minute = int(at.timestamp() // 60)
    counted = session.get(CallbackHost, host, with_for_update=True)
    if counted is None:
        counted = CallbackHost(host=host, minute=minute, asked=0)
        session.add(counted)
    if counted.minute != minute:
        counted.minute, counted.asked = minute, 0
    if counted.asked >= ASKED_PER_MINUTE:
        return False
    counted.asked += 1
    return True


def _verification(request: HubRequest, house: House) -> Errand:
    topic = house.vault.unlock(request.topic)
    if request.mode == "denied":
        url, challenge = denial_url(request.callback, topic, request.reason), ""
    else:
        challenge = secrets.token_urlsafe(24)
        lease = request.lease_seconds if request.mode == "subscribe" else None
        url = verification_url(request.callback, request.mode, topic, challenge, lease)
    return Errand(request.id, Request(method="GET", url=url, headers=()), challenge)
