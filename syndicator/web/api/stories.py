"""Stories for partners: lists, search, one story in any format, its versions, and the copy that is pasted into a page."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

from flask import Response, request
from pydantic import Field
from sqlalchemy.orm import Session

from syndicator.access import Purpose, Viewer, decide, decide_viewer
from syndicator.domain.agreements import Way
from syndicator.domain.publishers import Scope
from syndicator.domain.stories import PubStatus, Story
from syndicator.errors import InvalidRequest, StoryNotFound
from syndicator.operations.beacons import beacon_of
from syndicator.operations.entries import entry_of
from syndicator.operations.takes import Taking, note_takes
from syndicator.render.entry import Entry, terms_beside
from syndicator.render.html import with_beacon
from syndicator.storage.engine import reading
from syndicator.storage.listing import Wanted, best_ids, newest_stories, stories_listed
from syndicator.storage.queries import find_story, get_story, get_version, versions_of
from syndicator.storage.search import Marked, mark, read_words
from syndicator.web.api import cursors
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import LARGEST_NUMBER, Answer, Instant, Label, Moment, Query, endpoint
from syndicator.web.api.formats import FORMATS, MEDIA_TYPES, Format, select_members, wanted_format
from syndicator.web.identity import caller, require, the_house

MOST_RANKED = 500  # whoever wants all that matches asks for order=newest
URL_SAFE = "%:/?#[]@!$&'()*+,;=~"  # what an address keeps inside the angle brackets of a Link header
CONTENT = frozenset({"bodies", "body_html"})  # members of ninjs: who asks for them takes the story


class Members(Query):
    fields: str | None = Field(None, max_length=500, description="Members of ninjs, parted by commas; terms always stay.")

    @property
    def members(self) -> frozenset[str] | None:
        return frozenset(name.strip().lower() for name in self.fields.split(",")) if self.fields else None

    @property
    def takes(self) -> bool:
        """Whether stories are taken; headlines and the like are only looked at."""
        return self.members is None or bool(CONTENT & self.members)


class StoriesAsked(Members):
    feed: str | None = Field(None, max_length=64, description="Only what this feed holds.")
    section: Label | None = Field(None, description="Only this section; case does not count.")
    tag: Label | None = Field(None, description="Only stories with this tag.")
    author: Label | None = Field(None, description="Only stories with this name in the byline.")
    q: str | None = Field(None, description='Words that a story must hold; "quoted" ones in that order.')
    since: Instant | None = Field(None, description="Published at this instant or later.")
    until: Instant | None = Field(None, description="Published before this instant.")
    updated_since: Instant | None = Field(None, description="Changed at this instant or later.")
    order: Literal["newest", "best"] | None = Field(
        None, description=f"With q, the best match comes first unless told otherwise, and {MOST_RANKED} are ranked."
    )
    limit: int = Field(20, ge=1, le=100, description="Stories in a page; 20 unless asked otherwise.")
    cursor: str | None = Field(None, max_length=3000, description="`next_cursor` of the page before.")


class Match(Answer):
    """What matched, as HTML with `<mark>`."""

    uri: str
    headline: str
    excerpt: str


class StoryPage(Answer):
    stories: list[Any] = Field(description="ninjs 3.1 objects.", json_schema_extra={"items": {"type": "object"}})
    next_cursor: str | None = Field(description="Null on the last page.")
    matches: list[Match] | None = Field(None, description="One for each story, when words were asked for.")


class StoryAsked(Members):
    format: Literal["ninjs", "newsml", "jsonld", "jsonfeed", "html", "text"] | None = Field(
        None, description="Wins over Accept; ninjs unless asked otherwise."
    )
    version: Literal["3.1", "2.2", "1.6"] | None = Field(None, description="Of ninjs.")


class VersionsAsked(Query):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class Version(Answer):
    number: int
    created_at: Moment
    pubstatus: PubStatus
    headline: str
    correction: str | None = Field(description="What this version put right.")
    url: str


class Versions(Answer):
    versions: list[Version] = Field(description="Newest first.")
    next_cursor: str | None


@api.get("/stories")
@endpoint()
def stories(asked: StoriesAsked) -> tuple[StoryPage, dict[str, str]]:
    """List or search stories that may be taken now. A walk by cursor meets each story once, whatever changes meanwhile."""
    house, asker, at = the_house(), require(Scope.READ), the_house().clock()
    decide_viewer(asker.viewer, at).require()
    if asked.feed is not None:
        house.catalogue.get(asked.feed)
    with reading(house.sessions) as session:
        takings, next_cursor = _page(session, asked, asker.viewer.without_quotas, at)
        found = [taking.story for taking in takings]
        marks = mark(session, [story.id for story in found], read_words(asked.q)) if asked.q is not None else {}
    if asked.takes:
        _note(takings, Way.API)
    entries = [entry_of(story, story.current, house.terms) for story in found]
    listed = StoryPage(
        stories=[_rendered(FORMATS["ninjs"], entry, asked.members) for entry in entries],
        next_cursor=next_cursor,
        matches=None if asked.q is None else [_match(story, marks.get(story.id)) for story in found],
    )
    return listed, {"Link": ", ".join(_links_of_page(next_cursor))}


@api.get("/stories/<public_id>")
@endpoint(media=MEDIA_TYPES)
def story(public_id: str, asked: StoryAsked) -> Response:
    """Answer one story in the format asked for."""
    return _answer(public_id, None, wanted_format(asked.format, asked.version), asked)


@api.get("/stories/<public_id>/versions")
@endpoint()
def story_versions(public_id: str, asked: VersionsAsked) -> Versions:
    """List the versions of a story, while it may be had at all."""
    house = the_house()
    before = cursors.read_number(asked.cursor) if asked.cursor else LARGEST_NUMBER
    with reading(house.sessions) as session:
        found = _granted(session, public_id).story
        listed = versions_of(session, found.id, before=before, limit=asked.limit)
    base = f"{house.config.site.base_url}/v1/stories/{public_id}/versions"
    return Versions(
        versions=[
            Version(
                number=version.number,
                created_at=version.created_at,
                pubstatus=version.pubstatus,
                headline=version.headline,
                correction=version.correction_note or None,
                url=f"{base}/{version.number}",
            )
            for version in listed
        ],
        next_cursor=cursors.write_number(listed[-1].number) if len(listed) == asked.limit else None,
    )


@api.get("/stories/<public_id>/versions/<int(max=2147483647):number>")
@endpoint(media=MEDIA_TYPES)
def story_version(public_id: str, number: int, asked: StoryAsked) -> Response:
    """Answer an earlier version, while the story may be had at all."""
    return _answer(public_id, number, wanted_format(asked.format, asked.version), asked)


@api.get("/stories/<public_id>/embed")
@endpoint(media={"html": MEDIA_TYPES["html"]})
def story_embed(public_id: str) -> Response:
    """Answer the HTML to paste into a page: the story, its origin, the notice, the license, and a point that counts views."""
    answer, publisher, house = _answer(public_id, None, FORMATS["html"], way=Way.EMBED), caller().publisher, the_house()
    if publisher is not None:
        with house.sessions.begin() as session:
            token = beacon_of(session, publisher.id, get_story(session, public_id).id)
        answer.set_data(with_beacon(answer.get_data(as_text=True), f"{house.config.site.base_url}/b/{token}.gif"))
    return answer


def _page(session: Session, asked: StoriesAsked, viewer: Viewer, at: datetime) -> tuple[list[Taking], str | None]:
    """Return the stories of the page asked for, and where the next one begins."""
    words = read_words(asked.q) if asked.q is not None else None
    wanted = Wanted(
        feed=asked.feed,
        section=asked.section,
        tag=asked.tag,
        author=asked.author,
        since=asked.since,
        until=asked.until,
        updated_since=asked.updated_since,
        words=words,
    )
    trusted = viewer.embargo_trusted or viewer.newsroom or any(grant.embargo_trusted for grant in viewer.grants)
    rule: dict[str, Any] = {"at": at, "embargo_trusted": trusted, "licensed": bool(viewer.grants)}
    order = asked.order or ("newest" if words is None else "best")
    if order == "best":
        if words is None:
            raise InvalidRequest("can be best only when words are asked for by q", "order")
        ids = cursors.read_ids(asked.cursor) if asked.cursor else best_ids(session, wanted, words, **rule, limit=MOST_RANKED)
        found, later = stories_listed(session, ids[: asked.limit], **rule), ids[asked.limit :]
        next_cursor = cursors.write_ids(later) if later else None
    else:
        before = cursors.read_cursor(asked.cursor) if asked.cursor else None
        found = newest_stories(session, wanted, **rule, before=before, limit=asked.limit)
        next_cursor = cursors.write_cursor(found[-1].published_at, found[-1].id) if len(found) == asked.limit else None
    judged = [Taking(story, decide(viewer, story, Purpose.TAKE, at)) for story in found]
    return [taking for taking in judged if taking.decision.granted], next_cursor


def _match(story: Story, marked: Marked | None) -> Match:
    return Match(uri=story.uri, headline=marked.headline if marked else "", excerpt=marked.excerpt if marked else "")


def _granted(session: Session, public_id: str) -> Taking:
    """Return the story, with its current version, if the caller may take it now. Raises AccessDenied, StoryNotFound."""
    asker, at = require(Scope.READ), the_house().clock()
    decide_viewer(asker.viewer, at).require()
    found = find_story(session, public_id)
    if found is None:
        raise StoryNotFound(public_id)
    decision = decide(asker.viewer, found, Purpose.TAKE, at)
    decision.require()
    return Taking(found, decision)


def _note(takings: list[Taking], way: Way) -> None:
    """Write down that the caller takes stories; our own newsroom takes nothing."""
    publisher = caller().publisher
    if publisher is not None and request.method != "HEAD":
        note_takes(the_house(), publisher, takings, way, at=the_house().clock())


def _answer(public_id: str, number: int | None, wanted: Format, asked: StoryAsked | None = None, way: Way = Way.API) -> Response:
    members = asked.members if asked else None
    if members is not None and not wanted.members:
        raise InvalidRequest("can be chosen in ninjs alone", "fields")
    with reading(the_house().sessions) as session:
        taking = _granted(session, public_id)
        found = taking.story
        version = found.current if number is None else get_version(session, found.id, number)
    if asked is None or asked.takes:
        _note([taking], way)
    terms = the_house().terms
    entry = entry_of(found, version, terms)
    body = _rendered(wanted, entry, members)
    answer = Response(json.dumps(body, ensure_ascii=False) if isinstance(body, dict) else body)
    answer.headers["Content-Type"] = wanted.media_type
    license_url, canonical = terms_beside(entry, terms).license_url, quote(entry.canonical, safe=URL_SAFE)
    answer.headers["Link"] = f'<{license_url}>; rel="license", <{canonical}>; rel="canonical"'
    answer.vary.add("Accept")
    return answer


def _links_of_page(next_cursor: str | None) -> list[str]:
    """Return the links of a list (RFC 8288): the license, and where it goes on."""
    house = the_house()
    links = [f'<{house.config.license_url}>; rel="license"']
    if next_cursor is not None:
        asked = request.args.to_dict() | {"cursor": next_cursor}
        links.append(f'<{house.config.site.base_url}/v1/stories?{urlencode(asked)}>; rel="next"')
    return links


def _rendered(wanted: Format, entry: Entry, members: frozenset[str] | None) -> dict[str, Any] | str | bytes:
    document = wanted.render(entry, the_house().terms)
    return select_members(document, members) if members is not None and isinstance(document, dict) else document
