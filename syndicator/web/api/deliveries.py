"""A publisher's own deliveries: what was owed, what came of each attempt, and sending one again."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from syndicator.domain.deliveries import Attempt, Delivery, DeliveryState, delivery_uid
from syndicator.domain.publishers import Scope
from syndicator.operations.deliveries import attempts_of, deliveries_of, get_delivery, last_attempts, replay
from syndicator.operations.subscriptions import get_subscription
from syndicator.storage.engine import reading
from syndicator.web.api import cursors
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Label, Moment, Query, endpoint
from syndicator.web.identity import require_publisher, the_house


class DeliveriesAsked(Query):
    subscription: Label | None = Field(None, description="Only those owed to this subscription.")
    state: DeliveryState | None = None
    story: Label | None = Field(None, description="Only those of the story with this id or uri.")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class DeliveryShown(Answer):
    id: str = Field(description="The `webhook-id` of every attempt.")
    subscription: str
    seq: int = Field(description="The event's number in `/v1/changes`.")
    sequence: int | None = Field(description="Its number among what is sent to this subscription; null until it is first sent.")
    type: str
    story: str
    version: int
    state: DeliveryState
    reason: str
    attempts_made: int
    created_at: Moment
    next_attempt_at: Moment | None
    settled_at: Moment | None


class AttemptShown(Answer):
    at: Moment
    outcome: str
    reason: str
    status: int | None
    duration_ms: int
    headers: dict[str, str] = Field(description="Of the answer; what may be secret is masked.")
    answer: str = Field(description="The beginning of what the endpoint answered.")


class DeliveryWithAttempts(DeliveryShown):
    attempts: list[AttemptShown] = Field(description="The newest fifty, newest first.")


class AttemptOfSubscription(AttemptShown):
    delivery: str = Field(description="The `webhook-id`.")
    type: str
    story: str


class LastAttempts(Answer):
    attempts: list[AttemptOfSubscription]


class Deliveries(Answer):
    deliveries: list[DeliveryShown]
    next_cursor: str | None


@api.get("/deliveries")
@endpoint()
def deliveries(asked: DeliveriesAsked) -> Deliveries:
    """List the publisher's deliveries, newest first."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    before = cursors.read_number(asked.cursor, cursors.LARGEST_BIG) if asked.cursor else cursors.LARGEST_BIG
    with reading(the_house().sessions) as session:
        only = get_subscription(session, asked.subscription, publisher.id).id if asked.subscription else None
        found = deliveries_of(
            session,
            publisher.id,
            before_id=before,
            limit=asked.limit,
            subscription_id=only,
            state=asked.state,
            story=asked.story,
        )
        return Deliveries(
            deliveries=[DeliveryShown(**_facts(delivery)) for delivery in found],
            next_cursor=cursors.write_number(found[-1].id) if len(found) == asked.limit else None,
        )


@api.get("/deliveries/<uid>")
@endpoint()
def delivery(uid: str) -> DeliveryWithAttempts:
    """Show one delivery with its attempts."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        found = get_delivery(session, uid, publisher.id)
        attempts = [AttemptShown(**_came_of(attempt)) for attempt in attempts_of(session, found.id)]
        return DeliveryWithAttempts(**_facts(found), attempts=attempts)


@api.get("/subscriptions/<public_id>/attempts")
@endpoint()
def attempts(public_id: str) -> LastAttempts:
    """Show what the endpoint answered lately: the last fifty attempts, newest first."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        found = last_attempts(session, get_subscription(session, public_id, publisher.id))
        return LastAttempts(
            attempts=[
                AttemptOfSubscription(
                    **_came_of(attempt),
                    delivery=delivery_uid(delivery.subscription.public_id, delivery.event_seq),
                    type=f"story.{delivery.event.type.value}",
                    story=delivery.event.story.uri,
                )
                for attempt, delivery in found
            ]
        )


@api.post("/deliveries/<uid>/replay")
@endpoint(202)
def replay_delivery(uid: str) -> DeliveryShown:
    """Owe a settled delivery again, with the same id."""
    (asker, publisher), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        found = get_delivery(session, uid, publisher.id)
        replay(session, found, actor=asker.actor, at=house.clock())
        return DeliveryShown(**_facts(found))


def _came_of(attempt: Attempt) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in AttemptShown.model_fields}


def _facts(found: Delivery) -> dict[str, object]:
    return {
        "id": delivery_uid(found.subscription.public_id, found.event_seq),
        "subscription": found.subscription.public_id,
        "seq": found.event_seq,
        "sequence": found.sequence,
        "type": f"story.{found.event.type.value}",
        "story": found.event.story.uri,
        "version": found.version_number,
        "state": found.state,
        "reason": found.last_reason,
        "attempts_made": found.attempt_count,
        "created_at": found.created_at,
        "next_attempt_at": found.next_attempt_at,
        "settled_at": found.settled_at,
    }
