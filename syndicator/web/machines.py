"""What machines read besides feeds: the list of feeds, the news sitemap, and what crawlers and miners may do.

Each is rendered from the settings (and the sitemap from the newest stories) when asked for; caches may keep it for minutes.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from syndicator.operations.entries import entry_of
from syndicator.render.crawlers import robots_txt, tdmrep_json, trust_txt
from syndicator.render.odrl import OFFER_PATH, TDM_POLICY_PATH, license_offer, tdm_policy
from syndicator.render.opml import render_opml
from syndicator.render.rsl import rsl_xml
from syndicator.render.sitemap import MOST_STORIES, render_news_sitemap
from syndicator.storage.engine import reading
from syndicator.storage.listing import newest_stories
from syndicator.web.identity import the_house
from syndicator.web.pages import cacheable

machines = Blueprint("machines", __name__)

MINUTES_KEPT = 5
SITEMAP_DAYS = 2  # older stories do not belong in a news sitemap, by Google's rule


@machines.get("/feeds.opml")
def opml() -> ResponseReturnValue:
    return answer(render_opml(the_house().catalogue, the_house().terms), "text/x-opml; charset=utf-8")


@machines.get("/news-sitemap.xml")
def news_sitemap() -> ResponseReturnValue:
    """The stories of the last two days."""
    house, at = the_house(), the_house().clock()
    with reading(house.sessions) as session:
        stories = newest_stories(session, at=at, limit=MOST_STORIES)
    recent = [story for story in stories if story.published_at > at - timedelta(days=SITEMAP_DAYS)]
    entries = [entry_of(story, story.current, house.terms) for story in recent]
    return answer(render_news_sitemap(entries, house.terms), "application/xml; charset=utf-8")


@machines.get("/robots.txt")
def robots() -> ResponseReturnValue:
    return answer(robots_txt(the_house().terms), "text/plain; charset=utf-8")


@machines.get("/trust.txt")
def trust() -> ResponseReturnValue:
    return answer(trust_txt(the_house().terms), "text/plain; charset=utf-8")


@machines.get("/license.xml")
def rsl() -> ResponseReturnValue:
    return answer(rsl_xml(the_house().terms), "application/rsl+xml")


@machines.get("/.well-known/tdmrep.json")
def tdmrep() -> ResponseReturnValue:
    return cacheable(jsonify(tdmrep_json(the_house().terms)), seconds=60 * MINUTES_KEPT)


@machines.get(TDM_POLICY_PATH)
def mining_policy() -> ResponseReturnValue:
    response = jsonify(tdm_policy(the_house().terms))
    response.content_type = "application/ld+json"
    return cacheable(response, seconds=60 * MINUTES_KEPT)


@machines.get(OFFER_PATH)
def offer() -> ResponseReturnValue:
    """The free-use license as an ODRL Offer."""
    config = the_house().config
    response = jsonify(license_offer(the_house().terms, config.license.duties, config.eligibility.minimum_monthly_audience))
    response.content_type = "application/ld+json"
    return cacheable(response, seconds=60 * MINUTES_KEPT)


def answer(body: bytes | str, content_type: str) -> Response:
    return cacheable(Response(body, content_type=content_type), seconds=60 * MINUTES_KEPT)
