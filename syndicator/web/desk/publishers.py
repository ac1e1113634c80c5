"""Publishers at the desk: found by words and state; and everything about one of them on one page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from syndicator.access import decide_viewer
from syndicator.domain.accounts import StaffRole
from syndicator.domain.publishers import Publisher, PublisherState, state_may_follow
from syndicator.errors import Conflict, NotFound
from syndicator.operations import (
    agreements,
    beacons,
    deliveries,
    evidence,
    find_publishers,
    keys,
    members,
    receipts,
    subscriptions,
    takes,
)
from syndicator.operations.desk_figures import publisher_polls
from syndicator.operations.publishers import get_publisher
from syndicator.operations.republications import republications_of
from syndicator.operations.terms import acceptances_of
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PAGE = 50
USAGE_DAYS = 30
RECENT = 10
SOON_DAYS = 60
MOVES = (
    ("suspend", "Suspend", PublisherState.SUSPENDED),
    ("reinstate", "Reinstate", PublisherState.APPROVED),
    ("revoke", "Revoke", PublisherState.REVOKED),
)


@desk.get("/publishers")
@staff_required(StaffRole.LICENSING)
def publishers_page() -> ResponseReturnValue:
    words, state = request.args.get("q", "").strip(), request.args.get("state", type=PublisherState)
    soon, house = request.args.get("ends") == "soon", the_house()
    with reading(house.sessions) as session:
        found = find_publishers.find_publishers(
            session,
            words=words,
            state=state,
            ends_within_days=SOON_DAYS if soon else None,
            at=house.clock(),
            after=request.args.get("after", 0, type=int),
            limit=PAGE + 1,
        )
    asked: dict[str, Any] = {"q": words or None, "state": state, "ends": "soon" if soon else None}
    more = url_for("desk.publishers_page", after=found[PAGE - 1].id, **asked) if len(found) > PAGE else None
    return render_template(
        "desk/publishers.html", publishers=found[:PAGE], states=PublisherState, asked=asked, more=more, soon_days=SOON_DAYS
    )


@desk.get("/publishers/<publisher_id>")
@staff_required(StaffRole.LICENSING)
def publisher_page(publisher_id: str) -> ResponseReturnValue:
    house = the_house()
    at = house.clock()
    with house.sessions() as session:
        publisher = publisher_called(session, publisher_id)
        viewer = agreements.read_viewer(session, house, publisher, at=at)
        return render_template(
            "desk/publisher.html",
            publisher=publisher,
            decision=decide_viewer(viewer, at),
            domains=publisher.domains,
            decisions=find_publishers.decisions_of(session, publisher.id),
            acceptances=acceptances_of(session, publisher.id),
            members=members.members_of(session, publisher.id),
            figures=evidence.figures_of(session, publisher.id),
            agreements=agreements.agreements_of(session, publisher.id, limit=50),
            keys=[key for key in keys.keys_of(session, publisher.id) if key.live(at)],
            tokens=keys.tokens_of(session, publisher.id),
            subscriptions=subscriptions.subscriptions_of(session, publisher.id)[:RECENT],
            deliveries=deliveries.deliveries_of(session, publisher.id, before_id=2**62, limit=RECENT),
            signs=find_publishers.last_signs(session, publisher.id),
            usage=takes.usage(
                session,
                house.catalogue,
                since=at - timedelta(days=USAGE_DAYS),
                until=at,
                publisher_id=publisher.id,
                most=1000,
            ),
            usage_days=USAGE_DAYS,
            receipts=receipts.receipts_judged(session, publisher.id, at=at, limit=RECENT),
            reported=republications_of(session, publisher.id, limit=50),
            measured=beacons.measured_audiences(session, [publisher.id], at=at)[publisher.id],
            viewed=beacons.views_of(session, publisher.id, since=(at - timedelta(days=USAGE_DAYS)).date(), limit=RECENT),
            moves=_moves(publisher),
            polls=publisher_polls(session, publisher.id, days=USAGE_DAYS, at=at),
            at=at,
        )


@desk.get("/publishers/<publisher_id>/credentials/<key_id>/revoke")
@staff_required(StaffRole.LICENSING)
def revoke_credential_page(publisher_id: str, key_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        publisher = publisher_called(session, publisher_id)
        credential = keys.get_credential(session, key_id, publisher_id=publisher.id)
    return render_template(
        "confirm.html",
        title=f"Revoke {credential.prefix}… of {publisher.name}",
        words=["Whatever uses it is refused from this moment on. This cannot be undone. Tell the publisher."],
        button="Revoke it",
        back=url_for("desk.publisher_page", publisher_id=publisher_id),
    )


@desk.post("/publishers/<publisher_id>/credentials/<key_id>/revoke")
@staff_required(StaffRole.LICENSING, lately=True)
def revoke_credential(publisher_id: str, key_id: str) -> ResponseReturnValue:
    house = the_house()
    try:
        with house.sessions.begin() as session:
            publisher = publisher_called(session, publisher_id)
            gone = keys.revoke(session, key_id, actor=actor(), at=house.clock(), publisher_id=publisher.id)
        flash(f"{gone.prefix}… is revoked.", "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("desk.publisher_page", publisher_id=publisher_id), 303)


def _moves(publisher: Publisher) -> list[tuple[str, str]]:
    """Return the moves that a person may make now, as the last part of their address and in words."""
    if "desk.move_page" not in current_app.view_functions:
        return []
    return [
        (move, words) for move, words, state in MOVES if state_may_follow(publisher.state, state) and state is not publisher.state
    ]


def publisher_called(session: Session, public_id: str) -> Publisher:
    """Return the publisher by its public id alone, so that an address leads to one page. Raises NotFound."""
    publisher = get_publisher(session, public_id)
    if publisher.public_id != public_id:
        raise NotFound(f"there is no publisher {public_id!r}")
    return publisher
