"""What a site's robots.txt says to us (RFC 9309)."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syndicator.intake.robots import allows


@pytest.mark.parametrize(
    ("robots", "target", "allowed"),
    [
        ("", "/news/1", True),
        ("User-agent: *\nDisallow: /", "/news/1", False),
        ("User-agent: *\nDisallow:", "/news/1", True),
        ("Disallow: /", "/news/1", True),  # no group
        ("user-agent: *\nDISALLOW: /private # ours", "/private/1", False),
        ("User-agent: *\nAllow: /\nDisallow: /private", "/private/1", False),  # the longest decides, not the first
        ("User-agent: *\nDisallow: /\nAllow: /news", "/news/1", True),
        ("User-agent: *\nDisallow: /news\nAllow: /news", "/news/1", True),
        ("User-agent: *\nDisallow: /\n\nUser-agent: Syndicator\nDisallow: /staff", "/news/1", True),
        ("User-agent: syndicator/2.0\nDisallow: /", "/news/1", False),
        ("User-agent: Other\nUser-agent: Syndicator\nDisallow: /news\n\nUser-agent: *\nDisallow: /x", "/news/1", False),
        ("User-agent: Syndicator\nDisallow: /a\nUser-agent: Syndicator\nDisallow: /news", "/news/1", False),
        ("User-agent: Other\nDisallow: /", "/news/1", True),
        ("User-agent: *\nDisallow: /*.pdf$", "/news/1.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/news/1.pdf?x", True),
        ("User-agent: *\nDisallow: /news/1$", "/news/1", False),
        ("User-agent: *\nDisallow: /news/1$", "/news/12", True),
        ("User-agent: *\nDisallow: /*/draft/*/x", "/a/draft/b/x/y", False),
        ("User-agent: *\nDisallow: /*?id=", "/news?id=7", False),
        ("User-agent: *\nDisallow: /a%C3%A9", "/aé/1", False),
        ("\ufeffUser-agent: *\r\nDisallow: /\r\n", "/news/1", False),
        ("<html>not found</html>", "/news/1", True),
    ],
)
def test_the_rules_of_our_group_decide_by_the_longest_that_fits(robots: str, target: str, allowed: bool) -> None:
    assert allows(robots, "Syndicator", target) is allowed


@given(st.text(alphabet="User-agent:*\n Disallow$/ab#", max_size=200))
def test_whatever_a_site_writes_is_read(robots: str) -> None:
    allows(robots, "Syndicator", "/ab/ab")


def test_a_pattern_of_many_stars_costs_no_time() -> None:
    began = process_time()
    assert allows("User-agent: *\n" + f"Disallow: /{'*a' * 200}b\n" * 1000, "Syndicator", "/" + "a" * 2000)
    assert process_time() - began < 5
