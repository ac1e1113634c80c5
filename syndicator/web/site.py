"""The public pages: front, latest, story, feeds, license. Read only; the API, portal and desk live elsewhere.

Every story passes the gate as anybody would. An embargoed, unknown or not syndicated story is the same 404; one that was out and
may no longer be used is a 410 that says so. A page costs at most three queries. What is copied from a story page has addresses
of its own, so that the notice stands once in each.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from syndicator.access import ANYBODY, Purpose, decide
from syndicator.domain.stories import Rights, Story, slug_of
from syndicator.errors import NotFound, StoryNotFound
from syndicator.operations.entries import entry_of
from syndicator.operations.terms import terms_as_they_read
from syndicator.reasons import Reason
from syndicator.render.crawlers import signal_headers
from syndicator.render.entry import Entry, terms_beside
from syndicator.render.html import render_html
from syndicator.render.jsonld import describe_jsonld, script_json
from syndicator.render.notice import notice_html
from syndicator.render.odrl import license_offer
from syndicator.render.plain import summary_of
from syndicator.render.text import render_text
from syndicator.storage.engine import reading
from syndicator.storage.listing import Wanted, newest_stories
from syndicator.storage.queries import correction_notes, find_story
from syndicator.web.identity import the_house
from syndicator.web.pages import cacheable
from syndicator.web.problems import HIDDEN

site = Blueprint("site", __name__, template_folder="templates")


@site.after_request
def tell_machines(response: Response) -> Response:
    """Say in the headers of every page what robots.txt, RSL and TDMRep say."""
    if response.status_code in {200, 304}:
        for name, value in signal_headers(the_house().terms).items():
            response.headers.setdefault(name, value)
    return response


PAGE_SECONDS = 60  # how long shared caches may keep a page; a kill is seen no later
FRONT_STORIES = 13
LATEST_STORIES = 30
RECENT_STORIES = 5
LD_JSON = "application/ld+json"
PUBLIC_ID = re.compile(r"[0-9a-z]{1,32}")


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What the page of a story that may no longer be used says: its heading, and what those who published it must do."""

    title: str
    duties: tuple[str, ...]


GONE = {
    Reason.KILLED: Withdrawal(
        "Do not use this story",
        (
            "Remove it at once from every site, app, feed, newsletter and archive, with its headline and pictures.",
            "Do not quote it or report from it. If you have repeated what it said, correct that.",
            "Tell your readers where they could have relied on it, and those to whom you passed it on.",
        ),
    ),
    Reason.TAKEN_DOWN: Withdrawal(
        "Please remove this story",
        (
            "Please remove it from every site, app, feed, newsletter and archive.",
            "A takedown says nothing about whether the story was right.",
        ),
    ),
    Reason.EXPIRED: Withdrawal(
        "This story has expired",
        ("It was released for a limited time. Please remove it from your site.",),
    ),
}
COPIES = {"html": render_html, "text": render_text}


@site.get("/")
def front() -> ResponseReturnValue:
    """The newest story large, then the river, then the way in for publishers."""
    with reading(the_house().sessions) as session:
        stories = newest_stories(session, at=the_house().clock(), limit=FRONT_STORIES + 1)
    entries = [current_entry(story) for story in stories[:FRONT_STORIES]]
    sections = list(dict.fromkeys(entry.section for entry in entries if entry.section))
    return page("front.html", entries=entries, sections=sections, more=len(stories) > FRONT_STORIES)


@site.get("/latest")
def latest() -> ResponseReturnValue:
    """All stories or one section's, page by page; `before` is the public id of the last story of the page before."""
    at = the_house().clock()
    section = request.args.get("section", "")
    if not section.isprintable() or len(section) > 200:
        raise NotFound("no section is called that")
    with reading(the_house().sessions) as session:
        last = find_known(session, request.args["before"], at) if "before" in request.args else None
        stories = newest_stories(
            session,
            Wanted(section=section or None),
            at=at,
            before=(last.published_at, last.id) if last else None,
            limit=LATEST_STORIES + 1,
        )
    if not stories and (section or last):
        raise NotFound("there is no such page of stories")
    entries = [current_entry(story) for story in stories[:LATEST_STORIES]]
    older = latest_url(section=section, before=entries[-1].public_id) if len(stories) > LATEST_STORIES else None
    return page("latest.html", entries=entries, heading=section or "Latest stories", older=older)


