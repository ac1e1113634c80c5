"""The works behind the desk: feeds and whether they are fresh, sources, the timetable's jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import IntegerField, PasswordField, RadioField, StringField, URLField

from syndicator.domain.accounts import StaffRole
from syndicator.domain.stories import SourceKind
from syndicator.errors import AddressRefused, Conflict, InvalidRequest
from syndicator.operations import sources
from syndicator.operations.desk_figures import polls_by_day
from syndicator.operations.order_jobs import order_job
from syndicator.operations.works import feed_reports, job_runs
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house, the_outbound

POLL_DAYS = 7


class SourceForm(PageForm):
    kind = RadioField("Kind", choices={"wordpress": "WordPress", "feed": "RSS, Atom or JSON feed"})
    url = URLField("Address", description="The site's, or the feed's.", render_kw={"required": True})
    name = StringField("Name", description="Left out, it is called as its host.")
    section = StringField("Section", description="For stories that name none.")
    minutes = IntegerField("Ask every so many minutes", render_kw={"min": 1})
    credentials = PasswordField(
        "User and password", description="As user:password, if it asks for them.", render_kw={"autocomplete": "off"}
    )


@desk.get("/feeds")
@staff_required(StaffRole.EDITOR)
def feeds_page() -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        reports, polls = feed_reports(session, house), Counter[str]()
        for counts in polls_by_day(session, days=POLL_DAYS, at=house.clock()).values():
            polls.update(counts)
    return render_template("desk/feeds.html", reports=reports, polls=polls, poll_days=POLL_DAYS)


@desk.get("/sources")
@staff_required(StaffRole.EDITOR)
def sources_page() -> ResponseReturnValue:
    return _sources_page(SourceForm(kind="wordpress", minutes=5), 200)


@desk.post("/sources")
@staff_required(StaffRole.EDITOR, lately=True)
def add_source() -> ResponseReturnValue:
    form, house = SourceForm(), the_house()
    try:
        with house.sessions.begin() as session:
            added = sources.add_source(
                session,
                house,
                the_outbound(),
                kind=SourceKind(form.kind.data or SourceKind.WORDPRESS),
                url=form.url.data or "",
                name=(form.name.data or "").strip()[:60],
                section=(form.section.data or "").strip()[:200],
                every_seconds=form.minutes.data * 60 if form.minutes.data else None,
                credentials=form.credentials.data or "",
                actor=actor(),
                at=house.clock(),
            )
    except (InvalidRequest, AddressRefused, Conflict, ValueError) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "url"))
        return _sources_page(form, 422)
    flash(f"{added.name} is pulled for the first time within seconds.", "good")
    return redirect(url_for("desk.sources_page"), 303)


@desk.post("/sources/<name>/pull")
@staff_required(StaffRole.EDITOR)
def pull_source(name: str) -> ResponseReturnValue:
    return _do(lambda session, at: sources.pull_soon(session, name, actor=actor(), at=at), f"{name} is pulled within seconds.")


@desk.post("/sources/<name>/pause")
@staff_required(StaffRole.EDITOR)
def pause_source(name: str) -> ResponseReturnValue:
    return _do(lambda session, at: sources.set_paused(session, name, paused=True, actor=actor(), at=at), f"{name} is paused.")


@desk.post("/sources/<name>/resume")
@staff_required(StaffRole.EDITOR)
def resume_source(name: str) -> ResponseReturnValue:
    return _do(
        lambda session, at: sources.set_paused(session, name, paused=False, actor=actor(), at=at), f"{name} is pulled again."
    )


@desk.get("/sources/<name>/remove")
@staff_required(StaffRole.EDITOR)
def remove_source_page(name: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        source = sources.get_source(session, name)
    return render_template(
        "confirm.html",
        title=f"Remove {source.name}",
        words=["It is pulled no more, and its password is forgotten. Its stories stay, and keep knowing where they came from."],
        button="Remove it",
        back=url_for("desk.sources_page"),
    )


@desk.post("/sources/<name>/remove")
@staff_required(StaffRole.EDITOR, lately=True)
def remove_source(name: str) -> ResponseReturnValue:
    return _do(lambda session, at: sources.remove_source(session, name, actor=actor(), at=at), f"{name} is removed.")


@desk.get("/jobs")
@staff_required(StaffRole.EDITOR)
def jobs_page() -> ResponseReturnValue:
    house = the_house()
    with reading(house.sessions) as session:
        leader, runs = job_runs(session)
    at = house.clock()
    return render_template(
        "desk/jobs.html", leader=leader, leads=leader is not None and leader.until > at, runs=runs, at=at, late=timedelta(hours=2)
    )


@desk.post("/jobs/<name>/run")
@staff_required(StaffRole.EDITOR)
def run_job_now(name: str) -> ResponseReturnValue:
    """Order a job; the timetable begins it within seconds."""
    words = f"{name} is begun within seconds. Load this page again to see how it went."
    return _do(lambda session, at: order_job(session, name, actor=actor(), at=at), words, then="desk.jobs_page")


def _do(change: Callable[[Session, datetime], None], words: str, then: str = "desk.sources_page") -> ResponseReturnValue:
    """Make one change in a transaction and say what was done, or why not."""
    house = the_house()
    try:
        with house.sessions.begin() as session:
            change(session, house.clock())
        flash(words, "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for(then), 303)


def _sources_page(form: SourceForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        found = sources.all_sources(session)
        gone = {each.id: sources.vanished(session, each) for each in found if each.cursor.get("gone")}
    return render_template("desk/sources.html", sources=found, gone=gone, form=form), status
