"""The command line as a whole: every command is found, and what runs for long loads only what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

from syndicator.cli import PART_OF, PARTS, main, part_named
from tests.conftest import ROOT

PROMISED = {  # scripts rely on these names
    "serve": "", "web": "", "worker": "", "scheduler": "", "demo": "", "init": "", "doctor": "",
    "db": "upgrade backup restore check",
    "source": "add list pull pause resume remove",
    "story": "import list show correct kill takedown history why",
    "feed": "list check render",
    "publisher": "add list show approve decline suspend reinstate revoke export",
    "user": "add list disable reset",
    "key": "create list revoke",
    "token": "create list revoke",
    "subscription": "add list show pause resume test rotate-secret backfill remove",
    "delivery": "list show replay drain",
    "job": "list run",
    "export": "",
}  # fmt: skip
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


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Type a command in a folder with settings and a story; returns its exit status, and what it said on each stream."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(f'[site]\nfeeds_dir = "{ROOT / "feeds"}"\n')
    (tmp_path / "wrong.toml").write_text('[server]\nport = "eighty"\n')
    (tmp_path / "one.json").write_text('{"headline": "Bridge Opens", "body_html": "<p>The bridge is open again.</p>"}')

    def typed(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["syndicator", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return typed


@pytest.mark.parametrize("name", PARTS)
def test_a_part_registers_the_commands_it_is_looked_for_under(name: str) -> None:
    assert set(get_group(part_named(name)).commands) == set(PARTS[name])


@pytest.mark.parametrize(("name", "verbs"), PROMISED.items())
def test_the_promised_commands_are_there(name: str, verbs: str) -> None:
    command = get_group(part_named(PART_OF[name])).commands[name]
    assert set(verbs.split()) <= set(getattr(command, "commands", ()))


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["publisher", "show", "nobody.example"], 1, "nobody.example"),
        (["story", "import", "none.html"], 1, "none.html: there is no such file"),
        (["source", "add", "feed", "https://news.example/feed", "--every", "3"], 2, "every: must be from 15 seconds"),
        (["publisher", "add", "Courier", "--domain", "courier", "--email", "a@courier.example"], 2, "domain: 'courier'"),
        (["publisher", "add", "Courier", "--domain", "courier.example"], 2, "--email"),
        (["key", "create"], 2, "--publisher"),
        (["--config", "wrong.toml", "story", "list"], 2, "wrong.toml: server.port"),
        (["feed", "render", "latest", "--format", "pdf"], 2, "--format"),
    ],
)
def test_what_fails_is_told_apart_from_what_was_asked_wrongly(
    run: Callable[..., tuple[int, str, str]], words: list[str], status: int, told: str
) -> None:
    ended, said, complaint = run(*words)
    assert (ended, said) == (status, "")
    assert told in complaint


def test_records_are_json_where_that_is_wanted(run: Callable[..., tuple[int, str, str]]) -> None:
    def records(*words: str) -> Any:
        ended, said, _ = run("--json", *words)
        assert ended == 0
        return json.loads(said)

    (taken,) = records("story", "import", "one.json")
    assert (taken["outcome"], taken["headline"]) == ("made", "Bridge Opens")
    assert records("story", "show", taken["id"])["status"] == "usable"
    assert records("story", "kill", taken["id"], "--reason", "It is not.")["type"] == "killed"
    assert [each["version"] for each in records("story", "history", taken["id"])] == [1, 2]


def test_a_sender_loads_nothing_that_it_does_not_send_with() -> None:
    asked = "import sys, syndicator.cli.service, syndicator.sending; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert not NOT_NEEDED & set(loaded)
