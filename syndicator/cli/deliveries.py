"""Commands about subscriptions and deliveries."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from syndicator.carriers import open_carrier
from syndicator.channels.email import Email
from syndicator.channels.options import read_options
from syndicator.cli import redelivery
from syndicator.cli.desk import Desk, say
from syndicator.delivery.digests import Digests
from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.feeds import FORMATS
from syndicator.domain.subscriptions import ChannelKind, Subscription
from syndicator.errors import InvalidRequest
from syndicator.operations import audit
from syndicator.operations import deliveries as looking
from syndicator.operations import subscriptions as subscribing
from syndicator.operations.hub import ask_callback
from syndicator.operations.publishers import get_publisher
from syndicator.operations.try_login import try_login
from syndicator.operations.try_out import told_of, trials_of
from syndicator.sending import create_engine


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Subscriptions: a feed's events to an endpoint.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_subscriptions)
    group.command("show")(show_subscription)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("rotate-secret")(rotate_secret)
    group.command("sign-with-key")(sign_with_key)
    group.command("set-credential")(set_credential)
    group.command("remove")(remove)
    app.add_typer(group, name="subscription")
    deliveries = typer.Typer(help="What is owed, sent and given up.", no_args_is_help=True)
    deliveries.command("list")(list_deliveries)
    deliveries.command("show")(show_delivery)
    deliveries.command("drain")(drain)
    redelivery.register(group, deliveries)
    app.add_typer(deliveries, name="delivery")


def add(
    context: typer.Context,
    publisher: Annotated[str, typer.Option(help="Id, domain, e-mail address or name.")],
    feed: Annotated[str, typer.Option()],
    channel: Annotated[ChannelKind, typer.Option()],
    to: Annotated[str, typer.Option(help="The endpoint's address.")],
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; may be given several times.")] = None,
    credential: Annotated[
        typer.FileText | None, typer.Option(help="File with the password or private key for SFTP and WordPress; - reads it.")
    ] = None,
    untried: Annotated[bool, typer.Option("--untried", help="Do not log in there first.")] = False,
) -> None:
    """Owe a feed's events to an endpoint from now on. The signing secret is shown this once."""
    desk: Desk = context.obj
    house = desk.house
    if channel is ChannelKind.WEBSUB:
        _ask_callback(desk, publisher, feed, to, _read_options(option or []))
        return
    options, secret_there = _read_options(option or []), credential.read().strip("\r\n") if credential else ""
    if channel.logs_in and not untried:
        chosen = read_options(channel, options)
        if trouble := try_login(desk.outbound, channel, to, chosen, secret_there, house.clock()):
            raise InvalidRequest(f"{trouble} (--untried adds it all the same)", "credential")
    with house.sessions.begin() as session:
        subscription, secret = subscribing.subscribe(
            session,
            house,
            desk.outbound,
            get_publisher(session, publisher),
            feed=feed,
            channel=channel,
            endpoint=to,
            options=options,
            credential=secret_there,
            actor=desk.actor,
            at=house.clock(),
        )
    desk.show(_subscription(subscription) | ({"secret": secret} if secret else {}))


def _ask_callback(desk: Desk, publisher: str, feed: str, callback: str, options: dict[str, Any]) -> None:
    """WebSub subscriptions are the callback's to confirm (5.3), so this asks it as the hub would, within seconds."""
    form = str(options.pop("format", "atom"))
    if options or form not in FORMATS:
        raise InvalidRequest(f"websub takes format, one of {', '.join(FORMATS)}", "option")
    house = desk.house
    with house.sessions.begin() as session:
        owner = get_publisher(session, publisher)
        asked, secret = ask_callback(
            session, house, desk.outbound, owner, feed=feed, callback=callback, form=form, at=house.clock()
        )
        audit.record(session, desk.actor, "subscription.ask", owner.public_id, at=house.clock(), feed=feed, channel="websub")
    record = {"feed": feed, "channel": "websub", "endpoint": asked.callback, "state": "asked to confirm", "secret": secret}
    desk.show(record | {"lease_seconds": asked.lease_seconds})


def list_subscriptions(context: typer.Context) -> None:
    """Show every subscription, newest first."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [_subscription(subscription) for subscription in subscribing.subscriptions_of(session, None)]
    desk.list(records, empty="there are no subscriptions yet")


def show_subscription(context: typer.Context, subscription_id: str) -> None:
    """Show one subscription."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        found = subscribing.get_subscription(session, subscription_id)
        tests = [
            f"{trial.asked_at:%Y-%m-%d %H:%M:%S}Z {trial.kind.value} {trial.outcome or 'waits'} {told_of(trial)}"
            for trial in trials_of(session, found)
        ]
        public_key = subscribing.public_key(desk.house, found)
        desk.show(_subscription(found) | {"public_key": public_key, "failures_in_row": found.failures_in_row, "tests": tests})


