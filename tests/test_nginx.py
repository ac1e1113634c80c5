"""deploy/nginx.conf in a real nginx before the application: same bytes, same ETags, nobody else's content, kills in time."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from werkzeug.http import http_date
from werkzeug.serving import WSGIRequestHandler, make_server

from syndicator.app import create_app
from syndicator.config import Server
from syndicator.documents import CODINGS, Document, public_folder, read_document, write_document
from syndicator.house import House
from syndicator.operations.keys import create_token
from syndicator.operations.render_feeds import render_stale
from syndicator.static_copy import show
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.document_answers import answer, choose_coding
from tests.clocks import HandClock
from tests.conftest import ROOT
from tests.desk import Desk
from tests.polled import polled
from tests.servers import answers, end, free_port, need, start, wait_for

FRAME = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log; {user}
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    include {folder}/syndicator.conf;
}}
"""


OTHER_SPELLINGS = ("/feeds/x/../latest.rss", "/feeds/%6catest.rss", "//feeds/latest.rss")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One kept connection to one port of loopback."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def get(self, path: str, method: str = "GET", **fields: str) -> Answer:
        self.connection.request(method, path, headers={name.replace("_", "-"): value for name, value in fields.items()})
        with closing(self.connection.getresponse()) as told:
            return Answer(told.status, {name.lower(): value for name, value in told.getheaders()}, told.read())


