"""Conversations differ by the far end, not by our database: a house on SQLite is enough for most of their tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syndicator.config import Config, Database
from syndicator.house import House, open_house
from tests.clocks import HandClock


@pytest.fixture
def small_house(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[House]:
    opened = open_house(config.model_copy(update={"database": Database(url=sqlite_url)}), clock)
    yield opened
    opened.engine.dispose()
