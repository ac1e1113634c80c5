"""Commands that owe something again, try an endpoint out, or say what became of a story."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from syndicator.cli.desk import Desk, say
from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.errors import NotFound
from syndicator.operations import deliveries as looking
from syndicator.operations.acknowledge import pending_acknowledgements
from syndicator.operations.backfill import backfill as owe_backfill
from syndicator.operations.explain import explain, story_meant
from syndicator.operations.publishers import get_publisher
from syndicator.operations.subscriptions import get_subscription
from syndicator.operations.try_out import WILL_DO, ask_for_trial, told_of


def register(subscriptions: typer.Typer, deliveries: typer.Typer) -> None:
    subscriptions.command("test")(test)
    subscriptions.command("backfill")(backfill)
    deliveries.command("replay")(replay)
    deliveries.command("why")(why)
    deliveries.command("acknowledgements")(acknowledgements)


def test(context: typer.Context, subscription_id: str) -> int:
    """Send a test as stories are sent: an example by e-mail, SFTP or WordPress at once; to a webhook or WebSub callback it goes
    within seconds (or by `delivery drain`), and `subscription show` says what came of it."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        found = get_subscription(session, subscription_id)
    record: dict[str, object] = {"to": found.endpoint, "does": WILL_DO[found.channel]}
    if found.channel.converses:
        trial = TrialTalks(desk.house, desk.outbound).hold_now(subscription_id, actor=desk.actor)
        desk.show(record | {"test": trial.public_id, "outcome": trial.outcome, "told": told_of(trial)})
        return 0 if trial.outcome == "accepted" else 1
    with desk.house.sessions.begin() as session:
        trial = ask_for_trial(session, get_subscription(session, subscription_id), actor=desk.actor, at=desk.house.clock())
    desk.show(record | {"test": trial.public_id, "outcome": "on its way"})
    return 0


def backfill(
    context: typer.Context,
    subscription_id: str,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Stories published in the last so many days.")] = None,
    after_seq: Annotated[int | None, typer.Option(min=0, help="Stories to which something happened after this event.")] = None,
) -> None:
    """Owe a subscription the newest version of stories that it has not had."""
    desk: Desk = context.obj
    at = desk.house.clock()
    if (days is None) == (after_seq is None):
        raise typer.BadParameter("say either --days or --after-seq")
    since = at - timedelta(days=days) if days is not None else None
    with desk.house.sessions.begin() as session:
        found = get_subscription(session, subscription_id)
        count = owe_backfill(session, found, actor=desk.actor, at=at, since=since, after_seq=after_seq)
    desk.tell(f"{count} stories are owed to {subscription_id}", {"subscription": subscription_id, "owed": count})


def replay(
    context: typer.Context,
    delivery_id: Annotated[str | None, typer.Argument()] = None,
    given_up: Annotated[bool, typer.Option("--given-up", help="All that were given up.")] = False,
    delivered: Annotated[bool, typer.Option("--delivered", help="All that were delivered.")] = False,
    subscription: Annotated[str | None, typer.Option(help="Only those of this subscription.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Only those of the last so many days.")] = None,
) -> None:
    """Send a settled delivery again, or many, with the same ids."""
    desk: Desk = context.obj
    at = desk.house.clock()
    if (delivery_id is not None) + given_up + delivered != 1:
        raise typer.BadParameter("say one of DELIVERY_ID, --given-up and --delivered")
    with desk.house.sessions.begin() as session:
        if delivery_id is not None:
            looking.replay(session, looking.get_delivery(session, delivery_id), actor=desk.actor, at=at)
            desk.tell(f"{delivery_id} is owed again", {"owed": 1})
            return
        only = get_subscription(session, subscription).id if subscription else None
        count = looking.replay_many(
            session,
            None,
            actor=desk.actor,
            at=at,
            subscription_id=only,
            state=DeliveryState.GIVEN_UP if given_up else DeliveryState.DELIVERED,
            since=at - timedelta(days=days) if days is not None else None,
        )
    desk.tell(f"{count} deliveries are owed again", {"owed": count})


def why(
    context: typer.Context,
    story: str,
    subscription: Annotated[str | None, typer.Option(help="Subscription id.")] = None,
    publisher: Annotated[str | None, typer.Option(help="Id, domain, e-mail address or name.")] = None,
) -> None:
    """Say what became of STORY on its way to a subscription, or to each of a publisher's."""
    desk: Desk = context.obj
    if (subscription is None) == (publisher is None):
        raise typer.BadParameter("say either --subscription or --publisher")
    with desk.house.sessions() as session:
        only = get_subscription(session, subscription) if subscription is not None else None
        owner = only.publisher if only is not None else get_publisher(session, publisher or "")
        if owner is None:
            raise NotFound("nobody has signed for this subscription; `delivery list` shows what it was sent")
        found = explain(session, desk.house, owner, story_meant(session, story), at=desk.house.clock())
        say(f"{owner.name} may have it now: {found.decision.reason.value}")
        for way in found.ways:
            if only is None or way.subscription.id == only.id:
                say(f"{way.subscription.public_id} to {way.subscription.feed} by {way.subscription.channel.value}: {way.words}")
        for delivery in reversed(found.deliveries):
            if only is None or delivery.subscription_id == only.id:
                say(_fate(delivery))


def acknowledgements(
    context: typer.Context,
    publisher: Annotated[str | None, typer.Option(help="Only of this one: id, domain, e-mail address or name.")] = None,
) -> None:
    """Show who has not acknowledged a correction, kill or takedown, the longest waiting first, and whom to call."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        only = get_publisher(session, publisher).id if publisher is not None else None
        records: list[dict[str, object]] = [
            {
                "publisher": asked.publisher.name,
                "id": asked.publisher.public_id,
                "type": asked.event.type.value,
                "story": asked.event.story.public_id,
                "seq": asked.event_seq,
                "asked": asked.asked_at,
                "reminders": asked.reminders,
                "call": asked.publisher.urgent_contact or asked.publisher.urgent_email or asked.publisher.email,
            }
            for asked in pending_acknowledgements(session, only)
        ]
    desk.list(records, empty="everybody has acknowledged what they were asked to")


def _fate(delivery: Delivery) -> str:
    """Say in one line what was owed and what became of it."""
    what = f"{delivery.event.type.value}, version {delivery.version_number}, owed {_told(delivery.created_at)}"
    line = f"  {what}: {delivery.state.value}"
    if delivery.settled_at is not None:
        line += f" {_told(delivery.settled_at)}"
    elif delivery.next_attempt_at is not None:
        line += f", tried next {_told(delivery.next_attempt_at)}"
    reason = f" ({delivery.last_reason})" if delivery.last_reason else ""
    return f"{line}, {delivery.attempt_count} attempts{reason}"


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
