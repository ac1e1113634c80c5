"""create_app(config): joins house and blueprints, and does nothing else. What joins the ways out is sending.py."""

from __future__ import annotations

from secrets import token_hex

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from syndicator.config import Config
from syndicator.house import House, open_house
from syndicator.outbound import open_outbound
from syndicator.vault import read_key_file
from syndicator.web import guard, idempotency, limits, pages, problems
from syndicator.web.account import account
from syndicator.web.acknowledge import acknowledging
from syndicator.web.api import api
from syndicator.web.apply import apply
from syndicator.web.auth import auth
from syndicator.web.beacon import beacon
from syndicator.web.desk import desk
from syndicator.web.feeds import feeds
from syndicator.web.health import health
from syndicator.web.hub import hub
from syndicator.web.licensing import licensing
from syndicator.web.machines import machines
from syndicator.web.mail import mail
from syndicator.web.metrics import metrics
from syndicator.web.newsroom import newsroom
from syndicator.web.polls import PollBook
from syndicator.web.portal import portal
from syndicator.web.receipts import receipts
from syndicator.web.routes import Route
from syndicator.web.site import site
from syndicator.web.superdesk import superdesk

BLUEPRINTS = (
    site,
    licensing,
    machines,
    feeds,
    hub,
    api,
    newsroom,
    acknowledging,
    mail,
    health,
    metrics,
    apply,
    auth,
    account,
    portal,
    desk,
    receipts,
    superdesk,
    beacon,
)


def create_app(config: Config, house: House | None = None) -> Flask:
    """Return the WSGI application for `config`; `house` is handed in by those who have opened it already."""
    app = Flask("syndicator.web", static_folder=None)  # pages.py serves the static files
    app.url_rule_class = Route
    app.url_map.merge_slashes = False  # one address for each thing; the others are 404
    secure = config.site.base_url.startswith("https:")
    app.config.update(
        # Only what was just done is told in Flask's own cookie; who is signed in is kept by the server (web/guard.py).
        SECRET_KEY=read_key_file(config.data_dir, "flash.key", lambda: token_hex(32).encode()),
        SESSION_COOKIE_NAME="__Host-told" if secure else "told",
        MAX_CONTENT_LENGTH=config.server.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=config.server.max_body_bytes,
        MAX_FORM_PARTS=1000,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["house"] = house or open_house(config)
    app.extensions["outbound"] = open_outbound(config)
    app.extensions["polls"] = PollBook(app.extensions["house"])
    for part in (pages, limits, idempotency):
        part.furnish(app, app.extensions["house"])
    guard.install(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    problems.register(app)
    if config.server.trusted_proxies:
        hops = config.server.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app
