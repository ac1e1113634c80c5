"""What web tests are handed: the application over a fresh house, a visitor to it, and a newsroom that fills it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from syndicator.app import create_app
from syndicator.house import House
from tests.desk import Desk
from tests.web.newsroom import Newsroom


@pytest.fixture
def newsroom(house: House) -> Newsroom:
    return Newsroom(house)


@pytest.fixture
def client(app: Flask, desk: Desk) -> FlaskClient:
    """Somebody's program; the catalogue is in the store."""
    return app.test_client()


@pytest.fixture
def app(house: House) -> Flask:
    """The whole application over the test's house."""
    return create_app(house.config, house)


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """Somebody who has not signed in."""
    return app.test_client()