def pause(context: typer.Context, subscription_id: str) -> None:
    """Send nothing more until it is resumed."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = subscribing.get_subscription(session, subscription_id)
        subscribing.pause(session, found, reason="paused by the desk", actor=desk.actor, at=desk.house.clock())
    say(f"{subscription_id} is paused")


def resume(context: typer.Context, subscription_id: str) -> None:
    """Send again."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = subscribing.get_subscription(session, subscription_id)
        subscribing.resume(session, found, actor=desk.actor, at=desk.house.clock())
    say(f"{subscription_id} is active")


def rotate_secret(context: typer.Context, subscription_id: str) -> None:
    """Give it a new secret, shown this once; the old one signs beside it for a day."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = subscribing.get_subscription(session, subscription_id)
        secret = subscribing.rotate_secret(session, desk.house, found, actor=desk.actor, at=desk.house.clock())
    desk.show({"id": subscription_id, "secret": secret})


def sign_with_key(context: typer.Context, subscription_id: str) -> None:
    """Sign webhooks with an Ed25519 key too; shows the public key."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = subscribing.get_subscription(session, subscription_id)
        key = subscribing.sign_with_key(session, desk.house, found, actor=desk.actor, at=desk.house.clock())
    desk.show({"id": subscription_id, "public_key": key})


def set_credential(context: typer.Context, subscription_id: str, credential: typer.FileText) -> None:
    """Log in by another password or private key from now on, read from a file (- reads it from the terminal)."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        subscribing.revise(
            session,
            desk.house,
            desk.outbound,
            subscribing.get_subscription(session, subscription_id),
            endpoint=None,
            options=None,
            credential=credential.read().strip("\r\n"),
            actor=desk.actor,
            at=desk.house.clock(),
        )
    say(f"{subscription_id} logs in by what you gave")


def remove(context: typer.Context, subscription_id: str) -> None:
    """End it for good; what it is still owed is cancelled."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = subscribing.get_subscription(session, subscription_id)
        subscribing.end(session, found, reason="removed by the desk", actor=desk.actor, at=desk.house.clock())
    say(f"{subscription_id} has ended")


def list_deliveries(context: typer.Context, limit: Annotated[int, typer.Option(min=1, max=1000)] = 50) -> None:
    """Show the newest deliveries."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [_delivery(found) for found in looking.deliveries_of(session, None, before_id=2**62, limit=limit)]
    desk.list(records, empty="nothing has been owed to anybody yet")


def show_delivery(context: typer.Context, delivery_id: str) -> None:
    """Show one delivery and its attempts."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        found = looking.get_delivery(session, delivery_id)
        attempts = [
            f"{attempt.at:%Y-%m-%d %H:%M:%S}Z {attempt.outcome} {attempt.status or ''} {attempt.reason} {attempt.duration_ms} ms"
            for attempt in looking.attempts_of(session, found.id)
        ]
        desk.show(_delivery(found) | {"sequence": found.sequence, "tries": attempts})


def drain(context: typer.Context) -> None:
    """Send everything that is due now, then exit."""
    desk: Desk = context.obj
    with closing(create_engine(desk.house)) as engine:
        attempts = engine.drain_due()
    letters = Digests(desk.house, Email(desk.house.config, open_carrier(desk.house.config))).send_due()
    made = attempts + letters
    desk.tell(f"{made} attempts made; nothing more is due now", {"attempts": made})


def _read_options(pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequest(f"{pair!r} is not KEY=VALUE", "option")
        options[key] = value
    return options


def _subscription(subscription: Subscription) -> dict[str, object]:
    return {
        "id": subscription.public_id,
        "feed": subscription.feed,
        "channel": subscription.channel.value,
        "endpoint": subscription.endpoint,
        "state": subscription.state.value,
        "reason": subscription.state_reason,
        "last_delivered": subscription.last_delivered_at,
    }


def _delivery(delivery: Delivery) -> dict[str, object]:
    return {
        "id": delivery_uid(delivery.subscription.public_id, delivery.event_seq),
        "type": delivery.event.type.value,
        "story": delivery.event.story.public_id,
        "version": delivery.version_number,
        "state": delivery.state.value,
        "attempts": delivery.attempt_count,
        "next_attempt": delivery.next_attempt_at,
        "reason": delivery.last_reason,
    }
