"""WordPress as a source, against a loopback site with the traps of the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import pytest

from syndicator import config
from syndicator.domain.stories import Rights
from syndicator.intake.pulling import Pull, SourceFailed
from syndicator.intake.wordpress import cleared, discover, pull, still_gone
from syndicator.outbound import Outbound
from tests.intake.wordpress_site import Answer, WordPressSite

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NEWSROOM = "Daily Caller News Foundation"
GET = Outbound(config.Outbound(allow_networks=(IPv4Network("127.0.0.0/8"),)), "test").get


@pytest.fixture
def site() -> Iterator[WordPressSite]:
    with WordPressSite().running() as running:
        yield running


def read(
    site: WordPressSite, cursor: dict[str, Any] | None = None, at: datetime = NOON, auth: tuple[str, str] | None = None
) -> Pull:
    return pull(_get, site.url, cursor or {}, auth=auth, newsroom=NEWSROOM, at=at)


def _get(url: str, **options: Any) -> Any:
    return GET(url, max_bytes=50_000_000, **options)


def ids(pulled: Pull) -> set[str]:
    return {draft.external_id for draft in pulled.drafts}


def test_a_post_becomes_a_draft_with_its_names_unescaped_and_its_times_in_utc(site: WordPressSite) -> None:
    site.add(7)
    (draft,) = read(site).drafts
    assert (draft.external_id, draft.headline) == ("7", "Post 7 – it’s & more")
    assert (draft.byline, draft.section, draft.tags) == (("Jane O’Roe",), "Law & Order", ("Bridges",))
    assert draft.published_at == datetime(2026, 6, 30, 9, tzinfo=UTC)
    assert draft.canonical_url == f"{site.url}2026/post-7/"
    assert (draft.body_html, draft.summary) == ("<p>Words of 7.</p>", "About 7…")


def test_a_whole_site_comes_in_though_many_posts_share_one_second(site: WordPressSite) -> None:
    for number in range(1, 251):
        site.add(number)
    pulled = read(site)
    assert ids(pulled) == set(map(str, range(1, 251)))
    assert pulled.failure is None
    assert pulled.cursor["modified"] == "2026-06-30T10:00:00+00:00"


def test_only_edits_come_in_afterwards_and_none_of_the_same_second_is_missed(site: WordPressSite) -> None:
    site.add(1, "2026-06-30T08:00:00")
    site.add(2, "2026-06-30T10:00:00")
    cursor = read(site).cursor
    site.add(3, "2026-06-30T10:00:00")  # came while we read
    site.add(4, "2026-06-30T10:05:00")
    assert ids(read(site, cursor, NOON + timedelta(minutes=5))) == {"2", "3", "4"}
    assert any(query.get("modified_after") == "2026-06-30T09:59:58Z" for _, query, _ in site.asked)


def test_protected_and_unpublished_posts_stay_outside(site: WordPressSite) -> None:
    site.add(1, content={"rendered": "", "protected": True})
    site.add(2, status="private")
    site.add(3)
    assert ids(read(site)) == {"3"}


def test_a_post_that_got_a_password_later_is_reported(site: WordPressSite) -> None:
    site.add(1)
    cursor = read(site).cursor
    site.add(1, "2026-06-30T11:00:00", content={"rendered": "", "protected": True})
    pulled = read(site, cursor)
    assert [(gone.external_id, gone.why) for gone in pulled.gone] == [("1", "behind a password at its source")]


def test_embedded_error_objects_and_missing_parts_do_no_harm(site: WordPressSite) -> None:
    error = {"code": "rest_forbidden", "message": "no", "data": {"status": 401}}
    site.add(1, _embedded={"author": [error], "wp:featuredmedia": [error], "wp:term": [[error], error]})
    site.add(2, title=None)
    del site.add(3)["_embedded"]
    pulled = read(site)
    assert ids(pulled) == {"1", "3"}
    assert list(pulled.problems) == ["post 2: it has no title that is text"]
    assert {draft.byline for draft in pulled.drafts} == {()}


@pytest.mark.parametrize(
    "change",
    [
        {"content": {"rendered": None}},
        {"content": []},
        {"title": {"rendered": 7}},
        {"title": "x"},
        {"_embedded": [1]},
        {"_embedded": {"author": 7}},
        {"_embedded": {"wp:term": [[{"taxonomy": "category"}]]}},
        {"_embedded": {"wp:featuredmedia": [{"source_url": "/a.jpg", "caption": "x"}]}},
        {"excerpt": "x"},
        {"yoast_head_json": [1], "_embedded": {}},
    ],
)
def test_a_malformed_post_is_a_problem_and_leaves_the_others(site: WordPressSite, change: dict[str, Any]) -> None:
    site.add(1, **change)
    site.add(2)
    pulled = read(site)
    assert (ids(pulled), len(pulled.problems), pulled.failure) == ({"2"}, 1, None)


@pytest.mark.parametrize("modified", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "0000-00-00 00:00:00", "never", 7, None])
def test_an_impossible_time_does_not_move_the_cursor_out_of_reach(site: WordPressSite, modified: Any) -> None:
    site.add(1)
    cursor = read(site).cursor
    site.trouble = lambda path, query, answer: (
        (answer[0], answer[1], answer[2].replace(b'"2026-06-30T10:00:00"', json.dumps(modified).encode()))
    )
    moved = read(site, cursor).cursor
    site.trouble = lambda path, query, answer: answer
    site.add(2, f"{NOON:%Y-%m-%dT%H:%M:%S}")
    assert "2" in ids(read(site, moved))


@pytest.mark.parametrize(
    ("credit", "free"),
    [
        ("", False),
        ("Getty Images", False),
        ("AP Photo/DCNF", False),
        ("Someone Else", False),
        ("DCNF/Jane Roe", True),
        ("Jane Roe, The Daily Caller News Foundation", True),
    ],
)
def test_a_picture_is_cleared_only_by_our_own_credit(credit: str, free: bool) -> None:
    assert cleared(credit, NEWSROOM) is free


def test_a_featured_picture_comes_with_its_caption_credit_and_rights(site: WordPressSite) -> None:
    media = {
        "source_url": f"{site.url}a.jpg",
        "caption": {"rendered": "<p>A street (Photo by X/Getty Images)</p>"},
        "media_details": {"image_meta": {"credit": ""}},
    }
    post = site.add(1)
    post["_embedded"]["wp:featuredmedia"] = [media]
    (picture,) = read(site).drafts[0].images
    assert (picture.url, picture.rights) == (f"{site.url}a.jpg", Rights.NONE)
    assert picture.caption == "A street (Photo by X/Getty Images)"


def test_a_scheduled_or_backdated_post_is_found_by_the_hourly_sweep(site: WordPressSite) -> None:
    site.add(1)
    cursor = read(site).cursor
    site.add(2, "2026-06-01T00:00:00")
    assert ids(read(site, cursor, NOON + timedelta(minutes=30))) == {"1"}
    assert ids(read(site, cursor, NOON + timedelta(hours=1))) == {"1", "2"}


def test_what_vanished_is_reported_once_by_its_own_answer(site: WordPressSite) -> None:
    for number in (1, 2, 3):
        site.add(number)
    cursor = read(site).cursor
    del site.posts[1]
    site.hidden.add(2)
    pulled = read(site, cursor, NOON + timedelta(hours=2))
    assert {(gone.external_id, gone.why) for gone in pulled.gone} == {
        ("1", "deleted at its source"),
        ("2", "no longer public at its source"),
    }
    assert read(site, pulled.cursor, NOON + timedelta(hours=4)).gone == ()


@pytest.mark.parametrize("status", [403, 404, 200])
def test_absence_behind_a_wall_says_nothing(site: WordPressSite, status: int) -> None:
    for number in (1, 2):
        site.add(number)
    cursor = read(site).cursor
    del site.posts[1]

    def wall(path: str, query: dict[str, str], answer: Answer) -> Answer:
        return (status, {}, b"<html>blocked</html>") if path.endswith("/posts/1") else answer

    site.trouble = wall
    pulled = read(site, cursor, NOON + timedelta(hours=2))
    assert pulled.gone == ()
    assert "1" in pulled.cursor["known"]


def test_an_old_story_that_vanished_is_found_when_its_turn_comes(site: WordPressSite) -> None:
    """Each sweep watches the newest thousand; of all that we offer it asks after a share, in turn."""
    for number in range(1, 1031):
        site.add(number)
    ours = [(5000 + number, str(number)) for number in range(1, 1031)]

    def offered(after: int) -> list[tuple[int, str]]:
        return [each for each in ours if each[0] > after][:400]

    cursor = read(site).cursor
    del site.posts[2]
    found = []
    for hours in (2, 4, 6, 8, 10):
        pulled = pull(_get, site.url, cursor, auth=None, newsroom=NEWSROOM, at=NOON + timedelta(hours=hours), offered=offered)
        cursor = pulled.cursor
        found.append(([each.external_id for each in pulled.gone], cursor["offered_after"]))
        site.posts.pop(3, None)  # once its turn is over
    assert found == [(["2"], 5400), ([], 5800), ([], 6030), ([], 0), (["2", "3"], 5400)]


def test_a_revoked_password_moves_no_cursor_and_makes_nothing_vanish(site: WordPressSite) -> None:
    """WordPress answers a wrong password as it answers anybody: 200, and less to see."""
    site.members = {2, 3}
    for number in (1, 2):
        site.add(number)
    auth = ("editor", "secret")
    cursor = read(site, auth=auth).cursor
    site.add(3, "2026-06-30T11:00:00")
    site.revoked = True
    pulled = read(site, cursor, NOON + timedelta(hours=2), auth)
    assert (pulled.drafts, pulled.gone) == ((), ())
    assert "does not accept the user name and password" in str(pulled.failure)
    with pytest.raises(SourceFailed):
        still_gone(_get, site.url, cursor, ["2"], auth=auth, at=NOON)
    site.revoked = False
    assert "3" in ids(read(site, pulled.cursor, NOON + timedelta(hours=2), auth))


def half(answer: Answer) -> Answer:
    return answer[0], answer[1], answer[2][: len(answer[2]) // 2]


def short(answer: Answer) -> Answer:
    return answer[0], answer[1], b"[]"


def with_php_notice(answer: Answer) -> Answer:
    return answer[0], answer[1], b"<br />\n<b>Notice</b>: Undefined index in /x.php\n" + answer[2]


@pytest.mark.parametrize("break_answer", [half, short, with_php_notice, lambda answer: (200, {}, b'{"code":"x"}')])
@pytest.mark.parametrize("broken_page", ["1", "2"])
def test_a_broken_answer_leaves_the_cursor_where_it_was(site: WordPressSite, break_answer: Any, broken_page: str) -> None:
    site.add(1, "2026-06-29T00:00:00")
    cursor = read(site).cursor
    for number in range(2, 152):
        site.add(number)

    def trouble(path: str, query: dict[str, str], answer: Answer) -> Answer:
        return break_answer(answer) if query.get("page") == broken_page and "modified_after" in query else answer

    site.trouble = trouble
    pulled = read(site, cursor)
    assert pulled.failure is not None
    assert pulled.cursor.get("modified") == cursor["modified"]
    site.trouble = lambda path, query, answer: answer
    assert {str(number) for number in range(2, 152)} <= ids(pulled) | ids(read(site, pulled.cursor))


def test_a_page_past_the_end_only_means_the_end(site: WordPressSite) -> None:
    for number in range(1, 101):
        site.add(number)

    def without_totals(path: str, query: dict[str, str], answer: Answer) -> Answer:
        return answer[0], {}, answer[2]

    site.trouble = without_totals
    pulled = read(site, {"api": f"{site.url}wp-json/"})
    assert (len(pulled.drafts), pulled.failure) == (100, None)


def test_posts_that_shift_while_paging_are_read_again(site: WordPressSite) -> None:
    for number in range(1, 151):
        site.add(number)

    def trash_one(path: str, query: dict[str, str], answer: Answer) -> Answer:
        if query.get("page") == "1" and "orderby" in query and 1 in site.posts:
            del site.posts[1]
        return answer

    site.trouble = trash_one
    first = read(site)
    assert set(map(str, range(2, 151))) <= ids(first) | ids(read(site, first.cursor))


@pytest.mark.parametrize(("pretty", "link_header"), [(True, True), (True, False), (False, False), (False, True)])
def test_the_api_is_found_wherever_the_site_keeps_it(site: WordPressSite, pretty: bool, link_header: bool) -> None:
    site.pretty, site.link_header = pretty, link_header
    site.add(1)
    assert discover(_get, site.url, None, NOON) == f"{site.url}{'wp-json/' if pretty else '?rest_route=/'}"
    assert ids(read(site)) == {"1"}


def test_a_site_without_the_api_says_so(site: WordPressSite) -> None:
    site.trouble = lambda path, query, answer: (200, {}, b"<html></html>")
    with pytest.raises(SourceFailed, match="no WordPress API"):
        read(site)


def test_a_busy_site_tells_when_to_come_back(site: WordPressSite) -> None:
    site.trouble = lambda path, query, answer: (503, {"Retry-After": "600"}, b"maintenance")
    with pytest.raises(SourceFailed) as failure:
        read(site)
    assert failure.value.retry_after_seconds == 600


def test_credentials_go_to_the_sites_own_api_only(site: WordPressSite) -> None:
    with WordPressSite().running() as other:
        other.add(1)
        elsewhere = {"Link": f'<{other.url}wp-json/>; rel="https://api.w.org/"'}
        site.trouble = lambda path, query, answer: (answer[0], elsewhere, answer[2]) if path == "/" else answer
        assert ids(read(site, auth=("editor", "secret"))) == {"1"}
        assert all(authorization is None for _, _, authorization in other.asked)
        assert site.asked[0][2] is not None


def test_a_large_backlog_goes_on_where_the_last_pull_had_to_stop(site: WordPressSite) -> None:
    for number in range(1, 251):
        site.add(number)
    pulled = read(site, {"page": 3, "newest": "2026-06-30T10:00:01+00:00"})
    assert {str(number) for number in range(201, 251)} <= ids(pulled)
    assert pulled.cursor["modified"] == "2026-06-30T10:00:01+00:00"
    assert pulled.cursor["page"] == 1