@site.get("/stories/<public_id>")
@site.get("/stories/<public_id>/<slug>")
def story(public_id: str, slug: str = "") -> ResponseReturnValue:
    """One story, at the address that ends in the words of its headline; other endings lead there."""
    at = the_house().clock()
    with reading(the_house().sessions) as session:
        found = find_known(session, public_id, at)
        decision = decide(ANYBODY, found, Purpose.READ, at)
        if decision.reason in GONE:
            return gone_page(found, decision.reason)
        licensed = decision.reason is Reason.LICENSE_REQUIRED
        if not licensed:
            decision.require()
        entry = current_entry(found)
        if slug != slug_of(entry.headline):
            return cacheable(make_response(redirect(story_url(entry), 301)), seconds=PAGE_SECONDS)
        corrections = correction_notes(session, found.id)
        recent = newest_stories(session, at=at, limit=RECENT_STORIES + 1)
    shown = page(
        "story.html",
        entry=entry,
        teaser=licensed,
        corrections=corrections,
        recent=[current_entry(other) for other in recent if other.id != found.id][:RECENT_STORIES],
        notice=notice(),
        json_ld=Markup(script_json(describe_jsonld(entry, the_house().terms))),  # noqa: S704 -- written to stand in a script
        share_links=share_links(entry),
        duties=duties(),
    )
    shown.headers["Link"] = signal_headers(terms_beside(entry, the_house().terms))["Link"]
    return shown


@site.get("/stories/<public_id>/copy/<kind>")
def copy(public_id: str, kind: str) -> ResponseReturnValue:
    """The story ready to paste, notice included, as `html` source or `text`; both shown as plain text, to be selected by hand."""
    if kind not in COPIES:
        raise NotFound(f"there is no copy called {kind!r}")
    at = the_house().clock()
    with reading(the_house().sessions) as session:
        found = find_known(session, public_id, at)
        decide(ANYBODY, found, Purpose.READ, at).require()
        entry = current_entry(found)
    response = Response(COPIES[kind](entry, the_house().terms), content_type="text/plain; charset=utf-8")
    response.headers["X-Robots-Tag"] = "noindex"
    return cacheable(response, seconds=PAGE_SECONDS)


@site.get("/feeds")
def feeds() -> ResponseReturnValue:
    """The catalogue for people."""
    return page("feeds.html", feeds=list(the_house().catalogue))


@site.get("/license")
def license_in_force() -> Response:
    """The terms now in force; their own address is the versioned one."""
    return page("license.html", notice=notice(), duties=duties(), in_force=True)


@site.get("/licenses/free-use/<version>")
def license_version(version: str) -> ResponseReturnValue:
    """One version of the terms, as it read when it was in force: a page, or the Offer for machines that accept that rather."""
    wanted = request.accept_mimetypes.best_match(("text/html", LD_JSON), default="text/html")
    response = license_offered(version) if wanted == LD_JSON else _license_page(version)
    response.vary.add("Accept")
    return response


@site.get("/licenses/free-use/<version>.jsonld")
def license_offered(version: str) -> Response:
    """One version of the terms as an ODRL Offer. How large an audience must be is policy of the day, not of the license."""
    house = the_house()
    with reading(house.sessions) as session:
        terms, duties = terms_as_they_read(session, house, version)
    in_force = version == house.config.license.version
    offered = license_offer(terms, duties, house.config.eligibility.minimum_monthly_audience if in_force else None)
    return cacheable(Response(json.dumps(offered, ensure_ascii=False), content_type=LD_JSON), seconds=PAGE_SECONDS)


