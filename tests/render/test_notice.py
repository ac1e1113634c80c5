"""The notice: exactly once, whole, beside the license, in every text that leaves."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from syndicator.domain.stories import PubStatus
from syndicator.render.entry import Entry
from syndicator.render.html import render_html
from syndicator.render.jsonld import render_jsonld
from syndicator.render.notice import html_with_notice, notice_html, notice_text, summary_with_notice, text_with_notice, title_of
from syndicator.render.plain import plain_text
from syndicator.render.text import render_text
from tests.render.strategies import NOON, TERMS, entries, entry, killed


@given(entries())
@settings(max_examples=60, deadline=None)
def test_every_text_of_a_story_has_the_notice_once(story: Entry) -> None:
    pages = (html_with_notice(story, TERMS), summary_with_notice(story, TERMS), render_html(story, TERMS))
    texts = (text_with_notice(story, TERMS), render_text(story, TERMS), render_jsonld(story, TERMS)["articleBody"])
    assert [text.count(TERMS.notice_text) for text in (*map(plain_text, pages), *texts)] == [1] * 6


def test_the_sentence_stays_whole_when_tags_are_stripped() -> None:
    assert plain_text(notice_html(TERMS)).startswith(TERMS.notice_text)


def test_the_contact_address_is_a_link_and_the_license_stands_beside_it() -> None:
    html = notice_html(TERMS)
    assert '<a href="mailto:licensing@example.org">licensing@example.org</a>' in html
    assert f'<a rel="license" href="{TERMS.license_url}">Free-use license</a>' in html
    assert TERMS.license_url in notice_text(TERMS)


def test_a_notice_without_the_address_is_left_as_it_is() -> None:
    assert "mailto:" not in notice_html(replace(TERMS, notice_text="Free for all eligible publishers."))


def test_a_notice_of_markup_is_shown_and_not_run() -> None:
    assert "<script>" not in notice_html(replace(TERMS, notice_text="<script>alert(1)</script> licensing@example.org"))


def test_a_withdrawn_story_has_no_body_left_in_any_text() -> None:
    for status, word in ((PubStatus.CANCELED, "KILLED: "), (PubStatus.WITHHELD, "TAKEN DOWN: ")):
        story = killed(status=status)
        texts = [
            html_with_notice(story, TERMS),
            text_with_notice(story, TERMS),
            render_text(story, TERMS),
            render_html(story, TERMS),
        ]
        for text in texts:
            assert "did not vote" not in text
            assert "pictures.example" not in text
            assert "Reason: invented" in text
        assert title_of(story).startswith(word)
        assert render_text(story, TERMS).startswith(word)


def test_a_correction_and_an_embargo_are_told_in_the_body() -> None:
    story = entry(correction_note="The vote was on <Friday>.", embargoed_until=NOON)
    text = text_with_notice(story, TERMS)
    assert text.startswith("EMBARGOED until 2026-11-20 12:00 UTC. Do not publish before.")
    assert "Correction: The vote was on <Friday>." in text
    assert text.index("Correction:") < text.index(TERMS.notice_text)
    assert "&lt;Friday&gt;" in html_with_notice(story, TERMS)


def test_the_plain_text_reads_well() -> None:
    assert render_text(entry(), TERMS) == (
        "County board delays vote at AT&T plant: “no” 😀\n\n"
        "By Jane Roe and John Doe, Example News Foundation\n2026-11-20T12:00:00Z, version 2 (usable)\n\n"
        "The board met on Friday.\n\nIt did not vote.\n\n"
        "Links in this story:\n- met: https://board.example/minutes\n\n"
        "First published at https://news.example/board-delays-vote\n© 2026 Example News Foundation\n\n"
        f"{TERMS.notice_text}\nFree-use license: {TERMS.license_url}\n"
    )


def test_the_html_can_be_pasted_with_or_without_its_headline() -> None:
    whole = render_html(entry(), TERMS)
    head, _, rest = whole.partition("\n")
    assert head == (
        '<article class="syndicated-story" lang="en-US" data-uri="tag:wire.example,2026:story/1" data-version="2" '
        'data-status="usable">'
    )
    assert rest.startswith("<h1>County board delays vote at AT&amp;T plant")
    assert "<figcaption>The board (J. Doe/Example)</figcaption>" in whole
    assert '<a href="https://news.example/board-delays-vote">' in whole
    assert "<h1>" not in render_html(entry(), TERMS, headline=False)


def test_a_story_of_unknown_language_claims_none() -> None:
    assert "lang=" not in render_html(entry(language=""), TERMS)


def test_an_address_that_is_not_of_the_web_is_never_linked() -> None:
    story = entry(canonical_url="javascript:alert(1)")
    assert "javascript:" not in render_html(story, TERMS) + render_text(story, TERMS)


def test_lists_and_line_breaks_survive_as_plain_text() -> None:
    assert plain_text("<p>a<br>b</p><ul><li>c</li><li>d <b>e</b></li></ul><p></p>") == "a\nb\n\n- c\n\n- d e"
