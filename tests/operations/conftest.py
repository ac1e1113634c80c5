from __future__ import annotations

import pytest

from syndicator.house import House
from tests.desk import Desk


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)
