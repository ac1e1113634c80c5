"""The feed catalogue: what ships can be read, and a wrong feed file says which file, which key and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from syndicator.catalogue import read_catalogue
from syndicator.errors import ConfigError, FeedNotFound
from syndicator.reasons import Reason
from tests.conftest import ROOT


def test_the_shipped_feeds_are_those_that_are_promised() -> None:
    catalogue = read_catalogue(ROOT / "feeds")
    assert {"latest", "headlines", "partners"} <= set(catalogue.feeds)
    assert (catalogue.get("latest").access, catalogue.get("latest").content) == ("public", "full")
    assert catalogue.get("headlines").content == "summary"
    assert catalogue.get("partners").access == "eligible"
    assert any(feed.select.sections for feed in catalogue)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = 'A'\nlimits = 5", "limits: "),
        ("title = 'A'\nlimit = 0", "limit: "),
        ("title = 'A'\naccess = 'everybody'", "access: "),
        ("title = 'A'\nwebsub = 'perhaps'", "websub: "),
        ("title = 'A'\n[select]\nsection = ['Politics']", r"select\.section: "),
        ("title = 'A'\n[select]\nrights = ['all']", r"select\.rights\.0: "),
        ("title = 'A'\nwebsub = 'yes'", "websub: "),
        ("title = 'A'\nlimit = true", "limit: "),
        ("title = 'A'\nttl_minutes = '5'", "ttl_minutes: "),
        ("title = 'A'\nlanguage = 'en_US!'", "language: "),
        ("title = 'A'\n[select]\ntags = 'Iraq'", r"select\.tags: "),
        ("title = 'A'\n[select]\nrights = ['licensed']", r"wire\.toml: select\.rights: only a feed with access"),
        ("title = ' '", "title: "),
        ("description = 'no title'", "title: "),
        ("title = 'A'\nname = 'b'", "name"),
        ("title = ", "Invalid value"),
    ],
)
def test_a_wrong_feed_file_names_file_and_key(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "wire.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint) as caught:
        read_catalogue(tmp_path)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_feed_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "wire.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(ConfigError, match=r"wire\.toml: .*utf-8"):
        read_catalogue(tmp_path)


def test_a_feed_file_whose_name_cannot_stand_in_an_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Big News.toml").write_text("title = 'A'", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Big News\.toml: name: "):
        read_catalogue(tmp_path)


def test_a_catalogue_without_feeds_stops_start_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no feed files"):
        read_catalogue(tmp_path)


def test_an_unknown_feed_has_its_own_reason() -> None:
    with pytest.raises(FeedNotFound) as caught:
        read_catalogue(ROOT / "feeds").get("nowhere")
    assert caught.value.reason is Reason.UNKNOWN_FEED
