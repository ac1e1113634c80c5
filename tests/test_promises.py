"""What always holds, asked at every exit at once: the notice exactly once, an embargo absent, a killed story gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator.config import Config
from syndicator.house import open_house
from syndicator.operations import keep_time
from tests.channels.sshd import Sshd
from tests.clocks import HandClock
from tests.conftest import make_config
from tests.desk import DRAFT, Desk
from tests.exits import Exits, as_read, entry_text, exits_of
from tests.render.strategies import bodies, words


@pytest.fixture(scope="module")
def exits(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[tuple[Desk, Exits, HandClock]]:
    """One house for all examples: each publishes a story of its own."""
    folder = tmp_path_factory.mktemp("promises")
    (folder / "syndicator.db").write_bytes(sqlite_template.read_bytes())
    config: Config = make_config(folder)
    clock = HandClock()
    house = open_house(config, clock)
    desk = Desk(house)
    sshd = Sshd(tmp_path_factory.mktemp("sshd"))
    with exits_of(desk, sshd) as opened:
        yield desk, opened, clock
    sshd.stop()
    house.engine.dispose()


WAYS_OUT = {"/webhook", "/websub-rss", "/websub-atom", "/websub-json", "mail-text", "mail-html", "sftp", "wordpress"}
NOTICES = (
    "{}",
    "<p>{}</p>",
    "<div><em>{}</em></div>",
    "<p>Before. {} After.</p>",
    '<blockquote><p><a href="https://x.example/">{}</a></p></blockquote>',
)


@settings(max_examples=15)
@given(body=bodies(), headline=words, summary=words, notice=st.sampled_from(["", *NOTICES]), tag=words, name=words)
def test_the_notice_stands_exactly_once_in_every_exit(
    exits: tuple[Desk, Exits, HandClock], body: str, headline: str, summary: str, notice: str, tag: str, name: str
) -> None:
    desk, exit_, clock = exits
    clock.advance(timedelta(minutes=1))
    words_of_it = desk.house.config.notice.text
    story = desk.publish(
        external_id=f"story-{clock.now:%s}",
        headline=f"Story {headline}",
        summary=summary + (f" {words_of_it}" if notice else ""),
        body_html=f"<p>Body.</p>{body}{notice.format(words_of_it)}",
        tags=(tag,),
        byline=(name,),
    ).story
    pushed = exit_.pushed()
    assert set(pushed) == WAYS_OUT
    texts = exit_.representations(story)
    texts["webhook"] = json.dumps(json.loads(pushed["/webhook"])["data"]["story"])
    texts["websub-rss"] = entry_text(pushed["/websub-rss"], story.uri)
    texts["websub-atom"] = entry_text(pushed["/websub-atom"], story.uri)
    texts |= {way: pushed[way] for way in ("/websub-json", "mail-text", "mail-html", "sftp", "wordpress")}
    counts = {exit_name: as_read(text).count(words_of_it) for exit_name, text in texts.items()}
    assert set(counts.values()) == {1}, counts


def test_an_embargoed_story_is_absent_from_every_exit_until_its_minute(exits: tuple[Desk, Exits, HandClock]) -> None:
    desk, exit_, clock = exits
    marked = replace(DRAFT, external_id="held", headline="Zanzibar held", summary="Zanzibar", body_html="<p>Zanzibar.</p>")
    changes = {name: getattr(marked, name) for name in ("external_id", "headline", "summary", "body_html")}
    story = desk.publish(**changes, tags=("Zanzibar",), embargoed_until=clock() + timedelta(hours=1)).story
    for minutes in (0, 59):
        clock.advance(timedelta(minutes=minutes))
        with desk.house.sessions.begin() as session:
            keep_time.lift_embargoes(session, desk.house, at=clock())
        assert exit_.pushed() == {}
        told = {path for path, text in exit_.served(story).items() if "Zanzibar" in text or story.uri in text}
        assert told == set()
    clock.advance(timedelta(minutes=1))
    with desk.house.sessions.begin() as session:
        keep_time.lift_embargoes(session, desk.house, at=clock())
    assert set(exit_.pushed()) == WAYS_OUT
    silent = {path for path, text in exit_.served(story).items() if "Zanzibar" not in text and story.uri not in text}
    assert silent == set()


@pytest.mark.parametrize("withdraw", ["kill", "take_down"])
def test_the_content_of_a_withdrawn_story_is_in_no_exit(exits: tuple[Desk, Exits, HandClock], withdraw: str) -> None:
    desk, exit_, _ = exits
    body = "<p>Madagascar said so.</p>"
    story = desk.publish(external_id=f"bad-{withdraw}", headline=f"Bad {withdraw}", summary="", body_html=body).story
    exit_.pushed()
    getattr(desk, withdraw)(story)
    pushed = exit_.pushed()
    assert set(pushed) == WAYS_OUT
    told = {path for path, text in (exit_.served(story) | pushed).items() if "Madagascar" in text}
    assert told == set()
    marks = {path: text for path, text in exit_.served(story).items() if path.startswith(("/feeds/", "/f/"))}
    assert all(story.uri in text for text in marks.values())
