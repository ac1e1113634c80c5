"""Stories for members: search, read, copy with the notice, download in every format, and why one came or did not."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from syndicator.access import Decision, Purpose, Viewer, decide, decide_viewer
from syndicator.domain.agreements import Way
from syndicator.domain.stories import Story, slug_of
from syndicator.errors import InvalidRequest, NotFound, StoryNotFound
from syndicator.operations.entries import entry_of
from syndicator.operations.explain import explain_to_publisher
from syndicator.operations.takes import Taking, note_takes
from syndicator.render.notice import notice_html
from syndicator.storage.engine import reading
from syndicator.storage.listing import Wanted, best_stories, newest_stories
from syndicator.storage.queries import correction_notes, find_story
from syndicator.storage.search import mark, read_words
from syndicator.web.api.formats import FORMATS
from syndicator.web.guard import member_required
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal
from syndicator.web.portal.own import own, own_viewer

PAGE = 30
MOST_PAGES = 30  # of a search, best match first
ENDINGS = {"ninjs": "json", "newsml": "xml", "jsonld": "json", "jsonfeed": "json", "html": "html", "text": "txt"}
NAMES = {
    "html": "HTML",
    "text": "Plain text",
    "ninjs": "ninjs 3.1 (JSON)",
    "newsml": "NewsML-G2 (XML)",
    "jsonld": "JSON-LD",
    "jsonfeed": "JSON Feed item",
}


@portal.get("/stories")
@member_required()
def stories_page() -> ResponseReturnValue:
    """Search the stories that the publisher may take: words, section, page."""
    words, section = request.args.get("q", "").strip(), request.args.get("section", "").strip()[:200]
    page, at, wrong = max(0, min(request.args.get("page", 0, type=int), MOST_PAGES)), the_house().clock(), ""
    with reading(the_house().sessions) as session:
        viewer = own_viewer(session)
        standing = decide_viewer(viewer, at)
        try:
            found = _find(session, viewer, words, section, page) if standing.granted else []
        except InvalidRequest as error:
            found, wrong = [], str(error)
        marks = mark(session, [story.id for story in found], read_words(words)) if words and found else {}
    terms = the_house().terms
    shown = [
        (entry_of(story, story.current, terms), marks.get(story.id))
        for story in found[:PAGE]
        if decide(viewer, story, Purpose.TAKE, at).granted
    ]
    more = len(found) > PAGE and page < MOST_PAGES
    asked: dict[str, Any] = {"q": words or None, "section": section or None}
    return render_template(
        "portal/stories.html",
        stories=shown,
        standing=standing,
        words=words,
        section=section,
        wrong=wrong,
        newer=url_for("portal.stories_page", page=page - 1 or None, **asked) if page else None,
        older=url_for("portal.stories_page", page=page + 1, **asked) if more else None,
    )


@portal.get("/stories/<public_id>")
@member_required()
def story_page(public_id: str) -> ResponseReturnValue:
    """One story to read and take away. Reading it here takes nothing; copying and downloading do."""
    with reading(the_house().sessions) as session:
        story, decision = granted_story(session, public_id)
        corrections = correction_notes(session, story.id)
    terms = the_house().terms
    return render_template(
        "portal/story.html",
        entry=entry_of(story, story.current, terms),
        story=story,
        corrections=corrections,
        grant=decision.grant,
        formats=NAMES,
        notice=Markup(notice_html(terms)),  # noqa: S704 -- the renderer escapes what it is made of
    )


@portal.get("/stories/<public_id>/copy/<kind>")
@member_required()
def copy_story(public_id: str, kind: str) -> ResponseReturnValue:
    """The story with its notice as `html` or `text`, shown as plain text for the clipboard."""
    if kind not in {"html", "text"}:
        raise NotFound(f"there is no copy called {kind!r}")
    return Response(_take(public_id, kind)[1], content_type="text/plain; charset=utf-8")


@portal.get("/stories/<public_id>/download/<kind>")
@member_required()
def download_story(public_id: str, kind: str) -> ResponseReturnValue:
    """The story as a file."""
    if kind not in FORMATS:
        raise NotFound(f"there is no format called {kind!r}")
    story, body = _take(public_id, kind)
    answer = Response(body, content_type=FORMATS[kind].media_type)
    name = f"{slug_of(story.current.headline) or story.public_id}-v{story.version_number}.{ENDINGS[kind]}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@portal.get("/why")
@member_required()
def why_page() -> ResponseReturnValue:
    """Why the publisher has, or does not have, a story: asked for by id, uri or address."""
    asked, house = request.args.get("story", "").strip(), the_house()
    found, unknown = None, False
    if asked:
        try:
            with reading(house.sessions) as session:
                found = explain_to_publisher(session, house, own(session), asked, at=house.clock())
        except StoryNotFound:
            unknown = True
    return render_template("portal/why.html", asked=asked, found=found, unknown=unknown)


def _find(session: Session, viewer: Viewer, words: str, section: str, page: int) -> list[Story]:
    at, wanted = the_house().clock(), Wanted(section=section or None)
    trusted, licensed = viewer.embargo_trusted or any(grant.embargo_trusted for grant in viewer.grants), bool(viewer.grants)
    if words:
        asked, skip = read_words(words), page * PAGE
        found = best_stories(session, wanted, asked, at=at, embargo_trusted=trusted, licensed=licensed, skip=skip, limit=PAGE + 1)
        return list(found)
    stories = newest_stories(session, wanted, at=at, embargo_trusted=trusted, licensed=licensed, limit=(page + 1) * PAGE + 1)
    return list(stories[page * PAGE :])


def granted_story(session: Session, public_id: str) -> tuple[Story, Decision]:
    """Return the story if the publisher may take it now. Raises AccessDenied, StoryNotFound."""
    viewer, at = own_viewer(session), the_house().clock()
    decide_viewer(viewer, at).require()
    story = find_story(session, public_id)
    if story is None:
        raise StoryNotFound(public_id)
    decision = decide(viewer, story, Purpose.TAKE, at)
    decision.require()
    return story, decision


def _take(public_id: str, kind: str) -> tuple[Story, str | bytes]:
    """Render the story for the publisher and write down that it was taken."""
    house = the_house()
    with reading(house.sessions) as session:
        story, decision = granted_story(session, public_id)
        publisher = own(session)
    note_takes(house, publisher, [Taking(story, decision)], Way.COPY, at=house.clock())
    body = FORMATS[kind].render(entry_of(story, story.current, house.terms), house.terms)
    return story, json.dumps(body, ensure_ascii=False) if isinstance(body, dict) else body
