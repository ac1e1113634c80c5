"""Endpoints that fail: paused after days of it, and their owners told, each thing once until the endpoint has recovered."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from syndicator.channels.answers import in_words
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Told
from syndicator.house import House
from syndicator.operations.letters import write_letter
from syndicator.operations.subscriptions import park_owed
from syndicator.storage.queries import last_value

log = logging.getLogger(__name__)
ORDER = list(Told)
LETTERS = {
    Told.NOTHING: "endpoint-works",
    Told.FAILING: "endpoint-failing",
    Told.GIVEN_UP: "delivery-given-up",
    Told.PAUSED: "subscription-paused",
    Told.ENDED: "subscription-ended",
}


def pause_failing(session: Session, subscription: Subscription, reason: str) -> None:
    """Pause a subscription that fails for too long, or until somebody has looked. What it is owed is kept for its return."""
    subscription.state = SubscriptionState.PAUSED
    subscription.state_reason = reason
    subscription.paused_after_seq = last_value(session, "events")
    session.flush()
    park_owed(session, subscription.id)


def tell_owner(session: Session, house: House, subscription: Subscription, what: Told, reason: str, *, at: datetime) -> None:
    """Write to the owner, unless it was told this or worse since its endpoint last worked; NOTHING says that it works again."""
    if subscription.channel is ChannelKind.WEBSUB or subscription.publisher is None:
        return
    if what is not Told.NOTHING and ORDER.index(what) <= ORDER.index(subscription.told):
        return
    subscription.told = what
    publisher = subscription.publisher
    write_letter(
        session,
        house,
        LETTERS[what],
        to=publisher.email,
        at=at,
        publisher=publisher,
        about=subscription.public_id,
        subscription=subscription.public_id,
        feed=subscription.feed,
        endpoint=subscription.endpoint,
        since=subscription.failing_since,
        reason=in_words(reason),
        address=f"{house.config.site.base_url}/portal/subscriptions/{subscription.public_id}",
    )
    log.warning("owner told subscription=%s what=%s reason=%s", subscription.public_id, what.value, reason)