@dataclass
class Nginx:
    """A running nginx, all of whose files are in `folder`."""

    client: Client
    folder: Path


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """The test says what it asked."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


FILES = pytest.mark.parametrize("desk", ["files"], indirect=True)
CACHE_AND_FILES = pytest.mark.parametrize("desk", ["cache", "files"], indirect=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """What nginx has, where any user may look."""
    made = Path(tempfile.mkdtemp(prefix="syndicator-nginx-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def desk(house: House, folder: Path, request: pytest.FixtureRequest) -> Desk:
    """The house behind one proxy, with two stories out; `partners` is its private feed. "files": it keeps a copy for nginx."""
    static = str(folder / "feeds") if getattr(request, "param", "cache") == "files" else ""
    site = house.config.site.model_copy(update={"static_dir": static})
    config = house.config.model_copy(update={"server": Server(trusted_proxies=1), "site": site})
    desk = Desk(replace(house, config=config))
    desk.publish()
    desk.publish(external_id="secret", headline="For partners too", body_html="<p>wholebody</p>")
    render_stale(desk.house)
    return desk


@pytest.fixture
def upstream(desk: Desk) -> Iterator[Client]:
    """A client of the application itself."""
    app = create_app(desk.house.config, desk.house)
    layer = polled(ByteLayer(public_folder(desk.house.config.data_dir)), app.wsgi_app)
    server = make_server("127.0.0.1", 0, layer, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    client = Client(server.port)
    yield client
    client.connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nginx(upstream: Client, folder: Path) -> Iterator[Nginx]:
    """nginx with the shipped settings; only paths and ports are the test's."""
    port = free_port()
    settings = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for shipped, ours in (
        ("/var/cache/nginx/syndicator", f"{folder}/cache"),
        ("127.0.0.1:8080", f"127.0.0.1:{upstream.connection.port}"),
        ("/var/lib/syndicator-feeds$", f"{folder}/feeds$"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
    ):
        assert settings.count(shipped) == 1, shipped
        settings = settings.replace(shipped, ours)
    (folder / "syndicator.conf").write_text(settings)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(FRAME.format(folder=folder, user=user))
    command = [need("nginx", "nginx"), "-e", f"{folder}/log", "-c", f"{folder}/nginx.conf"]
    with (folder / "log").open("ab") as log:
        process = start(command, log, signal.SIGTERM)
    wait_for(process, lambda: answers(port), folder / "log")
    client = Client(port)
    yield Nginx(client, folder)
    client.connection.close()
    end(process, signal.SIGTERM)


@pytest.fixture
def token(desk: Desk) -> str:
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        given = session.merge(publisher)
        return create_token(session, desk.house.catalogue, given, "partners", actor="test", at=desk.house.clock())[1]


def same(told: Answer, expected: Any) -> None:
    """`told` has the status, body and every header field of what document_answers.answer gives."""
    assert (told.status, told.body) == (expected.status, expected.body)
    for name, value in expected.headers:
        assert told.headers[name.lower()] == value, name


@pytest.mark.parametrize("path", ["latest.rss", "latest.atom", "latest.json"])
def test_nginx_gives_the_same_bytes_and_etags_from_its_cache(desk: Desk, nginx: Nginx, path: str) -> None:
    stored = read_document(public_folder(desk.house.config.data_dir) / path)
    client = nginx.client
    for coding in (*CODINGS, "br, gzip", "gzip;q=0.5, br;q=0.4", "*", "rubbish"):
        environ = {"HTTP_ACCEPT_ENCODING": coding}
        for _ in range(2):  # from Syndicator, then from the cache
            same(client.get(f"/feeds/{path}", Accept_Encoding=coding), answer(stored, "GET", environ, private=False))
        same(client.get(f"/feeds/{path}", "HEAD", Accept_Encoding=coding), answer(stored, "HEAD", environ, private=False))
        etag = dict(answer(stored, "GET", environ, private=False).headers)["ETag"]
        for sent in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            told = client.get(f"/feeds/{path}", Accept_Encoding=coding, If_None_Match=sent)
            assert (told.status, told.headers["etag"], told.body) == (304, etag, b"")
        assert client.get(f"/feeds/{path}", Accept_Encoding=coding, If_None_Match='"other"').status == 200


def test_polls_behind_nginx_do_not_reach_syndicator(desk: Desk, nginx: Nginx) -> None:
    client = nginx.client
    first = client.get("/feeds/latest.rss")
    write_document(public_folder(desk.house.config.data_dir), "latest.rss", document(b"newer", seconds=300))
    for query, host in (("", "a.example"), ("?x=1", "b.example"), ("?y", "c.example:81")):
        told = client.get(f"/feeds/latest.rss{query}", Host=host, X_Forwarded_Host="evil.example")
        assert (told.body, told.headers["etag"]) == (first.body, first.headers["etag"])


def document(body: bytes, seconds: int) -> Document:
    return Document("application/rss+xml", body, (), datetime(2026, 1, 1, tzinfo=UTC), seconds, cors=False, immutable=False)


def test_a_kill_passes_the_cache_when_its_time_is_over(desk: Desk, nginx: Nginx) -> None:
    folder = public_folder(desk.house.config.data_dir)
    write_document(folder, "latest.rss", document(b"<rss>libel</rss>", seconds=1))
    client = nginx.client
    assert client.get("/feeds/latest.rss").body == b"<rss>libel</rss>"
    write_document(folder, "latest.rss", document(b"<rss>killed</rss>", seconds=1))
    for _ in range(100_000):
        if client.get("/feeds/latest.rss").body == b"<rss>killed</rss>":
            break
    else:
        pytest.fail("the old document was still shown")


@CACHE_AND_FILES
def test_a_shared_cache_gives_nobody_what_is_anothers(desk: Desk, nginx: Nginx, upstream: Client, token: str) -> None:
    """Ten thousand requests, mixed, some of them on files: what nginx says is what Syndicator says to the same asker."""
    basic = "Basic " + base64.b64encode(f"any:{token}".encode()).decode()
    story = desk.publish().story
    public = [f"/feeds/{name}.{form}" for name in ("latest", "headlines") for form in ("rss", "atom", "json")]
    pages = ["/", "/latest", "/feeds", "/license", f"/stories/{story.public_id}", "/robots.txt", "/feeds.opml"]
    private = ["/feeds/partners.rss", "/feeds/partners.json", f"/f/{token}/partners.atom", "/v1/me", "/v1/stories"]
    strange = [
        "/feeds/partners.rss/x.css",
        f"/f/{token}/partners.rss/x.js",
        "/feeds/none.rss",
        "/v1/me/x.css",
        "/feeds/latest.rss/",
        "/feeds/latest.rss/now",
    ]
    strange += ["/feeds/partners.rss%0a", "/feeds/partners.rss%0d%0aX:y", *OTHER_SPELLINGS]
    askers: list[dict[str, str]] = [{}, {"Authorization": basic}, {"Authorization": "Basic eDp5"}, {"Cookie": "session=x"}]
    dice = random.Random(7)
    known: dict[tuple[str, str, str], tuple[int, bytes]] = {}
    k = 2_000 if desk.house.config.static_dir else 8_000
    kinds = random.Random(8).choices([public, pages, private, strange], weights=[85, 10, 3, 2], k=k)
    for kind in kinds:
        path, asker, coding = (
            dice.choice(kind),
            dice.choices(askers, weights=[9, 1, 1, 1])[0],
            dice.choice([*CODINGS, "br, gzip"]),
        )
        told = nginx.client.get(path, Accept_Encoding=coding, **asker)
        key = (path, str(asker), coding)
        if key not in known:
            plain = "/feeds/latest.rss" if path in OTHER_SPELLINGS else path  # nginx reads paths as RFC 3986 section 6 says
            once = upstream.get(plain, Accept_Encoding=coding, **asker)
            known[key] = (once.status, once.body)
        assert (told.status, told.body) == known[key], key
        if kind is private:
            assert told.headers["cache-control"] in {"private, no-store", "no-store", "private, no-cache"}, key
    assert {known[key][0] for key in known if key[0] in strange[:8]} <= {401, 404}


def test_nothing_private_is_ever_in_the_cache(desk: Desk, nginx: Nginx, token: str) -> None:
    client = nginx.client
    for path in (f"/f/{token}/partners.rss", f"/f/{token}/partners.json", "/v1/me"):
        client.get(path)
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    assert b"wholebody" in client.get("/feeds/partners.rss", Authorization=f"Basic {basic}").body
    client.get("/feeds/latest.rss")
    kept = [file.read_bytes() for file in (nginx.folder / "cache").rglob("*") if file.is_file()]
    assert len(kept) == 1
    assert b"KEY: /feeds/latest.rss" in kept[0]
    assert token not in (nginx.folder / "access.log").read_text()


# --- Feeds as files: site.static_dir


def public_keys(house: House) -> list[str]:
    folder = public_folder(house.config.data_dir)
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("[!.]*.*"))


