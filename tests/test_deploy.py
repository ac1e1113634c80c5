"""The files in deploy/ are what docs/operations.md says: systemd takes them, and they name commands that exist."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from syndicator.cli import PART_OF

ROOT = Path(__file__).resolve().parent.parent
UNITS = sorted((ROOT / "deploy").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_names_a_command_that_exists(unit: Path) -> None:
    commands = set(PART_OF)
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit, encoding="utf-8")
    word = parser["Service"]["ExecStart"].split()[-1]
    assert {"web", "worker", "scheduler", "mirror"} <= commands if word == "%i" else word in commands
    assert int(parser["Service"]["TimeoutStopSec"]) > 10  # serve itself promises ten seconds
    assert parser["Service"]["NoNewPrivileges"] == "yes"
