"""A loopback WordPress that is written to, behaving as measured on 6.1.9: roles, slugs, trash, terms, meta, and lost answers."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "abcd EFGH 1234 ijkl"
RIGHTS = {
    "editor": {"edit_posts", "publish_posts", "edit_others_posts", "delete_posts", "manage_categories", "unfiltered_html"},
    "author": {"edit_posts", "publish_posts", "delete_posts"},
    "contributor": {"edit_posts", "delete_posts"},
    "subscriber": {"read"},
}
Fate = Callable[[str, str], str]  # method and route to: "" answer, "after" do it and say nothing, "before" do nothing


class Refusal(Exception):
    def __init__(self, status: int, code: str, **data: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.data = status, code, data


class WordPressTarget:
    """Posts by number. One user, `desk`, of a role that may be changed; another account owns the posts in `foreign`."""

    def __init__(self) -> None:
        self.role = "editor"
        self.posts: dict[int, dict[str, Any]] = {}
        self.terms: dict[str, dict[int, dict[str, Any]]] = {"categories": {1: _term(1, "Uncategorized")}, "tags": {}}
        self.meta: set[str] = set()  # registered
        self.foreign: set[int] = set()
        self.fate: Fate = lambda method, route: ""
        self.maintenance = False
        self.keeps_trash = True
        self.asked: list[tuple[str, str]] = []
        self._numbers = iter(range(10, 10**6))
        self._lock = threading.Lock()
        self.url = ""

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The posts that readers see."""
        return [post for post in self.posts.values() if post["status"] == "publish"]

    def answer(self, method: str, route: str, query: dict[str, str], body: dict[str, Any], login: str) -> Any:
        if login != f"desk:{PASSWORD}":
            raise Refusal(401, "rest_not_logged_in" if not login else "incorrect_password")
        rights = RIGHTS[self.role]
        if route == "/wp/v2/users/me":
            return {"id": 1, "name": "Desk", "capabilities": dict.fromkeys(rights, True)}
        if found := re.fullmatch(r"/wp/v2/(categories|tags)", route):
            return self._list_terms(found[1], query) if method == "GET" else self._make_term(found[1], body, rights)
        if route == "/wp/v2/posts":
            return self._list(query, rights) if method == "GET" else self._create(body, rights)
        if found := re.fullmatch(r"/wp/v2/posts/(\d+)", route):
            return self._one(method, int(found[1]), body, rights)
        raise Refusal(404, "rest_no_route")

    def _list(self, query: dict[str, str], rights: set[str]) -> list[dict[str, Any]]:
        if "edit_posts" not in rights:
            raise Refusal(403, "rest_forbidden_context")
        slugs, states = query["slug"].split(","), query.get("status", "publish").split(",")
        return [self._edited(post) for post in self.posts.values() if post["slug"] in slugs and post["status"] in states]

    def _create(self, body: dict[str, Any], rights: set[str]) -> dict[str, Any]:
        if "edit_posts" not in rights:
            raise Refusal(403, "rest_cannot_create")
        number = next(self._numbers)
        post = {"id": number, "title": "", "content": "", "excerpt": "", "slug": "", "status": "draft", "meta": {}}
        self._change(post | {"categories": [1], "tags": []}, body, rights)
        return self._edited(self.posts[number])

    def _one(self, method: str, number: int, body: dict[str, Any], rights: set[str]) -> dict[str, Any]:
        post = self.posts.get(number)
        if post is None:
            raise Refusal(404, "rest_post_invalid_id")
        if number in self.foreign and "edit_others_posts" not in rights:
            raise Refusal(403, "rest_forbidden_context" if method == "GET" else "rest_cannot_edit")
        if method == "DELETE":
            if not self.keeps_trash:
                raise Refusal(501, "rest_trash_not_supported")
            if post["status"] == "trash":
                raise Refusal(410, "rest_already_trashed")
            post |= {"status": "trash", "slug": f"{post['slug']}__trashed"}
        elif method == "POST":
            self._change(post, body, rights)
        return self._edited(self.posts[number])

    def _change(self, post: dict[str, Any], body: dict[str, Any], rights: set[str]) -> None:
        changed = {**post}
        if body.get("status") == "publish" and "publish_posts" not in rights:
            raise Refusal(403, "rest_cannot_publish")
        for name in ("title", "content", "excerpt", "status", "slug", "categories", "tags"):
            changed[name] = body.get(name, changed[name])
        if post["status"] == "trash" and "status" in body:
            changed["slug"] = changed["slug"].removesuffix("__trashed")
        if "unfiltered_html" not in rights:
            changed["title"] = re.sub(r"&(?!\w+;|#)", "&amp;", changed["title"])
            changed["content"] = re.sub(r' class="[^"]*"', "", changed["content"])
        for taxonomy in ("categories", "tags"):
            changed[taxonomy] = [number for number in changed[taxonomy] if number in self.terms[taxonomy]]
        changed["meta"] = changed["meta"] | {key: value for key, value in body.get("meta", {}).items() if key in self.meta}
        taken = {other["slug"] for other in self.posts.values() if other["id"] != post["id"]}
        if changed["status"] == "publish" and changed["slug"] in taken:
            changed["slug"] += "-2"
        self.posts[post["id"]] = changed

    def _list_terms(self, taxonomy: str, query: dict[str, str]) -> list[dict[str, Any]]:
        slugs = query["slug"].split(",")
        return [term for term in self.terms[taxonomy].values() if term["slug"] in slugs]

    def _make_term(self, taxonomy: str, body: dict[str, Any], rights: set[str]) -> dict[str, Any]:
        if "manage_categories" not in rights:
            raise Refusal(403, "rest_cannot_create")
        for term in self.terms[taxonomy].values():
            if html.unescape(term["name"]).lower() == body["name"].lower():
                raise Refusal(400, "term_exists", term_id=term["id"])
        number = next(self._numbers)
        self.terms[taxonomy][number] = _term(number, body["name"]) | ({"slug": body["slug"]} if "slug" in body else {})
        return self.terms[taxonomy][number]

    def _edited(self, post: dict[str, Any]) -> dict[str, Any]:
        raw = {name: {"raw": post[name], "rendered": f"<p>{post[name]}</p>"} for name in ("title", "content", "excerpt")}
        meta = dict.fromkeys(self.meta, "") | post["meta"]
        return {**post, **raw, "meta": meta or [], "link": f"{self.url}?p={post['id']}"}

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        route, method = query.pop("rest_route", ""), handler.command
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)) or b"{}")
        login = base64.b64decode((handler.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
        with self._lock:
            self.asked.append((method, route))
            fate = self.fate(method, route)
            if self.maintenance:
                _say(handler, 503, b"<html>Briefly unavailable</html>", {"Retry-After": "600"})
                return
            try:
                status, found = 200, self.answer(method, route, query, body, login) if fate != "before" else {}
            except Refusal as refusal:
                status = refusal.status
                found = {"code": refusal.code, "message": "no", "data": {"status": status, **refusal.data}}
        if not fate:
            _say(handler, status, json.dumps(found).encode(), {"Content-Type": "application/json"})

    @contextmanager
    def running(self) -> Iterator[WordPressTarget]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.respond(self)

            do_POST = do_DELETE = do_GET  # noqa: N815  # the names http.server looks for

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


def _say(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def _term(number: int, name: str) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return {"id": number, "name": html.escape(name), "slug": slug}
