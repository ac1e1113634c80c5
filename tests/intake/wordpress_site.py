"""A loopback WordPress that behaves as measured on 6.1.9: its REST API with the traps a puller meets, and a feed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SITE_ZONE = timedelta(hours=-5)
Answer = tuple[int, dict[str, str], bytes]


class WordPressSite:
    """Posts by id, and what is wrong with the answers today: `trouble(path, query, answer)` may change each."""

    def __init__(self) -> None:
        self.posts: dict[int, dict[str, Any]] = {}
        self.hidden: set[int] = set()  # trashed, private or draft: 401 by id
        self.members: set[int] = set()  # shown to those who sign in; to others as if hidden
        self.revoked = False  # whether the password counts no more: the asker is then anybody
        self.asked: list[tuple[str, dict[str, str], str | None]] = []  # path, query, Authorization
        self.trouble: Callable[[str, dict[str, str], Answer], Answer] = lambda path, query, answer: answer
        self.pretty = True  # whether /wp-json/ works; ?rest_route= always does
        self.link_header = True
        self.url = ""

    def add(self, number: int, modified: str = "2026-06-30T10:00:00", **changes: Any) -> dict[str, Any]:
        """Add or replace a published post; times are UTC without zone, as WordPress writes them."""
        self.posts[number] = {
            "id": number,
            "type": "post",
            "status": "publish",
            "date_gmt": "2026-06-30T09:00:00",
            "modified_gmt": modified,
            "link": f"{self.url}2026/post-{number}/",
            "title": {"rendered": f"Post {number} &#8211; it&#8217;s &amp; more"},
            "content": {"rendered": f"<p>Words of {number}.</p>", "protected": False},
            "excerpt": {"rendered": f"<p>About {number} [&hellip;]</p>\n", "protected": False},
            "_embedded": {
                "author": [{"id": 1, "name": "Jane O&#8217;Roe"}],
                "wp:term": [
                    [{"taxonomy": "category", "name": "Uncategorized"}, {"taxonomy": "category", "name": "Law &amp; Order"}],
                    [{"taxonomy": "post_tag", "name": "Bridges"}],
                ],
            },
        } | changes
        return self.posts[number]

    def answer(self, target: str, authorization: str | None) -> Answer:
        signed_in = authorization is not None and not self.revoked
        unseen = self.hidden if signed_in else self.hidden | self.members
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path
        if "rest_route" in query:
            path = "/wp-json" + query.pop("rest_route")
        elif path.startswith("/wp-json") and not self.pretty:
            return 404, {}, b"<html>not found</html>"
        if path == "/":
            link = {"Link": f'<{self.url}wp-json/>; rel="https://api.w.org/"'} if self.link_header else {}
            return 200, link, b"<html>home</html>"
        if path == "/wp-json/":
            return _json({"name": "News", "namespaces": ["oembed/1.0", "wp/v2"]})
        if path == "/wp-json/wp/v2/posts":
            return self._list(query, unseen)
        if path.startswith("/wp-json/wp/v2/posts/"):
            return self._one(int(path.rsplit("/", 1)[1]), unseen)
        if path == "/wp-json/wp/v2/users/me":
            return _json({"id": 1}) if signed_in else _error(401, "rest_not_logged_in")
        return 404, {}, b""

    def _one(self, number: int, unseen: set[int]) -> Answer:
        if number in unseen:
            return _error(401, "rest_forbidden")
        return _json(self.posts[number]) if number in self.posts else _error(404, "rest_post_invalid_id")

    def _list(self, query: dict[str, str], unseen: set[int]) -> Answer:
        found = [post for post in self.posts.values() if post["id"] not in unseen]
        if after := query.get("modified_after"):
            limit = datetime.fromisoformat(after)
            limit = limit if limit.tzinfo else (limit - SITE_ZONE).replace(tzinfo=UTC)  # read as site time
            found = [post for post in found if datetime.fromisoformat(post["modified_gmt"]).replace(tzinfo=UTC) > limit]
        if "include" in query:
            found = [post for post in found if str(post["id"]) in query["include"].split(",")]
        found.sort(key=lambda post: post["id"], reverse=query.get("order", "desc") == "desc")
        size, page = int(query.get("per_page", 10)), int(query.get("page", 1))
        if page > 1 and (page - 1) * size >= len(found):
            return _error(400, "rest_post_invalid_page_number")
        shown = found[(page - 1) * size : page * size]
        if fields := query.get("_fields"):
            shown = [{name: post[name] for name in fields.split(",")} for post in shown]
        elif "_embed" not in query:
            shown = [{name: value for name, value in post.items() if name != "_embedded"} for post in shown]
        pages = -(-len(found) // size)
        return _json(shown, {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(pages)})

    @contextmanager
    def running(self) -> Iterator[WordPressSite]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                site.asked.append((parts.path, query, self.headers.get("Authorization")))
                status, headers, body = site.trouble(parts.path, query, site.answer(self.path, self.headers.get("Authorization")))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _json(values: Any, headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(values).encode()


def _error(status: int, code: str) -> Answer:
    return _json({"code": code, "message": code, "data": {"status": status}}, status=status)
