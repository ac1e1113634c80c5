"""The command line as a whole: every command is found, and what runs for long loads only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_group

from syndicator.cli import PARTS, part_named

NOT_NEEDED = {
    "flask",
    "alembic",
    "celery",
    "apscheduler",
    "paramiko",
    "dkim",
    "trafilatura",
    "feedparser",
    "nh3",
    "joserfc",
    "granian",
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_registers_the_commands_it_is_looked_for_under(name: str) -> None:
    assert set(get_group(part_named(name)).commands) == set(PARTS[name])


def test_a_sender_loads_nothing_that_it_does_not_send_with() -> None:
    asked = "import sys, syndicator.cli.service, syndicator.sending; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert not NOT_NEEDED & set(loaded)
