"""A publisher's own subscriptions. Whoever asks for another's is told that there is none."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy.orm import Session

from syndicator.domain.publishers import Scope
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.operations import subscriptions as subscribing
from syndicator.storage.engine import reading
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Body, Moment, Prose, endpoint
from syndicator.web.identity import require_publisher, the_house, the_outbound


class NewSubscription(Body):
    feed: Prose = Field(max_length=64)
    channel: ChannelKind = Field(strict=False)
    endpoint: Prose = Field(max_length=2048, description="Where the channel delivers; a public address.")
    options: dict[str, Any] = Field({}, description="What the channel can be told.")
    credential: Prose = Field(
        "",
        max_length=16_384,
        description="SFTP: password or private key; WordPress: application password. Kept encrypted, never shown.",
    )


class SubscriptionChange(Body):
    """What is left out stays."""

    endpoint: Prose | None = Field(None, max_length=2048)
    options: dict[str, Any] | None = None
    credential: Prose | None = Field(None, max_length=16_384, description="Asked for again when the endpoint changes.")


class SubscriptionShown(Answer):
    id: str
    feed: str
    channel: ChannelKind
    endpoint: str
    options: dict[str, Any]
    state: SubscriptionState
    state_reason: str
    created_at: Moment
    failing_since: Moment | None
    last_delivered_at: Moment | None


class SubscriptionWithSecret(SubscriptionShown):
    secret: str = Field(description="Signs deliveries; shown in this answer and never again. Empty where nothing is signed.")


class Subscriptions(Answer):
    subscriptions: list[SubscriptionShown]


@api.get("/subscriptions")
@endpoint()
def subscriptions() -> Subscriptions:
    """List the publisher's subscriptions, newest first."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        return Subscriptions(subscriptions=[shown(found) for found in subscribing.subscriptions_of(session, publisher.id)])


@api.post("/subscriptions")
@endpoint(201)
def add_subscription(order: NewSubscription) -> tuple[SubscriptionWithSecret, dict[str, str]]:
    """Subscribe an endpoint to a feed."""
    (asker, publisher), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        made, secret = subscribing.subscribe(
            session, house, the_outbound(), publisher, **order_of(order), actor=asker.actor, at=house.clock()
        )
    location = f"{house.config.site.base_url}/v1/subscriptions/{made.public_id}"
    return with_secret(made, secret), {"Location": location}


@api.get("/subscriptions/<public_id>")
@endpoint()
def subscription(public_id: str) -> SubscriptionShown:
    """Show one subscription."""
    with reading(the_house().sessions) as session:
        return shown(mine(session, public_id))


@api.patch("/subscriptions/<public_id>")
@endpoint()
def revise_subscription(public_id: str, order: SubscriptionChange) -> SubscriptionShown:
    """Deliver to another endpoint from now on, or tell the channel something else. What is still owed goes there too."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        found = mine(session, public_id)
        changes = order.model_dump()
        subscribing.revise(session, house, the_outbound(), found, **changes, actor=asker.actor, at=house.clock())
        return shown(found)


@api.delete("/subscriptions/<public_id>")
@endpoint()
def remove_subscription(public_id: str) -> None:
    """End the subscription for good; what it is still owed is cancelled."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        subscribing.end(session, mine(session, public_id), reason="removed by its owner", actor=asker.actor, at=house.clock())


@api.post("/subscriptions/<public_id>/pause")
@endpoint()
def pause_subscription(public_id: str) -> SubscriptionShown:
    """Send nothing until it is resumed. What happens meanwhile is not owed, kills excepted."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        found = mine(session, public_id)
        subscribing.pause(session, found, reason="paused by its owner", actor=asker.actor, at=house.clock())
        return shown(found)


@api.post("/subscriptions/<public_id>/resume")
@endpoint()
def resume_subscription(public_id: str) -> SubscriptionShown:
    """Send again: what was owed when it was paused, and the newest version of each story that was missed meanwhile."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        found = mine(session, public_id)
        subscribing.resume(session, found, actor=asker.actor, at=house.clock())
        return shown(found)


@api.post("/subscriptions/<public_id>/rotate-secret")
@endpoint()
def rotate_subscription_secret(public_id: str) -> SubscriptionWithSecret:
    """Give a new signing secret; the old one signs beside it for a day."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        found = mine(session, public_id)
        secret = subscribing.rotate_secret(session, house, found, actor=asker.actor, at=house.clock())
        return with_secret(found, secret)


def mine(session: Session, public_id: str) -> Subscription:
    """Return the caller's own subscription. Raises NotFound."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    return subscribing.get_subscription(session, public_id, publisher.id)


def order_of(order: NewSubscription) -> dict[str, Any]:
    return {name: getattr(order, name) for name in NewSubscription.model_fields}


def shown(found: Subscription) -> SubscriptionShown:
    return SubscriptionShown(**_facts(found))


def with_secret(found: Subscription, secret: str) -> SubscriptionWithSecret:
    return SubscriptionWithSecret(**_facts(found), secret=secret)


def _facts(found: Subscription) -> dict[str, Any]:
    names = SubscriptionShown.model_fields.keys() - {"id"}
    return {"id": found.public_id} | {name: getattr(found, name) for name in names}
