"""Names that read alike are found, and letters of two scripts in one word are seen (reliability S23)."""

from __future__ import annotations

import pytest

from syndicator.domain.lookalikes import look_of, mixed_words, shown_domain

ALIKE = [
    ("Daily Post", "Dаily Pоst"),  # Cyrillic а and о
    ("Daily Post", "DAILY  POST"),
    ("Daily Post", "Daily-Post"),
    ("Daily Post", "Dáily Pöst"),
    ("Daily Post", "Daily\u200b Post"),
    ("Daily Post", "Ｄａｉｌｙ Ｐｏｓｔ"),
    ("Daily Post", "Dai1y P0st"),
    ("Modern Times", "Modem Times"),
    ("paypal.example", "раураl.example"),
]


@pytest.mark.parametrize(("name", "other"), ALIKE)
def test_names_that_read_alike_have_the_same_key(name: str, other: str) -> None:
    assert look_of(name) == look_of(other)


def test_names_that_differ_keep_apart() -> None:
    names = ["Daily Post", "Daily Press", "Evening Post", "The Daily Post", "Дейли Пост", "每日邮报", "Die Zeit", "Le Monde"]
    assert len({look_of(name) for name in names}) == len(names)


def test_words_of_two_scripts_are_named_and_words_of_one_are_not() -> None:
    assert mixed_words("The Dаily Post") == ["Dаily"]
    assert mixed_words("Новая газета and Le Monde 24") == []
    label = "pаypal".encode("idna").decode()
    assert mixed_words(f"www.{label}.example") == ["pаypal"]
    assert shown_domain(f"{label}.example") == "pаypal.example"


def test_a_broken_label_is_taken_as_it_stands() -> None:
    assert shown_domain("xn--\u0661.example") == "xn--\u0661.example"
