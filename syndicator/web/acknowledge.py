"""Acknowledging a correction, kill or takedown by the address in a letter: a look changes nothing, pressing the button does."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from syndicator.operations.acknowledge import acknowledge, find_by_token
from syndicator.storage.engine import reading
from syndicator.web.identity import the_house

acknowledging = Blueprint("acknowledging", __name__)


@acknowledging.get("/acknowledge/<token>")
def look(token: str) -> ResponseReturnValue:
    """Say what is asked, and of whom."""
    house = the_house()
    with reading(house.sessions) as session:
        found = find_by_token(session, house, token)
        return render_template("acknowledge.html", asked=found), {"Cache-Control": "private, no-store"}


@acknowledging.post("/acknowledge/<token>")
def press(token: str) -> ResponseReturnValue:
    """Take the publisher's word."""
    house = the_house()
    with house.sessions.begin() as session:
        asked = find_by_token(session, house, token)
        by = "the address in a letter"
        found = acknowledge(session, asked.publisher_id, asked.event_seq, by=by, actor="letter", at=house.clock())
        return render_template("acknowledge.html", asked=found), {"Cache-Control": "private, no-store"}
