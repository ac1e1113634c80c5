"""What people type is kept to what can be seen (reliability S23)."""

from __future__ import annotations

import pytest

from syndicator.domain.answers import LONGEST_TYPED, read_answers
from syndicator.domain.publishers import read_domain, read_name
from syndicator.domain.visible import one_visible_line, visible_lines
from syndicator.errors import InvalidForm, InvalidRequest

UNSEEN = {
    "a control": "\x07",
    "an override of the direction": "\u202e",
    "a mark of direction": "\u200f",
    "a joiner": "\u200d",
    "a soft hyphen": "\xad",
    "a byte order mark": "\ufeff",
    "an isolate": "\u2066",
    "a tag": "\U000e0041",
    "a filler of Hangul": "\u3164",
    "a narrow filler of Hangul": "\uffa0",
    "a variation": "\ufe0f",
    "a variation from the supplement": "\U000e0101",
    "an empty cell of Braille": "\u2800",
    "a grapheme joiner": "\u034f",
    "half a pair": "\ud800",
    "nothing assigned": "\u0378",
}


@pytest.mark.parametrize("mark", UNSEEN.values(), ids=UNSEEN)
def test_nothing_unseen_stays_in_a_name_or_a_text(mark: str) -> None:
    assert one_visible_line(f"Cou{mark}rier {mark} Media{mark}") == "Courier Media"
    assert visible_lines(f"One{mark}\r\ntwo{mark}") == "One\ntwo"
    assert read_answers({"organisation": f"Cou{mark}rier", "use": f"He{mark}re"}).organisation == "Courier"
    with pytest.raises(InvalidRequest):
        read_name(mark * 3)


def test_blanks_and_breaks_of_every_kind_stay_what_they_are_for() -> None:
    assert one_visible_line(" Courier\u00a0Media\u2028of\tKyiv ") == "Courier Media of Kyiv"
    assert visible_lines("Print:\u202f120\u00a0000\rWeb:\t5 \n") == "Print: 120 000\nWeb:\t5"
    assert (
        one_visible_line("Kur\u2019yer Za\u0142o\u017cycieli \u65b0\u805e \u0939\u093f\u0928\u094d\u0926\u0940").count(" ") == 3
    )


def test_what_is_far_too_long_is_refused_before_it_is_read() -> None:
    for field in ("use", "organisation", "sites", "editorial_email", "about_url"):
        with pytest.raises(InvalidForm) as refused:
            read_answers({field: "a." * LONGEST_TYPED})
        assert set(refused.value.faults) == {field}


def test_a_site_fits_into_a_name_of_the_net_and_www_is_left_out_only_before_a_domain() -> None:
    assert read_answers({"sites": "https://www.Courier.example/news www.com"}).sites == ("courier.example", "www.com")
    with pytest.raises(InvalidRequest):
        read_domain(".".join(["courier"] * 40))