@FILES
def test_nginx_gives_from_files_what_syndicator_gives(desk: Desk, nginx: Nginx, clock: HandClock) -> None:
    for number in range(60):  # more than the head documents of `latest` hold
        desk.publish(external_id=f"{number}")
    clock.advance(timedelta(seconds=1))
    render_stale(desk.house)
    keys, client = public_keys(desk.house), nginx.client
    assert "latest/archive/1.json" in keys
    stored = {key: read_document(public_folder(desk.house.config.data_dir) / key) for key in keys}
    shutil.rmtree(public_folder(desk.house.config.data_dir))  # from here on nobody else could
    for key, coding in product(keys, [*CODINGS, "br, gzip", "*", "deflate", "x-gzip", "gzip;q=1.0, deflate;q=0.6", ""]):
        document = stored[key]
        own, date = document.etags[choose_coding(coding)], http_date(document.updated)
        conditions: list[dict[str, str]] = [{}]
        if coding in CODINGS:
            tags = [own, f"W/{own}", f'"x", {own}', f'{own}, "x"', "*", '"x"', own[:-2], *document.etags.values()]
            conditions += [{"If_None_Match": tag} for tag in tags]
            conditions += [
                {"If_Modified_Since": since} for since in (date, http_date(document.updated - timedelta(seconds=1)), "x")
            ]
            conditions += [{"If_None_Match": '"x"', "If_Modified_Since": date}, {"If_None_Match": own, "If_Modified_Since": "x"}]
        for condition, method in product(conditions, ["GET", "HEAD"]):
            fields = {"Accept_Encoding": coding, **condition}
            environ = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
            expected = answer(document, method, environ, private=False)
            told = client.get(f"/feeds/{key}?from=x", method, **fields)
            same(told, expected)
            if expected.status == 304:
                assert "content-length" not in told.headers  # RFC 9110 section 8.6
            else:
                assert set(told.headers) - {"server", "date", "connection"} == {name.lower() for name, _ in expected.headers}


