"""What a client or proxy claims about host, scheme, path and address changes no answer and no cache key."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from syndicator.app import create_app
from syndicator.config import Server
from syndicator.documents import public_folder
from syndicator.house import House
from syndicator.operations.render_feeds import render_stale
from syndicator.web.byte_layer import ByteLayer
from tests.desk import Desk
from tests.polled import polled

HOSTS = (
    "evil.example",
    "evil.example:80",
    "wire.example.evil.example",
    "evil.example/wire.example",
    "wire.example@evil.example",
    "[::1]:8080",
    "127.0.0.1",
    "localhost",
    "xn--e1afmkfd.example",
    "EVIL.example.",
    '"><script>',
    "",
)
FIELDS = ("X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded-Host")
CLAIMS: list[dict[str, str]] = [
    *({"Host": host} for host in HOSTS),
    *({field: host} for field in FIELDS for host in HOSTS[:6]),
    {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-Proto": "javascript"},
    {"X-Forwarded-Scheme": "nothttps"},
    {"X-Forwarded-Port": "1"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Script-Name": "/evil"},
    {"X-Original-URL": "/v1/me"},
    {"X-Rewrite-URL": "/f/x/partners.rss"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "10.0.0.1, 127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1;host=evil.example;proto=http"},
    {"Forwarded": 'host="evil.example"'},
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil", "Host": "evil.example"},
]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("trusted_proxies", [0, 1])
def test_no_claim_changes_an_answer(house: House, desk: Desk, trusted_proxies: int) -> None:
    story = desk.publish().story
    render_stale(house)
    client = served(house, trusted_proxies)
    paths = [
        "/",
        "/latest",
        "/feeds",
        "/license",
        "/nothing",
        f"/stories/{story.public_id}",
        f"/stories/{story.public_id}/copy/html",
    ]
    paths += [
        "/feeds/latest.rss",
        "/feeds/partners.rss",
        "/feeds.opml",
        "/news-sitemap.xml",
        "/robots.txt",
        "/license.xml",
        "/v1/feeds",
        "/desk",  # leads to its final slash
        "/portal?x=1",
        "/feeds//latest.rss",
        "//evil.example/feeds",
    ]
    assert len(CLAIMS) >= 50
    for path in paths:
        plain = told(client, path)
        for claim in CLAIMS:
            assert told(client, path, **claim) == plain, (path, claim)
        assert "Host" not in plain[2].get("Vary", "")


def told(client: FlaskClient, path: str, **claim: str) -> tuple[int, bytes, dict[str, str]]:
    answer = client.get(path, headers=claim)
    return answer.status_code, answer.data, {name: value for name, value in answer.headers if name != "Date"}


def served(house: House, trusted_proxies: int) -> FlaskClient:
    config = house.config.model_copy(update={"server": Server(trusted_proxies=trusted_proxies)})
    app: Flask = create_app(config, house)
    app.wsgi_app = polled(ByteLayer(public_folder(config.data_dir)), app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app.test_client()
