"""`subscription test`, `subscription backfill` and `delivery replay` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syndicator.cli import app
from syndicator.config import load_config
from syndicator.house import open_house
from tests.conftest import ROOT
from tests.desk import Desk
from tests.receiver import Receiver, Reply


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_an_endpoint_is_tried_backfilled_and_sent_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNDICATOR_SITE__FEEDS_DIR", str(ROOT / "feeds"))
    monkeypatch.setenv("SYNDICATOR_OUTBOUND__ALLOW_NETWORKS", '["127.0.0.0/8"]')
    run("publisher", "add", "Courier", "--domain", "courier.example", "--email", "wire@courier.example")
    run("publisher", "approve", "courier.example", "--reason", "known")
    house = open_house(load_config())
    Desk(house).publish(published_at=house.clock())
    house.engine.dispose()
    with Receiver(lambda request: Reply(status=204)) as receiver:
        order = ("--publisher", "courier.example", "--feed", "latest", "--channel", "webhook", "--to", receiver.url)
        uid = json.loads(run("--json", "subscription", "add", *order))["id"]
        run("subscription", "test", uid)
        run("delivery", "drain")
        assert "accepted" in run("subscription", "show", uid)
        assert "1 stories are owed" in run("subscription", "backfill", uid, "--days", "7")
        run("delivery", "drain")
        assert "1 deliveries are owed again" in run("delivery", "replay", "--delivered", "--subscription", uid)
        run("delivery", "drain")
        [delivery] = json.loads(run("--json", "delivery", "list"))
        run("delivery", "replay", delivery["id"])
        run("delivery", "drain")
    kinds = [json.loads(request.body)["type"] for request in receiver.received]
    assert kinds == ["test"] + ["story.published"] * 3
    assert {request.headers["webhook-id"] for request in receiver.received[1:]} == {delivery["id"]}
