"""The second lock against characters that no XML may hold."""

from __future__ import annotations

from dataclasses import replace

from syndicator.render.plain import cleaned
from tests.render.strategies import TERMS, entry


def test_what_is_clean_stays_the_same_object() -> None:
    story = entry(headline="Plain words")
    assert cleaned(story) is story
    assert cleaned(TERMS) is TERMS


def test_what_was_cleaned_and_then_changed_is_looked_through_again() -> None:
    story = cleaned(entry(headline="Plain\x00 words"))
    assert story.headline == "Plain words"
    assert cleaned(replace(story, headline="Other\x0b words")).headline == "Other words"


def test_a_mark_of_having_been_looked_through_makes_no_difference_between_stories() -> None:
    assert cleaned(entry()) == entry()
    assert repr(cleaned(entry())) == repr(entry())
