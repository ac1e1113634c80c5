"""Subscriptions: a feed's events to an endpoint of the publisher, by any channel. Made, tried, paused, resumed, ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from syndicator.access import decide_feed
from syndicator.domain.accounts import MemberRole
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.errors import AddressRefused, Conflict, InvalidRequest, NotFound
from syndicator.operations import backfill, deliveries, subscriptions, try_out
from syndicator.storage.engine import reading
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house, the_outbound
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.channels import FORMS, ChannelForm
from syndicator.web.portal.own import own, own_viewer, standing

RECENT = 10
SPANS = {"1": "the last day", "7": "the last week", "30": "the last month"}


@portal.get("/subscriptions")
@member_required()
def subscriptions_page() -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        found = subscriptions.subscriptions_of(session, mine().publisher_id)
        decision = standing(session)
    ended = [each for each in found if each.state.value == "ended"]
    return render_template(
        "portal/subscriptions.html",
        live=[each for each in found if each not in ended],
        ended=ended[:RECENT],
        decision=decision,
        channels=FORMS,
    )


@portal.get("/subscriptions/new/<channel>")
@member_required(MemberRole.TECHNICIAN)
def new_subscription_page(channel: str) -> ResponseReturnValue:
    return _form_page(_form(channel), 200)


@portal.post("/subscriptions/new/<channel>")
@member_required(MemberRole.TECHNICIAN, lately=True)
def create_subscription(channel: str) -> ResponseReturnValue:
    """Make a subscription; a secret that signs its deliveries is shown this once."""
    form, house = _form(channel), the_house()
    try:
        with house.sessions.begin() as session:
            made, secret = subscriptions.subscribe(
                session,
                house,
                the_outbound(),
                own(session),
                feed=form.feed.data or "",
                channel=form.kind,
                endpoint=form.endpoint.data or "",
                options=form.options(),
                credential=form.secret(),
                actor=actor(),
                at=house.clock(),
            )
            if made.channel.logs_in:
                try_out.hold_until_login(session, made, actor=actor(), at=house.clock())
    except (InvalidRequest, AddressRefused, NotFound) as error:
        form.blame(_at_its_field(error))
        return _form_page(form, 422)
    return render_template("portal/secret.html", subscription=made, secret=secret, made=True), 201


@portal.get("/subscriptions/<subscription_id>")
@member_required()
def subscription_page(subscription_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        found = _own(session, subscription_id)
        recent = deliveries.deliveries_of(session, mine().publisher_id, before_id=2**62, limit=RECENT, subscription_id=found.id)
        trials = try_out.trials_of(session, found, limit=3)
    return render_template(
        "portal/subscription.html",
        subscription=found,
        deliveries=recent,
        trials=trials,
        spans=SPANS,
        will_do=try_out.WILL_DO[found.channel],
        told_of=try_out.told_of,
    )


@portal.post("/subscriptions/<subscription_id>/test")
@member_required(MemberRole.TECHNICIAN)
def try_subscription(subscription_id: str) -> ResponseReturnValue:
    """Have a test sent to the endpoint; what came of it stands on the page within seconds."""

    def ask(session: Session, found: Subscription) -> str:
        try_out.ask_for_trial(session, found, actor=actor(), at=the_house().clock())
        return "A test is on its way; the page shows what came of it."

    return _do(subscription_id, ask)


@portal.post("/subscriptions/<subscription_id>/backfill")
@member_required(MemberRole.TECHNICIAN)
def backfill_subscription(subscription_id: str) -> ResponseReturnValue:
    """Have older stories sent."""

    def fill(session: Session, found: Subscription) -> str:
        days, at = request.form.get("days", ""), the_house().clock()
        if days not in SPANS:
            raise InvalidRequest("Choose how far back.", "days")
        count = backfill.backfill(session, found, actor=actor(), at=at, since=at - timedelta(days=int(days)))
        return f"{count} older stories are on their way, behind what is new."

    return _do(subscription_id, fill)


@portal.post("/subscriptions/<subscription_id>/pause")
@member_required(MemberRole.TECHNICIAN)
def pause_subscription(subscription_id: str) -> ResponseReturnValue:
    def pause(session: Session, found: Subscription) -> str:
        subscriptions.pause(session, found, reason=f"paused by {actor()}", actor=actor(), at=the_house().clock())
        return "It is paused. What it is owed by now is kept."

    return _do(subscription_id, pause)


@portal.post("/subscriptions/<subscription_id>/resume")
@member_required(MemberRole.TECHNICIAN)
def resume_subscription(subscription_id: str) -> ResponseReturnValue:
    def resume(session: Session, found: Subscription) -> str:
        if found.channel.logs_in and found.state is SubscriptionState.PAUSED:
            try_out.hold_until_login(session, found, actor=actor(), at=the_house().clock())
            return "We log in there within seconds; if that works, it is active again."
        subscriptions.resume(session, found, actor=actor(), at=the_house().clock())
        return "It is active again, beginning with what it was owed."

    return _do(subscription_id, resume)


@portal.post("/subscriptions/<subscription_id>/rotate-secret")
@member_required(MemberRole.TECHNICIAN, lately=True)
def rotate_secret(subscription_id: str) -> ResponseReturnValue:
    """Give it a new secret, shown this once; the old one signs beside it for a day."""
    house = the_house()
    with house.sessions.begin() as session:
        found = _own(session, subscription_id)
        secret = subscriptions.rotate_secret(session, house, found, actor=actor(), at=house.clock())
    return render_template("portal/secret.html", subscription=found, secret=secret, made=False), 201


@portal.get("/subscriptions/<subscription_id>/remove")
@member_required(MemberRole.TECHNICIAN)
def remove_subscription_page(subscription_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        found = _own(session, subscription_id)
    return render_template(
        "confirm.html",
        title="Remove the subscription",
        words=[
            f"Nothing more of “{found.feed}” is sent to {found.endpoint}. What it is still owed is cancelled.",
            "Stories that you have stay under the terms: you will not be told by this way of their corrections and kills.",
        ],
        button="Remove it",
        back=url_for("portal.subscription_page", subscription_id=subscription_id),
    )


@portal.post("/subscriptions/<subscription_id>/remove")
@member_required(MemberRole.TECHNICIAN, lately=True)
def remove_subscription(subscription_id: str) -> ResponseReturnValue:
    def remove(session: Session, found: Subscription) -> str:
        subscriptions.end(session, found, reason=f"removed by {actor()}", actor=actor(), at=the_house().clock())
        return "The subscription is removed."

    return _do(subscription_id, remove)


def _own(session: Session, subscription_id: str) -> Subscription:
    return subscriptions.get_subscription(session, subscription_id, mine().publisher_id)


def _do(subscription_id: str, change: Callable[[Session, Subscription], str]) -> ResponseReturnValue:
    """Make one change in a transaction and say what was done, or why not."""
    try:
        with the_house().sessions.begin() as session:
            words = change(session, _own(session, subscription_id))
        flash(words, "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("portal.subscription_page", subscription_id=subscription_id), 303)


def _at_its_field(error: InvalidRequest | AddressRefused | NotFound) -> InvalidRequest:
    field = error.field if isinstance(error, InvalidRequest) else None
    return InvalidRequest(str(error), (field or "endpoint").removeprefix("options."))


def _form(channel: str) -> ChannelForm:
    """Return the form of the channel, filled from the request; its feeds are those the publisher may have now."""
    if channel not in set(ChannelKind) or ChannelKind(channel) not in FORMS:
        raise NotFound(f"there are no subscriptions by {channel!r} made here")
    form, house = FORMS[ChannelKind(channel)](), the_house()
    with reading(house.sessions) as session:
        viewer = own_viewer(session)
    at = house.clock()
    form.feed.choices = {feed.name: feed.title for feed in house.catalogue if decide_feed(viewer, feed, at).granted}
    if request.method == "GET":
        form.feed.data = request.args.get("feed")
    return form


def _form_page(form: ChannelForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        decision = standing(session)
    return render_template("portal/subscription_new.html", form=form, decision=decision), status