@FILES
def test_what_nginx_cannot_answer_from_files_syndicator_answers(desk: Desk, nginx: Nginx, upstream: Client) -> None:
    codings = ["gzip;q=0.5, br;q=0.4", "br;q=0, gzip", "gzip;q=0, *", "identity;q=0", '"br"', "gzip*", "br;q=2", ";;,", "*;q=0.1"]
    asked: list[tuple[str, dict[str, str]]] = [("GET", {"Accept_Encoding": coding}) for coding in codings]
    own = upstream.get("/feeds/latest.json").headers["etag"]
    asked += [("GET", fields) for fields in ({"If_Match": own}, {"If_Unmodified_Since": "Sun, 06 Nov 2094 08:49:37 GMT"})]
    asked += [("GET", {"Range": "bytes=0-3"}), ("OPTIONS", {}), ("POST", {}), ("DELETE", {}), ("PURGE", {})]
    for method, fields in asked:
        told, expected = (client.get("/feeds/latest.json", method, **fields) for client in (nginx.client, upstream))
        assert (told.status, told.body) == (expected.status, expected.body), (method, fields)
        for name in ("etag", "content-encoding", "cache-control", "vary", "allow", "access-control-allow-methods"):
            assert told.headers.get(name) == expected.headers.get(name), (method, fields, name)


@FILES
@pytest.mark.parametrize("later", [timedelta(seconds=2), timedelta(0)], ids=["shown", "undated, so asked of Syndicator"])
def test_a_kill_is_seen_in_the_next_request_for_a_file(
    desk: Desk, nginx: Nginx, folder: Path, clock: HandClock, later: timedelta
) -> None:
    clock.advance(timedelta(seconds=2))
    published = desk.publish(external_id="bad", body_html="<p>libel</p>")
    render_stale(desk.house)
    now = folder / "feeds" / "feeds" / "latest.rss" / "now"
    told = nginx.client.get("/feeds/latest.rss")
    assert b"libel" in told.body
    assert now.exists()
    clock.advance(later)
    desk.kill(published.story)
    render_stale(desk.house)
    after = nginx.client.get("/feeds/latest.rss", If_None_Match=told.headers["etag"])
    assert (after.status, b"libel" in after.body, now.exists()) == (200, False, bool(later))


@FILES
def test_each_answer_has_the_tag_of_its_bytes_while_files_change(desk: Desk, nginx: Nginx, folder: Path) -> None:
    documents = public_folder(desk.house.config.data_dir)
    first = read_document(documents / "latest.rss").document
    ended = threading.Event()

    def change() -> None:
        for number in range(1, 40):
            body, updated = first.body + b" " * number, first.updated + timedelta(seconds=number)
            write_document(documents, "latest.rss", replace(first, body=body, updated=updated))
            show(folder / "feeds", documents, "latest.rss")
        ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    met = set()
    while not ended.is_set():
        told = nginx.client.get("/feeds/latest.rss")
        assert told.headers["etag"] == f'"{hashlib.sha256(told.body).hexdigest()[:32]}"'
        met.add(told.body)
    writer.join()
    assert len(met) > 1


@FILES
def test_a_fault_of_the_files_is_no_outage(desk: Desk, nginx: Nginx, folder: Path, upstream: Client) -> None:
    place = folder / "feeds" / "feeds" / "latest.rss"
    expected = upstream.get("/feeds/latest.rss").body
    link = (place / "now").readlink()
    (place / "now").unlink()
    for broken in ("none", "..", str(link).replace("identity", "other"), "/etc/passwd"):
        (place / "now").symlink_to(broken)
        assert nginx.client.get("/feeds/latest.rss").body == expected
        (place / "now").unlink()
    (place / "now").symlink_to(link)
    for file in place.glob("*.br.rss"):
        file.unlink()
    told = nginx.client.get("/feeds/latest.rss", Accept_Encoding="br")
    assert (told.status, told.headers["content-encoding"]) == (200, "br")


@FILES
def test_nothing_private_is_ever_among_the_files(desk: Desk, folder: Path) -> None:
    names = {place.name for place in (folder / "feeds" / "feeds").iterdir()}
    assert names == set(public_keys(desk.house))
    everything = [file.read_bytes() for file in (folder / "feeds").rglob("*") if file.is_file()]
    assert everything
    assert not any(b"/feeds/partners." in each for each in everything)
    for file in (folder / "feeds").rglob("*"):
        assert file.stat().st_mode & 0o777 == (0o755 if file.is_dir() else 0o644)


def test_only_this_machine_reads_the_metrics(nginx: Nginx) -> None:
    assert nginx.client.get("/metrics").status != 403
    assert "allow 127.0.0.1;\n        deny all;" in (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