@site.get("/problems/<name>")
def problem_type(name: str) -> ResponseReturnValue:
    """What a reason code means: the `type` of every problem document (RFC 9457) leads here."""
    code = name.replace("-", "_")
    if code not in set(Reason):
        raise NotFound(f"there is no reason called {name!r}")
    return page("problem.html", code=code, words=Reason(code).words)


def _license_page(version: str) -> Response:
    house = the_house()
    if version == house.config.license.version:
        return license_in_force()
    with reading(house.sessions) as session:
        terms, duties = terms_as_they_read(session, house, version)
    shown = Markup(notice_html(terms))  # noqa: S704 -- the renderer escapes what it is made of
    return page("license.html", terms=terms, notice=shown, duties=duties, in_force=False)


def page(template: str, **values: object) -> Response:
    """Render a page that shared caches may keep for a minute."""
    return cacheable(make_response(render_template(template, **values)), seconds=PAGE_SECONDS)


def gone_page(found: Story, reason: Reason) -> Response:
    """Answer 410: the story was out and may no longer be used. Neither its words nor its headline are repeated."""
    told = GONE[reason]
    since = found.expires_at if reason is Reason.EXPIRED else found.updated_at
    values = {"public_id": found.public_id, "told": told, "code": reason.value, "words": reason.words, "since": since}
    response = make_response(render_template("gone.html", why=found.withdrawn_reason, **values), 410)
    return cacheable(response, seconds=PAGE_SECONDS)


def find_known(session: Session, public_id: str, at: datetime) -> Story:
    """Return the story if anybody may know of it, or raise StoryNotFound; what cannot be an id is not looked up."""
    found = find_story(session, public_id) if PUBLIC_ID.fullmatch(public_id) else None
    if found is None or decide(ANYBODY, found, Purpose.READ, at).reason in HIDDEN:
        raise StoryNotFound(public_id)
    return found


def current_entry(found: Story) -> Entry:
    return entry_of(found, found.current, the_house().terms)


def notice() -> Markup:
    return Markup(notice_html(the_house().terms))  # noqa: S704 -- the renderer escapes what it is made of


def duties() -> tuple[str, ...]:
    return the_house().config.license.duties


@site.app_template_global()
def story_url(entry: Entry, absolute: bool = False) -> str:
    """Return the address of a story's page, its readable end included."""
    start = entry.url if absolute else f"/stories/{entry.public_id}"
    slug = slug_of(entry.headline)
    return f"{start}/{slug}" if slug else start


@site.app_template_global()
def copy_url(entry: Entry, kind: str) -> str:
    return f"/stories/{entry.public_id}/copy/{kind}"


@site.app_template_global()
def latest_url(section: str = "", before: str = "") -> str:
    """Return the address of a page of stories."""
    asked = {name: value for name, value in (("section", section), ("before", before)) if value}
    return f"/latest?{urlencode(asked)}" if asked else "/latest"


@site.app_template_filter()
def host(url: str) -> str:
    """Return whose address it is, as people say it."""
    return (urlsplit(url).hostname or url).removeprefix("www.")


@site.app_template_filter()
def short(entry: Entry) -> str:
    """Return what a story is about: its summary, or else how it begins. A licensed story shows no word of its body."""
    return entry.summary if entry.rights is Rights.LICENSED else summary_of(entry)


def share_links(entry: Entry) -> list[tuple[str, str]]:
    """Return names and addresses of places to share a story: plain links to the newsroom's own page, no scripts of others."""
    url = quote(entry.original_url or story_url(entry, absolute=True), safe="")
    words = quote(entry.headline, safe="")
    return [
        ("E-mail", f"mailto:?subject={words}&body={url}"),
        ("Facebook", f"https://www.facebook.com/sharer/sharer.php?u={url}"),
        ("LinkedIn", f"https://www.linkedin.com/sharing/share-offsite/?url={url}"),
        ("WhatsApp", f"https://wa.me/?text={words}%20{url}"),
        ("X", f"https://x.com/intent/post?text={words}&url={url}"),
    ]
