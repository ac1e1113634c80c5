"""The partners' API under /v1: stories, changes, subscriptions and deliveries, for whoever the gate lets have them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from syndicator.access import Purpose, decide, decide_viewer
from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.publishers import Scope
from syndicator.domain.stories import Event
from syndicator.domain.subscriptions import ChannelKind, Subscription
from syndicator.errors import AccessDenied, InvalidRequest, StoryNotFound
from syndicator.operations import subscriptions as subscribing
from syndicator.operations.deliveries import attempts_of, deliveries_of, get_delivery, replay
from syndicator.operations.entries import entry_of
from syndicator.reasons import Reason
from syndicator.render.entry import Entry, Terms
from syndicator.render.html import render_html
from syndicator.render.jsonld import render_jsonld
from syndicator.render.newsml import render_newsml
from syndicator.render.ninjs import render_ninjs
from syndicator.render.text import render_text
from syndicator.storage.engine import reading
from syndicator.storage.queries import changes_after, find_story, get_version, last_value, released_stories
from syndicator.web.bodies import json_object
from syndicator.web.identity import caller, require, require_publisher, the_house, the_outbound

api = Blueprint("api", __name__, url_prefix="/v1")

RENDERERS: dict[str, tuple[str, Callable[[Entry, Terms], Any]]] = {
    "ninjs": ("application/json", render_ninjs),
    "jsonld": ("application/ld+json", render_jsonld),
    "html": ("text/html; charset=utf-8", render_html),
    "text": ("text/plain; charset=utf-8", render_text),
    "newsml": ("application/vnd.iptc.g2.newsitem+xml", render_newsml),
}


@api.after_request
def _private(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@api.get("/me")
def me() -> ResponseReturnValue:
    """Say who the key's holder is, and whether it may take stories now, and why not."""
    asker = caller()
    if asker.key is None:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED)
    decision = decide_viewer(asker.viewer, the_house().clock())
    publisher = asker.publisher
    return jsonify(
        publisher=publisher and {"id": publisher.public_id, "name": publisher.name, "state": publisher.state.value},
        approved_until=publisher and publisher.approved_until and rfc3339(publisher.approved_until),
        eligible=decision.granted,
        reason=decision.reason.value,
        words=decision.reason.words,
        scopes=asker.key.scopes,
        license={"url": the_house().config.license_url, "version": the_house().config.license.version},
    )


@api.get("/feeds")
def feeds() -> ResponseReturnValue:
    """List the feeds."""
    base = the_house().config.site.base_url
    return jsonify(
        feeds=[
            {
                "name": feed.name,
                "title": feed.title,
                "description": feed.description,
                "access": feed.access,
                "content": feed.content,
                "urls": {fmt: f"{base}/feeds/{feed.name}.{fmt}" for fmt in ("rss", "atom", "json")},
            }
            for feed in the_house().catalogue
        ]
    )


@api.get("/stories")
def stories() -> ResponseReturnValue:
    """List stories that may be taken now, newest first; `cursor` goes on where the last page ended."""
    house, asker, at = the_house(), require(Scope.READ), the_house().clock()
    decide_viewer(asker.viewer, at).require()
    limit = whole_number("limit", 20, 1, 100)
    with reading(house.sessions) as session:
        found = released_stories(
            session, at=at, section=request.args.get("section"), before=read_cursor(request.args.get("cursor")), limit=limit
        )
    items = [render_ninjs(entry_of(story, story.current, house.terms), house.terms) for story in found]
    more = write_cursor(found[-1].published_at, found[-1].id) if len(found) == limit else None
    return jsonify(stories=items, next_cursor=more)


@api.get("/stories/<public_id>")
def story(public_id: str) -> ResponseReturnValue:
    """Answer one story in the format asked for."""
    return _render(public_id, None)


@api.get("/stories/<public_id>/versions/<int:number>")
def story_version(public_id: str, number: int) -> ResponseReturnValue:
    """Answer an earlier version, while the story may be had at all."""
    return _render(public_id, number)


