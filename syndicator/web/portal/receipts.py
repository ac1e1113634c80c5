"""Receipts in the portal: one is given for a story that may be taken, and shown to be passed on."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.agreements import Way
from syndicator.domain.stories import Story
from syndicator.operations import receipts
from syndicator.operations.takes import Taking, note_takes
from syndicator.storage.engine import reading
from syndicator.web.api.receipts import verify_url
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.own import own
from syndicator.web.portal.stories import granted_story


@portal.post("/stories/<public_id>/receipt")
@member_required()
def issue_receipt(public_id: str) -> ResponseReturnValue:
    """Give a receipt for the story's current version, or the one that holds already; that is a take."""
    house = the_house()
    at = house.clock()
    with reading(house.sessions) as session:
        found, decision = granted_story(session, public_id)
        publisher = own(session)
    note_takes(house, publisher, [Taking(found, decision)], Way.RECEIPT, at=at)
    with house.sessions.begin() as session:
        story = session.get_one(Story, found.id)
        receipt, _ = receipts.issue_receipt(session, house, own(session), story, story.current, decision, actor=actor(), at=at)
        jti = receipt.jti
    return redirect(url_for("portal.receipt_page", jti=jti), 303)


@portal.get("/receipts/<jti>")
@member_required()
def receipt_page(jti: str) -> ResponseReturnValue:
    house = the_house()
    with house.sessions() as session:
        receipt = receipts.get_receipt(session, jti, mine().publisher_id)
        return render_template(
            "portal/receipt.html",
            receipt=receipt,
            verdict=receipts.judge_receipt(receipt, at=house.clock()),
            verify_url=verify_url(receipt),
        )
