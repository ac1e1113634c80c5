"""The commands about people, run as an operator runs them: each prints what the next step needs, and a secret just once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from syndicator.cli import app
from syndicator.errors import Conflict
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNDICATOR_SITE__FEEDS_DIR", str(ROOT / "feeds"))
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run_json(*words: str) -> Any:
    return json.loads(run("--json", *words))


def test_init_prints_the_first_administrators_link_once_and_keeps_no_copy(folder: Path) -> None:
    first = run("init", "--email", "Chief@Desk.Example")
    [link] = [line for line in first.splitlines() if line.startswith("http")]
    assert "/sign-in/link/syn_link_" in link
    assert "syn_link_" not in run("init")
    assert [(user["email"], user["role"]) for user in run_json("user", "list")] == [("chief@desk.example", "admin")]
    dump = "\n".join(sqlite3.connect(folder / "var" / "syndicator.db").iterdump())
    assert link.rpartition("/")[2] not in dump


def test_staff_is_added_reset_and_disabled(folder: Path) -> None:
    run("init", "--email", "chief@desk.example")
    added = run_json("user", "add", "lena@desk.example", "--role", "licensing", "--name", "Lena Ortiz")
    assert added["token"].startswith("syn_link_")
    assert run_json("user", "reset", "LENA@desk.example")["token"] != added["token"]
    run("user", "disable", "lena@desk.example")
    assert {user["email"]: user["state"] for user in run_json("user", "list")}["lena@desk.example"] == "disabled"
    with pytest.raises(Conflict, match="last administrator"):
        CliRunner().invoke(app, ["user", "disable", "chief@desk.example"], catch_exceptions=False)


def test_the_first_owner_of_a_publisher_is_invited_from_the_command_line(folder: Path) -> None:
    run("init")
    run("publisher", "add", "Courier", "--domain", "courier.example", "--email", "wire@courier.example")
    invited = run_json("publisher", "invite", "courier.example", "owner@courier.example")
    assert (invited["email"], invited["role"]) == ("owner@courier.example", "owner")
    assert "/invitation/syn_link_" in invited["link"]
    run("job", "run", "send-letters")
    [letter] = (folder / "var" / "outbox").glob("*.eml")
    assert invited["token"] in letter.read_text(encoding="utf-8").replace("=\n", "")