@api.get("/changes")
def changes() -> ResponseReturnValue:
    """Tell what happened after `after`, in order; `last_seq` is where to go on."""
    house, asker, at = the_house(), require(Scope.READ), the_house().clock()
    decide_viewer(asker.viewer, at).require()
    after, limit = whole_number("after", 0, 0, 2**62), whole_number("limit", 100, 1, 1000)
    trusted = asker.viewer.embargo_trusted or asker.viewer.newsroom
    with reading(house.sessions) as session:
        newest = last_value(session, "events")
        events = changes_after(session, after, limit=limit, embargo_trusted=trusted, at=at)
    last = events[-1].seq if len(events) == limit else max(newest, after)
    return jsonify(changes=[change_of(event, house.config.site.base_url) for event in events], last_seq=last)


@api.get("/subscriptions")
def subscriptions() -> ResponseReturnValue:
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        found = subscribing.subscriptions_of(session, publisher.id)
    return jsonify(subscriptions=[subscription_json(subscription) for subscription in found])


@api.post("/subscriptions")
def add_subscription() -> ResponseReturnValue:
    """Subscribe an endpoint to a feed; the signing secret is in this answer and never shown again."""
    asker, publisher = require_publisher(Scope.SUBSCRIBE)
    order = json_object({"feed": str, "channel": str, "endpoint": str, "options": dict}, optional=("options",))
    if order["channel"] not in set(ChannelKind):
        raise InvalidRequest(f"there is no channel {order['channel']!r}", "channel")
    house = the_house()
    with house.sessions.begin() as session:
        subscription, secret = subscribing.subscribe(
            session,
            house,
            the_outbound(),
            publisher,
            feed=order["feed"],
            channel=ChannelKind(order["channel"]),
            endpoint=order["endpoint"],
            options=order.get("options"),
            actor=asker.actor,
            at=house.clock(),
        )
    location = f"{house.config.site.base_url}/v1/subscriptions/{subscription.public_id}"
    return jsonify(subscription_json(subscription) | {"secret": secret}), 201, {"Location": location}


@api.get("/subscriptions/<public_id>")
def subscription(public_id: str) -> ResponseReturnValue:
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        return jsonify(subscription_json(subscribing.get_subscription(session, public_id, publisher.id)))


@api.delete("/subscriptions/<public_id>")
def remove_subscription(public_id: str) -> ResponseReturnValue:
    asker, publisher = require_publisher(Scope.SUBSCRIBE)
    house = the_house()
    with house.sessions.begin() as session:
        found = subscribing.get_subscription(session, public_id, publisher.id)
        subscribing.end(session, found, reason="removed by its owner", actor=asker.actor, at=house.clock())
    return "", 204


@api.post("/subscriptions/<public_id>/<any(pause, resume, 'rotate-secret'):verb>")
def change_subscription(public_id: str, verb: str) -> ResponseReturnValue:
    asker, publisher = require_publisher(Scope.SUBSCRIBE)
    house, extra = the_house(), {}
    with house.sessions.begin() as session:
        found = subscribing.get_subscription(session, public_id, publisher.id)
        match verb:
            case "pause":
                subscribing.pause(session, found, reason="paused by its owner", actor=asker.actor, at=house.clock())
            case "resume":
                subscribing.resume(session, found, actor=asker.actor, at=house.clock())
            case _:
                extra["secret"] = subscribing.rotate_secret(session, house, found, actor=asker.actor, at=house.clock())
    return jsonify(subscription_json(found) | extra)


@api.get("/deliveries")
def deliveries() -> ResponseReturnValue:
    """List the publisher's own deliveries, newest first."""
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    limit = whole_number("limit", 50, 1, 200)
    with reading(the_house().sessions) as session:
        found = deliveries_of(session, publisher.id, before_id=whole_number("before", 2**62, 1, 2**62), limit=limit)
        return jsonify(deliveries=[delivery_json(delivery) for delivery in found])


@api.get("/deliveries/<uid>")
def delivery(uid: str) -> ResponseReturnValue:
    _, publisher = require_publisher(Scope.SUBSCRIBE)
    with reading(the_house().sessions) as session:
        found = get_delivery(session, uid, publisher.id)
        attempts = [
            {
                "at": rfc3339(attempt.at),
                "outcome": attempt.outcome,
                "reason": attempt.reason,
                "status": attempt.status,
                "duration_ms": attempt.duration_ms,
                "answer": attempt.answer,
            }
            for attempt in attempts_of(session, found.id)
        ]
        return jsonify(delivery_json(found) | {"attempts": attempts})


