"""Feed addresses to copy: public ones, and the publisher's own for private feeds, each with a token that is shown once."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from syndicator.access import decide_feed
from syndicator.domain.accounts import MemberRole
from syndicator.operations import keys
from syndicator.storage.engine import reading
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.own import own, own_viewer


@portal.get("/feeds")
@member_required()
def feeds_page() -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        viewer = own_viewer(session)
        tokens = keys.tokens_of(session, mine().publisher_id)
    at = house.clock()
    feeds = [
        (feed, decide_feed(viewer, feed, at), [each for each in tokens if each.feed == feed.name]) for feed in house.catalogue
    ]
    return render_template("portal/feeds.html", feeds=feeds, at=at)


@portal.post("/feeds/<name>/tokens")
@member_required(MemberRole.TECHNICIAN, lately=True)
def create_token(name: str) -> ResponseReturnValue:
    """Make an address for one private feed and show it, this once."""
    house = the_house()
    at = house.clock()
    definition = house.catalogue.get(name)
    with house.sessions.begin() as session:
        decide_feed(own_viewer(session), definition, at).require()
        token, secret = keys.create_token(session, house.catalogue, own(session), name, actor=actor(), at=at)
    return render_template("portal/token_made.html", feed=definition, token=token, secret=secret), 201
