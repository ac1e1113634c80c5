"""Owing a publisher's subscription something again: an example, what it missed, what was given up. And its public key."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from syndicator.domain.deliveries import DeliveryState
from syndicator.domain.publishers import Scope
from syndicator.domain.subscriptions import Trial, TrialKind
from syndicator.errors import InvalidRequest
from syndicator.operations import backfill, try_out
from syndicator.operations.deliveries import REPLAYED_AT_ONCE, replay_many
from syndicator.operations.subscriptions import get_subscription, sign_with_key
from syndicator.storage.engine import reading
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import LARGEST_NUMBER, Answer, Body, Instant, Label, Moment, endpoint
from syndicator.web.api.subscriptions import mine
from syndicator.web.identity import require_publisher, the_house


class TrialShown(Answer):
    id: str = Field(description="The `webhook-id` of a webhook's example; part of the name of every other.")
    kind: TrialKind = Field(description="`send`: a test send; `login`: we log in, before one made in the portal counts.")
    asked_at: Moment
    finished_at: Moment | None = Field(description="Null while it is under way.")
    outcome: str = Field(description="accepted, deferred or refused; empty while it is under way.")
    reason: str
    done: str = Field(description="What there is now, in words: which file or post was made, which story the callback was sent.")
    status: int | None
    duration_ms: int
    answer: str = Field(description="The beginning of what the endpoint answered.")


class BackfillWanted(Body):
    """One of the two."""

    days: int | None = Field(None, ge=1, le=3650, description="Stories published in the last so many days.")
    after_seq: int | None = Field(
        None, ge=0, le=LARGEST_NUMBER, description="Stories to which something happened after this event."
    )


class ReplayWanted(Body):
    state: DeliveryState = Field(DeliveryState.GIVEN_UP, strict=False, description="How they ended.")
    subscription: Label | None = Field(None, description="Only those of this subscription.")
    since: Instant | None = Field(None, strict=False, description="Only those that ended since then.")


class OwedAgain(Answer):
    owed: int = Field(description=f"How many deliveries are owed now, {REPLAYED_AT_ONCE} at most.")


class PublicKey(Answer):
    public_key: str = Field(description="Verifies `v1a` signatures (Ed25519), as Standard Webhooks writes it: `whpk_…`.")


@api.post("/subscriptions/<public_id>/test")
@endpoint(202)
def test_subscription(public_id: str) -> TrialShown:
    """Have a test sent, once and within seconds, as stories are sent; `GET …/test/ID` says what came of it.

    A webhook gets a message of the type `test`, a mailbox an example. SFTP: an example is written into the folder and stays,
    EXAMPLE in its name and its status `canceled`. WordPress: an example is made as a draft and put into the trash. A WebSub
    callback gets the feed with the newest story that it had before, or with none. At most 20 times an hour, also while it is
    paused.
    """
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        return _shown(try_out.ask_for_trial(session, mine(session, public_id), actor=asker.actor, at=house.clock()))


@api.get("/subscriptions/<public_id>/test/<trial>")
@endpoint()
def test_result(public_id: str, trial: str) -> TrialShown:
    """Say what came of an example."""
    with reading(the_house().sessions) as session:
        return _shown(try_out.get_trial(session, mine(session, public_id), trial))


@api.post("/subscriptions/<public_id>/backfill")
@endpoint(202)
def backfill_subscription(public_id: str, order: BackfillWanted) -> OwedAgain:
    """Owe the subscription the newest version of stories of its feed that it has not had."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    if (order.days is None) == (order.after_seq is None):
        raise InvalidRequest("say either days or after_seq", "days")
    since = house.clock() - timedelta(days=order.days) if order.days is not None else None
    with house.sessions.begin() as session:
        found = mine(session, public_id)
        count = backfill.backfill(session, found, actor=asker.actor, at=house.clock(), since=since, after_seq=order.after_seq)
    return OwedAgain(owed=count)


@api.post("/subscriptions/<public_id>/sign-with-key")
@endpoint()
def sign_subscription(public_id: str) -> PublicKey:
    """Sign webhooks with a fresh Ed25519 key too, beside the secret."""
    (asker, _), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        return PublicKey(public_key=sign_with_key(session, house, mine(session, public_id), actor=asker.actor, at=house.clock()))


@api.post("/deliveries/replay")
@endpoint(202)
def replay_deliveries(order: ReplayWanted) -> OwedAgain:
    """Owe again, with the same ids, what was given up or ended otherwise; older versions of a story are left out."""
    (asker, publisher), house = require_publisher(Scope.SUBSCRIBE), the_house()
    with house.sessions.begin() as session:
        only = get_subscription(session, order.subscription, publisher.id).id if order.subscription else None
        count = replay_many(
            session, publisher.id, actor=asker.actor, at=house.clock(), subscription_id=only, state=order.state, since=order.since
        )
    return OwedAgain(owed=count)


def _shown(trial: Trial) -> TrialShown:
    facts = {name: getattr(trial, name) for name in TrialShown.model_fields if name != "id"}
    return TrialShown(id=trial.public_id, **facts)