@api.post("/deliveries/<uid>/replay")
def replay_delivery(uid: str) -> ResponseReturnValue:
    asker, publisher = require_publisher(Scope.SUBSCRIBE)
    house = the_house()
    with house.sessions.begin() as session:
        found = get_delivery(session, uid, publisher.id)
        replay(session, found, actor=asker.actor, at=house.clock())
        return jsonify(delivery_json(found)), 202


# -- reading and writing ---------------------------------------------------------------------------------------------------------


def _render(public_id: str, number: int | None) -> ResponseReturnValue:
    house, asker, at = the_house(), require(Scope.READ), the_house().clock()
    content_type, render = RENDERERS[_wanted_format()]
    decide_viewer(asker.viewer, at).require()
    with reading(house.sessions) as session:
        found = find_story(session, public_id)
        if found is None:
            raise StoryNotFound(public_id)
        decide(asker.viewer, found, Purpose.TAKE, at).require()
        version = found.current if number is None else get_version(session, found.id, number)
    body = render(entry_of(found, version, house.terms), house.terms)
    answer = jsonify(body) if isinstance(body, dict) else Response(body)
    answer.headers["Content-Type"] = content_type
    answer.headers["Link"] = f'<{house.config.license_url}>; rel="license"'
    return answer


def _wanted_format() -> str:
    named = request.args.get("format")
    if named is not None:
        if named not in RENDERERS:
            raise InvalidRequest(f"there is no format {named!r}; there are {', '.join(RENDERERS)}", "format")
        return named
    by_type = {content_type.partition(";")[0]: name for name, (content_type, _) in RENDERERS.items()}
    best = request.accept_mimetypes.best_match(list(by_type), default="application/json")
    return by_type[best]


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """Return the query parameter as a number within bounds. Raises InvalidRequest naming it."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise InvalidRequest(f"must be a whole number from {least} to {most}", name)
    return int(text)


def write_cursor(published_at: datetime, story_id: int) -> str:
    return base64.urlsafe_b64encode(f"{published_at.isoformat()} {story_id}".encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> tuple[datetime, int] | None:
    """Return what write_cursor wrote. Raises InvalidRequest for anything else."""
    if text is None:
        return None
    try:
        moment, _, number = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at, int(number)
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest("is not a cursor of ours; start again without one", "cursor") from error


def rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def change_of(event: Event, base_url: str) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "type": f"story.{event.type.value}",
        "at": rfc3339(event.at),
        "uri": event.story.uri,
        "id": event.story.public_id,
        "version": event.version_number,
        "feeds": event.feeds,
        "reason": event.reason,
        "url": f"{base_url}/v1/stories/{event.story.public_id}",
    }


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.public_id,
        "feed": subscription.feed,
        "channel": subscription.channel.value,
        "endpoint": subscription.endpoint,
        "options": subscription.options,
        "state": subscription.state.value,
        "state_reason": subscription.state_reason,
        "created_at": rfc3339(subscription.created_at),
        "failing_since": subscription.failing_since and rfc3339(subscription.failing_since),
        "last_delivered_at": subscription.last_delivered_at and rfc3339(subscription.last_delivered_at),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery_uid(delivery.subscription.public_id, delivery.event_seq),
        "cursor": delivery.id,
        "subscription": delivery.subscription.public_id,
        "seq": delivery.event_seq,
        "type": f"story.{delivery.event.type.value}",
        "story": delivery.event.story.uri,
        "version": delivery.version_number,
        "state": delivery.state.value,
        "reason": delivery.last_reason,
        "attempts": delivery.attempt_count,
        "created_at": rfc3339(delivery.created_at),
        "next_attempt_at": delivery.next_attempt_at and rfc3339(delivery.next_attempt_at),
        "settled_at": delivery.settled_at and rfc3339(delivery.settled_at),
    }
