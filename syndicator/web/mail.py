"""The addresses that letters name: unsubscribing in one click (RFC 8058). No cookie, no account: the address is the proof.

GET only shows a page, since mail systems open links by themselves; POST ends the subscription, again and again alike.
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template
from flask.typing import ResponseReturnValue

from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.operations.unsubscribe import find_by_token, unsubscribe
from syndicator.storage.engine import reading
from syndicator.web.guard import sent_by_others
from syndicator.web.identity import the_house

mail = Blueprint("mail", __name__)


@mail.get("/u/<token>")
def ask(token: str) -> ResponseReturnValue:
    """Show which letters would end, and a button."""
    house = the_house()
    with reading(house.sessions) as session:
        return _page(find_by_token(session, house, token))


@mail.post("/u/<token>")
@sent_by_others
def leave(token: str) -> ResponseReturnValue:
    """End the letters."""
    house = the_house()
    with house.sessions.begin() as session:
        return _page(unsubscribe(session, house, token, at=house.clock()))


def _page(subscription: Subscription) -> Response:
    feed = the_house().catalogue.find(subscription.feed)
    title = feed.title if feed else subscription.feed
    ended = subscription.state is SubscriptionState.ENDED
    answer = make_response(render_template("unsubscribe.html", title=title, email=subscription.endpoint, ended=ended))
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
