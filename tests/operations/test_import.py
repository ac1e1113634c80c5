"""Importing stories by hand: many at once, and a bad one is named while the others come in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from syndicator.domain.audit import AuditEntry
from syndicator.domain.stories import Story, StoryVersion
from syndicator.house import House
from syndicator.operations.import_stories import Imported, import_stories
from syndicator.outbound import Outbound
from tests.intake.test_page import PAGE, SAMPLE
from tests.intake.wordpress_site import WordPressSite


@pytest.fixture
def outbound(house: House) -> Outbound:
    return Outbound(house.config.outbound, "test")


def outcomes(results: list[Imported]) -> list[str]:
    return [result.outcome for result in results]


def test_many_come_in_and_a_bad_one_is_named(house: House, outbound: Outbound, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "story.json").write_text(json.dumps({"headline": "Bridge", "body_html": "<p>Words</p>"}))
    (tmp_path / "wrong.json").write_text(json.dumps({"headline": "Bridge", "price": 1}))
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10")
    names = ["page.html", "story.json", "wrong.json", "empty.txt", "picture.jpg", "none.txt", "."]
    locations = [str(SAMPLE), *(str(tmp_path / name) for name in names)]
    seen: list[tuple[int, int, str]] = []
    results = import_stories(
        house,
        outbound,
        locations,
        actor="editor",
        on_progress=lambda done, total, imported: seen.append((done, total, imported.location)),
    )
    assert outcomes(results) == ["made", "made", "made", *["refused"] * 5]
    assert seen == [(number, 8, location) for number, location in enumerate(locations, start=1)]
    assert "price" in results[3].words
    assert all(result.words.startswith(result.location) and result.words.count(result.location) == 1 for result in results)
    with house.sessions() as session:
        assert session.scalar(select(func.count(Story.id))) == 3
        assert session.scalars(select(AuditEntry.action)).all() == ["story.import"] * 3


def test_the_same_again_is_nothing_new_and_a_changed_body_a_version(house: House, outbound: Outbound, tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    copy.write_text(SAMPLE.read_text(encoding="utf-8").replace("1,200", "1,100"), encoding="utf-8")
    results = import_stories(house, outbound, [str(SAMPLE), str(SAMPLE), str(copy)], actor="editor")
    assert outcomes(results) == ["made", "unchanged", "changed"]
    with house.sessions() as session:
        assert session.scalars(select(StoryVersion.number).order_by(StoryVersion.number)).all() == [1, 2]
        assert session.scalars(select(StoryVersion.tags)).first() == ["Norway", "NATO"]


def test_a_draft_is_only_shown(house: House, outbound: Outbound) -> None:
    (result,) = import_stories(house, outbound, [str(SAMPLE)], actor="editor", draft_only=True)
    assert result.words.endswith("would be taken in: " + result.headline)
    with house.sessions() as session:
        assert session.scalar(select(func.count(Story.id))) == 0


def test_an_address_is_fetched_through_the_guarded_door(house: House, outbound: Outbound) -> None:
    with WordPressSite().running() as site:
        site.trouble = lambda path, query, answer: (200, {}, PAGE.encode()) if path == "/story" else answer
        locations = [f"{site.url}story", f"{site.url}none", "http://169.254.169.254/latest", "http://[::1]/"]
        results = import_stories(house, outbound, locations, actor="editor")
    assert outcomes(results) == ["made", "refused", "refused", "refused"]
    assert "answered 404" in results[1].words
    assert "address not allowed" in results[2].words
