"""The files in deploy/ are what docs/operations.md says: systemd takes every line of them, and they name commands that exist."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from syndicator.cli import PART_OF
from tests.servers import need

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
    assert parser["Service"]["StateDirectory"].split() == ["syndicator", "syndicator-feeds"]
    assert "StateDirectoryMode" not in parser["Service"]  # 755, so that nginx can read the second


@pytest.mark.parametrize("name", ["syndicator", *(f"syndicator@{part}" for part in ("web", "worker", "scheduler", "mirror"))])
def test_systemd_takes_every_line_and_finds_little_to_lock_away(name: str, tmp_path: Path) -> None:
    for unit in UNITS:  # only the program's place is the test's
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(text.replace("/srv/syndicator/.venv/bin/syndicator", "/bin/true"))
    analyze = need("systemd-analyze", "systemd")
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / f"{name}.service")], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")  # what it does not know it only warns of
    judged = [analyze, "security", "--offline=yes", "--threshold=30", str(tmp_path / f"{name}.service")]
    assert subprocess.run(judged, capture_output=True, check=False).returncode == 0


def test_the_operations_guide_names_files_and_commands_that_exist() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for file in re.findall(r"\]\(\.\./([^)]+)\)|`((?:deploy|docs)/[^`]+)`", guide):
        assert (ROOT / "".join(file)).exists(), file
    for line in re.findall(r"^    (?:.*/)?syndicator ([a-z]+)\b", guide, re.MULTILINE):
        assert line in PART_OF, line
