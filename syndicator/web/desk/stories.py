"""Stories at the desk: found, compared version by version, corrected, killed and taken down, with who had them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import StringField, TextAreaField

from syndicator.domain.accounts import StaffRole
from syndicator.domain.stories import Event, Story, StoryVersion
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations.correct import correct_story
from syndicator.operations.explain import explain, story_meant
from syndicator.operations.publishers import get_publisher
from syndicator.operations.reach import Reach, reach_of
from syndicator.operations.republications import republications_of
from syndicator.operations.restore import restore_story
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.render.plain import plain_text
from syndicator.storage.desk_listing import Shelf, desk_stories
from syndicator.storage.engine import reading
from syndicator.storage.queries import find_story, get_story, get_version, versions_of
from syndicator.storage.search import read_words
from syndicator.web.desk.blueprint import desk
from syndicator.web.desk.diff import marked_difference
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PAGE = 40
MOST_VERSIONS = 50
WITHDRAWALS: dict[str, tuple[Callable[..., Event], str, str]] = {
    "kill": (
        kill_story,
        "Kill this story",
        "Its content must not be used by anybody. Whoever had it is told ahead of all else, and it never comes back.",
    ),
    "takedown": (take_down, "Take this story down", "It is recalled without fault. Whoever had it is asked to remove it."),
}


class CorrectionForm(PageForm):
    note = TextAreaField("What was wrong", description="Readers and partners see it.", render_kw={"rows": 3, "required": True})
    headline = StringField("Headline", render_kw={"required": True})
    summary = TextAreaField("Summary", render_kw={"rows": 3})
    body_html = TextAreaField("Body (HTML)", render_kw={"rows": 18})


class WithdrawalForm(PageForm):
    reason = TextAreaField(
        "Why", description="Told to everyone who had the story, and shown on its page.", render_kw={"rows": 3, "required": True}
    )


class RestoringForm(PageForm):
    reason = TextAreaField("Why", description="Told to everyone who had the story.", render_kw={"rows": 3, "required": True})


@desk.get("/stories")
@staff_required(StaffRole.EDITOR)
def stories_page() -> ResponseReturnValue:
    shelf, words = request.args.get("shelf", Shelf.ALL, type=Shelf), request.args.get("q", "").strip()
    last, wrong = request.args.get("before"), ""
    stories: list[Story] = []
    with reading(the_house().sessions) as session:
        try:
            before = find_story(session, last) if last else None
            key = (before.published_at, before.id) if before else None
            asked = read_words(words) if words else None
            stories = list(desk_stories(session, shelf=shelf, words=asked, before=key, limit=PAGE + 1))
        except InvalidRequest as error:
            wrong = str(error)
    more = len(stories) > PAGE
    older = url_for("desk.stories_page", shelf=shelf, q=words or None, before=stories[PAGE - 1].public_id) if more else None
    return render_template(
        "desk/stories.html", stories=stories[:PAGE], shelf=shelf, shelves=Shelf, words=words, wrong=wrong, older=older
    )


@desk.get("/stories/<public_id>")
@staff_required(StaffRole.EDITOR)
def story_page(public_id: str) -> ResponseReturnValue:
    """The story now, its versions, what changed between two of them (`from` and `to`), and who had it."""
    with reading(the_house().sessions) as session:
        story, reach = _story(session, public_id)
        versions = versions_of(session, story.id, before=2**31 - 1, limit=MOST_VERSIONS)
        old, new = _compared(session, story)
        reported = republications_of(session, story_id=story.id, limit=MOST_VERSIONS)
    changes = {name: marked_difference(*texts) for name, texts in _texts(old, new).items()} if old and new else {}
    values = {"versions": versions, "reach": reach, "old": old, "new": new, "changes": changes, "reported": reported}
    return render_template("desk/story.html", story=story, **values)


@desk.get("/stories/<public_id>/correct")
@staff_required(StaffRole.EDITOR)
def correct_page(public_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        story, _ = _story(session, public_id)
    said = story.current
    form = CorrectionForm(headline=said.headline, summary=said.summary, body_html=said.body_html)
    return render_template("desk/correct.html", story=story, form=form)


@desk.post("/stories/<public_id>/correct")
@staff_required(StaffRole.EDITOR)
def correct(public_id: str) -> ResponseReturnValue:
    form, house = CorrectionForm(), the_house()
    values: dict[str, Any] = {name: form[name].data or "" for name in ("note", "headline", "summary", "body_html")}
    try:
        with house.sessions.begin() as session:
            published = correct_story(session, house, public_id, actor=actor(), at=house.clock(), **values)
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "note"))
        with reading(house.sessions) as session:
            story, _ = _story(session, public_id)
        return render_template("desk/correct.html", story=story, form=form), 422
    flash(f"Version {published.story.version_number} is out; everyone who had the story is being told.", "good")
    return redirect(url_for("desk.story_page", public_id=public_id), 303)


@desk.get("/stories/<public_id>/withdraw/<how>")
@staff_required(StaffRole.EDITOR)
def withdraw_page(public_id: str, how: str) -> ResponseReturnValue:
    """Ask before it is done, and show who had the story."""
    return _withdraw_page(public_id, how, WithdrawalForm(), 200)


@desk.post("/stories/<public_id>/withdraw/<how>")
@staff_required(StaffRole.EDITOR, lately=True)
def withdraw(public_id: str, how: str) -> ResponseReturnValue:
    form, house = WithdrawalForm(), the_house()
    try:
        withdrawal, _, _ = _withdrawal(how)
        with house.sessions.begin() as session:
            withdrawal(session, house, public_id, reason=form.reason.data or "", actor=actor(), at=house.clock())
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "reason"))
        return _withdraw_page(public_id, how, form, 422)
    flash("It is withdrawn; everyone who had it is being told. Below you see who has been.", "good")
    return redirect(url_for("desk.story_page", public_id=public_id, _anchor="reach"), 303)


@desk.get("/stories/<public_id>/restore")
@staff_required(StaffRole.EDITOR)
def restore_page(public_id: str) -> ResponseReturnValue:
    """Ask before a story that was taken down is offered again."""
    return _restore_page(public_id, RestoringForm(), 200)


@desk.post("/stories/<public_id>/restore")
@staff_required(StaffRole.EDITOR, lately=True)
def restore(public_id: str) -> ResponseReturnValue:
    form, house = RestoringForm(), the_house()
    try:
        with house.sessions.begin() as session:
            restore_story(session, house, public_id, reason=form.reason.data or "", actor=actor(), at=house.clock())
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "reason"))
        return _restore_page(public_id, form, 422)
    flash("It is on offer again; everyone who had it is being told.", "good")
    return redirect(url_for("desk.story_page", public_id=public_id), 303)


@desk.get("/why")
@staff_required()
def why_page() -> ResponseReturnValue:
    """Why one publisher has, or does not have, one story."""
    house, story, publisher = the_house(), request.args.get("story", "").strip(), request.args.get("publisher", "").strip()
    found, asker, wrong = None, None, ""
    if story and publisher:
        try:
            with reading(house.sessions) as session:
                asker = get_publisher(session, publisher)
                found = explain(session, house, asker, story_meant(session, story), at=house.clock())
        except (NotFound, Conflict) as error:
            wrong = str(error)
    return render_template("desk/why.html", story=story, publisher=publisher, asker=asker, found=found, wrong=wrong)


def _story(session: Session, public_id: str) -> tuple[Story, Reach]:
    """Return the story with its current version, and who had it. Raises StoryNotFound."""
    story = get_story(session, public_id)
    session.refresh(story, ["current"])
    return story, reach_of(session, story, frozenset(feed.name for feed in the_house().catalogue if feed.public))


def _withdrawal(how: str) -> tuple[Callable[..., Event], str, str]:
    if how not in WITHDRAWALS:
        raise NotFound(f"a story cannot be withdrawn by {how!r}")
    return WITHDRAWALS[how]


def _withdraw_page(public_id: str, how: str, form: WithdrawalForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        story, reach = _story(session, public_id)
    _, title, words = _withdrawal(how)
    return render_template("desk/withdraw.html", story=story, reach=reach, form=form, title=title, words=words), status


def _restore_page(public_id: str, form: RestoringForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        story, reach = _story(session, public_id)
    title = "Bring this story back"
    words = "It is offered again as it last read. Whoever was asked to remove it is told that it may be used."
    return render_template(
        "desk/withdraw.html", story=story, reach=reach, form=form, title=title, words=words, tone="warn"
    ), status


def _compared(session: Session, story: Story) -> tuple[StoryVersion | None, StoryVersion | None]:
    """Return the two versions asked for; without a question, the newest and the one before it."""
    new = request.args.get("to", story.version_number, type=int)
    old = request.args.get("from", new - 1, type=int)
    if old < 1:
        return None, None
    return get_version(session, story.id, old), get_version(session, story.id, new)


def _texts(old: StoryVersion, new: StoryVersion) -> dict[str, tuple[str, str]]:
    """Return what differs, in plain words, by what it is called."""
    pairs = {
        "Headline": (old.headline, new.headline),
        "Byline": (", ".join(old.byline), ", ".join(new.byline)),
        "Section": (old.section, new.section),
        "Tags": (", ".join(old.tags), ", ".join(new.tags)),
        "Summary": (old.summary, new.summary),
        "Body": (plain_text(old.body_html), plain_text(new.body_html)),
    }
    return {name: texts for name, texts in pairs.items() if texts[0] != texts[1]}
