"""Pages on which the publisher says it published stories, and what the last look at each found."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, StringField, URLField

from syndicator.domain.stories import Rights
from syndicator.errors import AddressRefused, Conflict, InvalidRequest, StoryNotFound
from syndicator.operations.beacons import views_of
from syndicator.operations.explain import story_meant
from syndicator.operations.republications import report, republications_of
from syndicator.storage.engine import reading
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, member_required, mine
from syndicator.web.identity import the_house, the_outbound
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.own import own

VIEW_DAYS = 30
MOST_VIEWED = 30


class ReportForm(PageForm):
    url = URLField("Your page", description="On one of your own sites.", render_kw={"required": True})
    story = StringField("The story", description="Its address here, its id, or its uri.", render_kw={"required": True})
    check = BooleanField("Look at the page now and then, and tell us when notice, byline or a correction is missing.")


@portal.get("/republications")
@member_required()
def republications_page() -> ResponseReturnValue:
    return _page(ReportForm(story=request.args.get("story")), 200)


@portal.post("/republications")
@member_required()
def report_republication() -> ResponseReturnValue:
    """Note the page. A story that nobody may know of is as unknown as none."""
    form, house = ReportForm(), the_house()
    try:
        with house.sessions.begin() as session:
            story = story_meant(session, form.story.data or "")
            if story.rights is Rights.NONE or story.released_at is None:
                raise StoryNotFound(form.story.data or "")
            url, check = (form.url.data or "").strip(), bool(form.check.data)
            report(session, the_outbound(), own(session), story, url, check=check, actor=actor(), at=house.clock())
    except (InvalidRequest, AddressRefused, Conflict, StoryNotFound) as error:
        field = "story" if isinstance(error, StoryNotFound) else "url"
        form.blame(InvalidRequest(str(error), field))
        return _page(form, 422)
    flash("Thank you. The page stands in the list.", "good")
    return redirect(url_for("portal.republications_page"), 303)


def _page(form: ReportForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        found = republications_of(session, mine().publisher_id)
        since = the_house().clock() - timedelta(days=VIEW_DAYS)
        viewed = views_of(session, mine().publisher_id, since=since.date(), limit=MOST_VIEWED)
    return render_template("portal/republications.html", republications=found, viewed=viewed, form=form), status
