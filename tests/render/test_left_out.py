"""What is left out of a story's copies is said, once, in every format; and what is not cleared is in none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from syndicator.domain.stories import Image, Rights
from syndicator.house import House
from syndicator.operations.entries import entry_of
from syndicator.render.atom import render_atom
from syndicator.render.entry import Entry
from syndicator.render.html import render_html
from syndicator.render.jsonfeed import render_item
from syndicator.render.jsonld import render_jsonld
from syndicator.render.left_out import left_out
from syndicator.render.newsml import render_newsml
from syndicator.render.ninjs import render_ninjs
from syndicator.render.rss import render_rss
from syndicator.render.text import render_text
from tests.desk import DRAFT, Desk
from tests.render.strategies import TERMS, entry, feed

AGENCY = Image("https://pictures.example/secret.jpg", "The dam at dawn", "J. Doe/Agency", Rights.NONE)
OURS = Image("https://pictures.example/ours.jpg", "The river", "L. Ortiz", Rights.FREE)
BODY = (
    '<p>Look:</p><p><a href="https://www.video.example/watch?v=1&amp;t=2" rel="noopener">'
    'https://www.video.example/watch?v=1&amp;t=2</a></p><p><a href="https://a.example/">words</a></p>'
)


def test_pictures_without_clearance_and_embeds_are_named_by_credit_and_host() -> None:
    assert left_out([AGENCY, OURS], BODY) == (
        "A picture is left out, since its rights are not cleared: The dam at dawn (credit: J. Doe/Agency)",
        "Content of video.example stands as a link.",
    )
    assert left_out([OURS], "<p>Words.</p>") == ()


FORMATS: dict[str, Callable[[Entry], str]] = {
    "ninjs 3.1": lambda story: json.dumps(render_ninjs(story, TERMS)),
    "ninjs 2.2": lambda story: json.dumps(render_ninjs(story, TERMS, "2.2")),
    "ninjs 1.6": lambda story: json.dumps(render_ninjs(story, TERMS, "1.6")),
    "newsml": lambda story: render_newsml(story, TERMS).decode(),
    "jsonld": lambda story: json.dumps(render_jsonld(story, TERMS)),
    "jsonfeed": lambda story: json.dumps(render_item(story, TERMS)),
    "html": lambda story: render_html(story, TERMS),
    "text": lambda story: render_text(story, TERMS),
    "rss": lambda story: render_rss(feed((story,))).decode(),
    "atom": lambda story: render_atom(feed((story,))).decode(),
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_once_what_was_left_out(form: str) -> None:
    story = replace(entry(), left_out=("A picture is left out by Zanzibar.",))
    assert FORMATS[form](story).count("left out by Zanzibar") == 1


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_a_picture_that_is_not_cleared_leaves_only_its_caption_and_credit(house: House) -> None:
    desk = Desk(house)
    published = desk.publish(images=(AGENCY, OURS), body_html=f"{DRAFT.body_html}{BODY}")
    with desk.house.sessions() as session:
        story = session.merge(published.story)
        leaving = entry_of(story, story.current, desk.house.terms)
    for form, render in FORMATS.items():
        text = render(leaving)
        assert "secret.jpg" not in text, form
        assert "J. Doe/Agency" in text, form
