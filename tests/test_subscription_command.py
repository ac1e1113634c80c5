"""`syndicator subscription` for ways out that log in: the account is tried first, and the password shown nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from syndicator.cli import app
from syndicator.errors import InvalidRequest
from tests.channels.wordpress_target import PASSWORD, WordPressTarget
from tests.conftest import ROOT
from tests.receiver import Receiver
from tests.web.hub_reader import echo, query_of


@pytest.fixture
def site() -> Iterator[WordPressTarget]:
    with WordPressTarget().running() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNDICATOR_SITE__FEEDS_DIR", str(ROOT / "feeds"))
    monkeypatch.setenv("SYNDICATOR_OUTBOUND__ALLOW_NETWORKS", '["127.0.0.0/8"]')
    (tmp_path / "right").write_text(f"{PASSWORD}\n")
    (tmp_path / "wrong").write_text("wrong\n")
    return tmp_path


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False, standalone_mode=False)
    assert (result.return_value or result.exit_code) == status, result.output
    return result.stdout


def test_an_account_is_tried_before_it_is_kept_and_again_when_asked(folder: Path, site: WordPressTarget) -> None:
    run("init", "--email", "chief@desk.example")
    run("publisher", "add", "Courier", "--domain", "courier.example", "--email", "wire@courier.example")
    run("publisher", "approve", "courier.example", "--reason", "known")
    order = ["subscription", "add", "--publisher", "courier.example", "--feed", "latest", "--channel", "wordpress"]
    order += ["--to", site.url, "--option", "user=desk", "--option", 'categories={"Floods": 1}']
    with pytest.raises(InvalidRequest, match="did not take the application password"):
        run(*order, "--credential", "wrong")
    added: dict[str, Any] = json.loads(run("--json", *order, "--credential", "right"))
    assert (added["channel"], added["state"], "secret" in added) == ("wordpress", "active", False)
    assert PASSWORD not in json.dumps(added) + run("subscription", "show", added["id"])
    tried: dict[str, Any] = json.loads(run("--json", "subscription", "test", added["id"]))
    assert (tried["outcome"], [post["status"] for post in site.posts.values()]) == ("accepted", ["trash"])
    assert "put into the trash" in tried["told"]
    run("subscription", "set-credential", added["id"], "wrong")
    assert "did not take the application password" in run("subscription", "test", added["id"], status=1)


def test_a_websub_callback_is_asked_before_it_is_subscribed(folder: Path) -> None:
    run("publisher", "add", "Courier", "--domain", "courier.example", "--email", "wire@courier.example")
    run("publisher", "approve", "courier.example", "--reason", "known")
    order = ["subscription", "add", "--publisher", "courier.example", "--channel", "websub", "--feed"]
    with Receiver(echo) as callback:
        to = ["--to", f"{callback.url}/in?reader=7"]
        with pytest.raises(InvalidRequest, match="has no public topic"):
            run(*order, "partners", *to)
        asked: dict[str, Any] = json.loads(run("--json", *order, "latest", *to, "--option", "format=json"))
        assert json.loads(run("--json", "subscription", "list")) == []
        run("delivery", "drain")
        assert query_of(callback.received[0])["hub.topic"][0].endswith("/feeds/latest.json")
        (made,) = json.loads(run("--json", "subscription", "list"))
        assert "on its way" in run("subscription", "test", made["id"])
        run("delivery", "drain")
        assert json.loads(callback.received[-1].body)["items"] == []
    assert (made["channel"], made["endpoint"], made["state"]) == ("websub", asked["endpoint"], "active")
    assert "send accepted status 200; the feed was posted to the callback" in run("subscription", "show", made["id"])
    shown = json.loads(run("publisher", "export", "courier.example"))
    assert [each["endpoint"] for each in shown["subscriptions"]] == [asked["endpoint"]]
    assert asked["secret"] not in json.dumps(shown)
