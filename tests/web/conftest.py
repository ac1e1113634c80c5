"""What page tests are handed: the public pages over a fresh house, and a newsroom that fills it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from syndicator.house import House
from syndicator.web import pages, problems
from syndicator.web.site import site
from tests.web.newsroom import Newsroom


@pytest.fixture
def newsroom(house: House) -> Newsroom:
    return Newsroom(house)


@pytest.fixture
def site_app(house: House) -> Flask:
    """The public pages alone; other blueprints have tests of their own."""
    return make_site_app(house)


@pytest.fixture
def visitor(site_app: Flask) -> FlaskClient:
    return site_app.test_client()


def make_site_app(house: House) -> Flask:
    app = Flask("syndicator", static_folder=None)
    app.extensions["house"] = house
    pages.furnish(app, house)
    problems.register(app)
    app.register_blueprint(site)
    return app
