"""The naive way to serve a feed, as a peer of other benchmarks: at each request a Flask view asks the database for the newest
stories and has feedgen write them. `python -m benchmarks.naive PORT SETTINGS` serves it at /feeds/latest.rss.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from feedgen.feed import FeedGenerator

from benchmarks import newsroom
from syndicator.storage.engine import reading
from syndicator.storage.listing import newest_stories

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from syndicator.house import House

STORIES = 50


def command(port: int, settings: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.naive", str(port), str(settings)]


def render(house: House) -> bytes:
    """Make the feed as a simple application does."""
    with reading(house.sessions) as session:
        stories = newest_stories(session, at=house.clock(), limit=STORIES)
    feed = FeedGenerator()
    feed.id("urn:benchmark")
    feed.title("Benchmark")
    feed.link(href="http://127.0.0.1/")
    feed.description("the newest stories")
    feed.lastBuildDate(max(story.published_at for story in stories))
    for story in stories:
        entry = feed.add_entry(order="append")
        entry.id(story.uri)
        entry.title(story.current.headline)
        entry.link(href=f"http://127.0.0.1/{story.public_id}")
        entry.published(story.published_at)
        entry.content(story.current.body_html, type="CDATA")
    document: bytes = feed.rss_str()
    return document


def make_application(house: House) -> WSGIApplication:
    from flask import Flask, Response, request
    from werkzeug.wrappers import Response as BaseResponse

    app = Flask("naive")

    @app.get("/feeds/latest.rss")
    def latest() -> BaseResponse:
        plain = render(house)
        answer = Response(plain, mimetype="application/rss+xml")
        answer.add_etag()
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.set_data(gzip.compress(plain, 6))
            answer.headers["Content-Encoding"] = "gzip"
        return answer.make_conditional(request)

    return app.wsgi_app


def __getattr__(name: str) -> object:
    """The application that granian's worker asks this module for."""
    if name == "application":
        return make_application(newsroom.enter(Path(os.environ["BENCHMARK_SETTINGS"])))
    raise AttributeError(name)


if __name__ == "__main__":
    from benchmarks.loopback import wsgi_server

    port, settings = sys.argv[1:]
    os.environ["BENCHMARK_SETTINGS"] = settings
    wsgi_server("benchmarks.naive:application", "127.0.0.1", int(port), 1).serve()
