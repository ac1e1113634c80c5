"""Taking records out and proving the audit log on the command line."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syndicator.cli import app
from tests.conftest import ROOT


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False, standalone_mode=False)
    assert (result.return_value or result.exit_code) == status, result.output
    return result.output


def test_records_come_out_and_an_altered_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNDICATOR_SITE__FEEDS_DIR", str(ROOT / "feeds"))
    run("publisher", "add", "=Courier", "--domain", "courier.example", "--email", "desk@courier.example")
    assert json.loads(run("export", "publishers", "--format", "jsonl"))["name"] == "=Courier"
    rows = list(csv.DictReader(io.StringIO(run("export", "publishers", "--format", "csv"))))
    assert rows[0]["name"] == "'=Courier"
    assert "publisher.add" in run("export", "audit", "--format", "csv")
    assert "is whole" in run("audit", "verify")
    with sqlite3.connect(tmp_path / "var" / "syndicator.db") as database:
        database.execute("UPDATE audit_entries SET actor = 'somebody else' WHERE action = 'publisher.add'")
    assert "has been altered" in run("audit", "verify", status=1)
