"""Ending an e-mail subscription without an account: by either address in every letter, or because letters come back.

The address carries the subscription's id under our seal, so it needs no row of its own and works as long as the letter is kept.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.policy import default

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState, Told
from syndicator.errors import InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations.endpoints import tell_owner
from syndicator.operations.subscriptions import end

log = logging.getLogger(__name__)
PATH = "/u/"
_WISH = re.compile(r"unsubscribe-(sub_[0-9a-z]+\.[0-9a-z]+)")
_OURS = re.compile(r"<?(?:dlv|dgt)_([0-9a-z]{16})_[0-9]+@")


@dataclass(frozen=True, slots=True)
class Bounce:
    """A letter that came back, or was complained of. `lasting`: nothing will ever arrive there."""

    lasting: bool
    detail: str
    email: str = ""
    message_id: str = ""


def unsubscribe_url(house: House, public_id: str) -> str:
    """Return the address that ends the subscription `public_id`; the same in all of its letters."""
    return f"{house.config.site.base_url}{PATH}{public_id}.{house.vault.seal(_words(public_id))}"


def find_by_token(session: Session, house: House, token: str) -> Subscription:
    """Return the e-mail subscription that an unsubscribe address stands for. Raises NotFound for any other."""
    public_id, _, seal = token.partition(".")
    wanted = select(Subscription).where(Subscription.public_id == public_id, Subscription.channel == ChannelKind.EMAIL)
    found = session.scalars(wanted).one_or_none() if house.vault.sealed(_words(public_id), seal) else None
    if found is None:
        raise NotFound("this address belongs to no subscription")
    return found


def unsubscribe(session: Session, house: House, token: str, *, at: datetime) -> Subscription:
    """End the subscription that `token` stands for; doing so again changes nothing. Raises NotFound."""
    subscription = find_by_token(session, house, token)
    if subscription.state is not SubscriptionState.ENDED:
        end(session, subscription, reason="unsubscribed by the reader", actor=f"reader:{subscription.public_id}", at=at)
    return subscription


def take_bounce(session: Session, house: House, bounce: Bounce, *, actor: str, at: datetime) -> Sequence[Subscription]:
    """Note a bounce: a lasting one ends the subscriptions to that address, and their owners are told; another is a failure.
    Returns those concerned."""
    wanted = select(Subscription).where(Subscription.channel == ChannelKind.EMAIL, Subscription.state != SubscriptionState.ENDED)
    if ours := _OURS.match(bounce.message_id):
        wanted = wanted.where(Subscription.public_id == f"sub_{ours[1]}")
    elif bounce.email:
        wanted = wanted.where(func.lower(Subscription.endpoint) == bounce.email.lower())
    else:
        raise InvalidRequest("name the address, or the Message-ID of the letter that came back", "email")
    concerned = session.scalars(wanted.order_by(Subscription.id).limit(100)).all()
    for subscription in concerned:
        if bounce.lasting:
            reason = f"letters come back: {bounce.detail}"[:200]
            end(session, subscription, reason=reason, actor=actor, at=at)
            tell_owner(session, house, subscription, Told.ENDED, reason, at=at)
        else:
            subscription.failing_since = subscription.failing_since or at
    log.info("bounce lasting=%s subscriptions=%s", bounce.lasting, len(concerned))
    return concerned


def read_wish(raw: bytes) -> str:
    """Return the token in the subject of a letter to the address in List-Unsubscribe, or "" where the letter is none such."""
    found = _WISH.search("".join(str(message_from_bytes(raw, policy=default)["Subject"] or "").split()))
    return found[1] if found else ""


def read_report(raw: bytes) -> Bounce:
    """Read a delivery status notification (RFC 3464) or a complaint (RFC 5965) as the mail system got it.

    A status of class 5 or a complaint is lasting. Raises InvalidRequest for any other message.
    """
    message = message_from_bytes(raw)
    parts = list(message.walk())
    original = next((part for part in parts if part is not message and part["Message-ID"]), None)
    letter = str(original["Message-ID"]).strip() if original is not None else ""
    for part in parts:
        if part.get_content_type() == "message/delivery-status":
            fields = _fields(part)
            status = fields.get("status", "")
            email = fields.get("final-recipient", "").rpartition(";")[2].strip()
            lasting = status.startswith("5") and fields.get("action", "failed").lower() == "failed"
            return Bounce(lasting=lasting, detail=f"status {status[:20]}", email=email, message_id=letter)
        if part.get_content_type() == "message/feedback-report":
            return Bounce(lasting=True, detail="complaint", message_id=letter)
    raise InvalidRequest("this message is neither a delivery status notification nor a complaint")


def _fields(part: Message) -> dict[str, str]:
    """The fields of a delivery status, which the parser reads as one message for each group of lines."""
    groups = part.get_payload()
    listed = groups if isinstance(groups, list) else []
    return {name.lower(): str(value).strip() for group in listed if isinstance(group, Message) for name, value in group.items()}


def _words(public_id: str) -> str:
    return f"unsubscribe {public_id}"
