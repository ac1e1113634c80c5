"""Posts on a partner's WordPress: one for each story whatever gets lost, theirs once they changed it, gone when killed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syndicator.channels import Accepted
from syndicator.channels.wordpress import Copy, WordPress, check_login
from syndicator.config import Config
from syndicator.delivery.trial_talks import LOOKED_AFTER, TrialTalks
from syndicator.domain.letters import Letter
from syndicator.domain.stories import Image, Rights
from syndicator.domain.subscriptions import ChannelKind, Told
from syndicator.errors import InvalidRequest
from syndicator.house import House
from syndicator.operations.try_out import trials_of
from syndicator.outbound import open_outbound
from tests.channels.parcels import parcel
from tests.channels.talk import Partner, partner_of
from tests.channels.wordpress_target import PASSWORD, WordPressTarget
from tests.clocks import NOON
from tests.exits import as_read
from tests.render.strategies import entry


@pytest.fixture
def site() -> Iterator[WordPressTarget]:
    with WordPressTarget().running() as running:
        yield running


@pytest.fixture
def partner(small_house: House, site: WordPressTarget) -> Iterator[Partner]:
    with to_site(small_house, site) as made:
        yield made


def to_site(house: House, site: WordPressTarget, **options: Any):  # type: ignore[no-untyped-def]
    return partner_of(house, ChannelKind.WORDPRESS, site.url, PASSWORD, **{"user": "desk", "status": "publish", **options})


def only(site: WordPressTarget) -> dict[str, Any]:
    [post] = site.posts.values()
    return post


def test_a_story_becomes_one_post_and_a_correction_changes_it(partner: Partner, site: WordPressTarget) -> None:
    story = partner.desk.publish().story
    assert partner.drain() == ("delivered", "")
    first = only(site)
    assert (first["title"], first["status"]) == ("River gauges go live", "publish")
    assert as_read(first["content"]).count(partner.house.config.notice.text) == 1
    assert "By Lena Ortiz, Daily Caller News Foundation" in first["content"]
    assert '<a rel="canonical" href="https://newsroom.example/river">' in first["content"]
    assert [site.terms["categories"][number]["name"] for number in first["categories"]] == ["Military and Defense"]
    assert [site.terms["tags"][number]["name"] for number in first["tags"]] == ["Floods"]
    partner.desk.publish(correction_note="It was 220.", headline="220 gauges")
    assert partner.drain() == ("delivered", "")
    second = only(site)
    assert (second["id"], second["title"], second["slug"]) == (first["id"], "220 gauges", first["slug"])
    assert "Correction:" in second["content"]
    [copy] = partner.copies
    assert (copy.remote_id, copy.version, copy.sent, copy.story_id) == (first["id"], 2, "", story.id)


def test_what_was_put_where_is_kept_in_either_database(house: House, site: WordPressTarget) -> None:
    with to_site(house, site) as partner:
        for headline in ("First", "Second"):
            partner.desk.publish(headline=headline)
            assert partner.drain() == ("delivered", "")
        assert [(copy.remote_id, copy.version, copy.url) for copy in partner.copies] == [
            (only(site)["id"], 2, f"{site.url}?p={only(site)['id']}")
        ]


@pytest.mark.parametrize("wish", ["trash", "draft"])
def test_a_kill_takes_the_post_off_the_site(small_house: House, site: WordPressTarget, wish: str) -> None:
    with to_site(small_house, site, on_kill=wish) as partner:
        story = partner.desk.publish().story
        partner.drain()
        partner.desk.kill(story)
        assert partner.drain() == ("delivered", "")
        assert only(site)["status"] == wish
        if wish == "draft":
            assert only(site)["title"] == "KILLED: River gauges go live"
            assert "Two hundred" not in only(site)["content"]


def test_a_kill_becomes_a_draft_where_the_site_keeps_no_trash(partner: Partner, site: WordPressTarget) -> None:
    site.keeps_trash = False
    story = partner.desk.publish().story
    partner.drain()
    partner.desk.kill(story)
    assert partner.drain() == ("delivered", "")
    assert (only(site)["status"], site.shown) == ("draft", [])
    assert "Two hundred" not in only(site)["content"]


class Memory:
    """What the channel keeps, without a database."""

    def __init__(self) -> None:
        self.copies: dict[int, Copy] = {}

    def find(self, delivery_id: int) -> Copy:
        return self.copies.get(delivery_id, Copy())

    def keep(self, delivery_id: int, copy: Copy) -> None:
        self.copies[delivery_id] = copy


def test_no_lost_answer_ever_makes_a_second_post(config: Config, site: WordPressTarget) -> None:
    """R20: 200 stories, each with answers lost before or after the fact at random, every second one corrected: 200 posts."""
    chance, lost = random.Random(20), []

    def fate(method: str, route: str) -> str:
        lost.append(chance.choice(["", "", "", "before", "after"]))
        return lost[-1]

    site.fate = fate
    channel = WordPress(open_outbound(config), Memory())
    options = {"user": "desk", "status": "publish", "tags": False, "default_category": 1}
    for number in range(200):
        for version in range(1, 2 + number % 2):
            story = entry(public_id=f"st_{number}", headline=f"Lost & found {number}.{version}", version=version)
            owed = parcel(delivery_id=number, endpoint=site.url, secrets=(PASSWORD,), options=options, entry=story)
            tries = (channel.deliver(owed, NOON) for _ in range(200))
            assert any(outcome == Accepted() for outcome in tries)
    assert len([each for each in lost if each]) > 300
    assert sorted(post["title"] for post in site.shown) == sorted(f"Lost & found {n}.{1 + n % 2}" for n in range(200))
    assert len(site.posts) == 200


def test_a_copy_the_partner_changed_is_left_alone_and_reported(partner: Partner, site: WordPressTarget) -> None:
    story = partner.desk.publish().story
    partner.drain()
    only(site)["content"] += "<p>Our own view.</p>"
    partner.desk.publish(headline="Newer")
    state, reason = partner.drain()
    assert state == "given_up"
    assert "changed its copy" in reason
    assert "Our own view." in only(site)["content"]
    assert partner.copies[0].changed_there
    told = partner.now()
    assert (told.told, told.failing_since, told.failures_in_row) == (Told.GIVEN_UP, None, 0)  # it is no fault of the site
    partner.desk.kill(story)
    assert partner.drain() == ("delivered", "")
    assert only(site)["status"] == "trash"
    with partner.house.sessions() as session:
        [letter] = session.scalars(select(Letter).where(Letter.about == partner.subscription.public_id))
    assert letter.kind == "delivery-given-up"  # and none that says it works again, as it always did
    assert "was given up: the partner changed its copy" in letter.text


def test_with_leave_it_is_overwritten(small_house: House, site: WordPressTarget) -> None:
    with to_site(small_house, site, overwrite="true") as partner:
        partner.desk.publish()
        partner.drain()
        only(site)["content"] += "<p>Our own view.</p>"
        partner.desk.publish(headline="Newer")
        assert partner.drain() == ("delivered", "")
        assert "Our own view." not in only(site)["content"]


def test_what_the_partner_deleted_or_trashed_does_not_come_back(partner: Partner, site: WordPressTarget) -> None:
    partner.desk.publish()
    partner.drain()
    only(site).update(status="trash", slug=only(site)["slug"] + "__trashed")
    partner.desk.publish(headline="Newer")
    assert partner.drain()[0] == "given_up"
    site.posts.clear()
    partner.desk.publish(headline="Newer still")
    assert partner.drain()[0] == "given_up"
    assert site.posts == {}


def test_a_status_the_partner_chose_since_stays(small_house: House, site: WordPressTarget) -> None:
    with to_site(small_house, site, status="draft") as partner:
        partner.desk.publish()
        partner.drain()
        assert only(site)["status"] == "draft"
        only(site)["status"] = "publish"
        partner.desk.publish(headline="Newer")
        assert partner.drain() == ("delivered", "")
        assert (only(site)["status"], only(site)["title"]) == ("publish", "Newer")


def test_a_kill_waits_for_a_post_that_may_still_appear(partner: Partner, site: WordPressTarget) -> None:
    slow = True
    site.fate = lambda method, route: "before" if slow and (method, route) == ("POST", "/wp/v2/posts") else ""
    story = partner.desk.publish().story
    partner.drain()
    partner.desk.kill(story)
    assert partner.drain()[0] == "owed"
    slow = False
    site.posts[5] = {
        "id": 5,
        "title": "River",
        "content": "x",
        "excerpt": "",
        "slug": f"wire-{story.public_id.replace('_', '-')}",
    }
    site.posts[5] |= {"status": "publish", "meta": {}, "categories": [], "tags": []}  # the create has come to its end there
    assert partner.again() == ("delivered", "")
    assert site.shown == []


def test_missing_rights_are_said_plainly(small_house: House, site: WordPressTarget) -> None:
    site.role = "contributor"
    with to_site(small_house, site) as partner:
        partner.desk.publish()
        assert "may not publish" in partner.drain()[1]
        site.role = "author"
        assert partner.again() == ("delivered", "")
    post = only(site)
    assert (post["categories"], post["tags"]) == ([1], [])  # an author makes no terms; the story comes without


def test_an_authors_account_sees_its_escaped_title_as_unchanged(small_house: House, site: WordPressTarget) -> None:
    site.role = "author"
    answers = iter(["", "after"])
    site.fate = lambda method, route: next(answers, "") if (method, route) == ("POST", "/wp/v2/posts") else ""
    with to_site(small_house, site) as partner:
        for number in range(2):
            partner.desk.publish(external_id=f"story-{number}", headline="Law & Order")
            partner.drain()
        assert partner.again() == ("delivered", "")
    assert [post["title"] for post in site.posts.values()] == ["Law &amp; Order"] * 2


def test_categories_are_mapped_by_name_or_number_and_existing_terms_used(small_house: House, site: WordPressTarget) -> None:
    site.terms["categories"][7] = {"id": 7, "name": "Law &amp; Order", "slug": "law-order"}
    options = {"categories": json.dumps({"military and defense": "Law & Order", "Floods": "1"}), "tags": "false"}
    with to_site(small_house, site, **options) as partner:
        partner.desk.publish()
        assert partner.drain() == ("delivered", "")
    assert (sorted(only(site)["categories"]), only(site)["tags"]) == ([1, 7], [])


def test_hints_to_search_engines_go_where_the_site_keeps_them(small_house: House, site: WordPressTarget) -> None:
    site.meta = {"_yoast_wpseo_canonical", "_yoast_wpseo_meta-robots-noindex"}
    with to_site(small_house, site, noindex=True) as partner:
        partner.desk.publish()
        partner.drain()
        assert only(site)["meta"] == {
            "_yoast_wpseo_canonical": "https://newsroom.example/river",
            "_yoast_wpseo_meta-robots-noindex": "1",
        }
        partner.desk.publish(headline="Newer")
        assert partner.drain() == ("delivered", "")


def test_the_terms_alone_may_ask_for_noindex(small_house: House, site: WordPressTarget) -> None:
    license_ = small_house.config.license.model_copy(update={"noindex": True})
    object.__setattr__(small_house, "config", small_house.config.model_copy(update={"license": license_}))
    site.meta = {"_yoast_wpseo_meta-robots-noindex"}
    with to_site(small_house, site) as partner:
        partner.desk.publish()
        partner.drain()
    assert only(site)["meta"] == {"_yoast_wpseo_meta-robots-noindex": "1"}


@pytest.mark.parametrize(("wanted", "found"), [(True, ["free.jpg"]), (False, [])])
def test_only_cleared_pictures_leave(small_house: House, site: WordPressTarget, wanted: bool, found: list[str]) -> None:
    images = (
        Image("https://pictures.example/free.jpg", "Free", "Ortiz", Rights.FREE),
        Image("https://pictures.example/agency.jpg", "Agency", "AP", Rights.NONE),
    )
    with to_site(small_house, site, images=wanted) as partner:
        partner.desk.publish(images=images)
        partner.drain()
    assert [name for name in ("free.jpg", "agency.jpg") if name in only(site)["content"]] == found


def test_maintenance_is_waited_for(partner: Partner, site: WordPressTarget) -> None:
    site.maintenance = True
    partner.desk.publish()
    assert partner.drain() == ("owed", "http-503")
    assert partner.owed[-1].next_attempt_at == partner.house.clock() + timedelta(seconds=600)
    site.maintenance = False
    assert partner.again() == ("delivered", "")


def test_an_account_is_tried_before_it_is_kept(small_house: House, site: WordPressTarget) -> None:
    def tried(password: str = PASSWORD) -> str:
        return check_login(open_outbound(small_house.config), site.url, "desk", password, small_house.clock())

    assert tried() == ""
    assert tried("wrong") == "WordPress did not take the application password"
    site.role = "subscriber"
    assert tried() == "this WordPress user may not make posts"


def test_the_password_goes_nowhere_else(partner: Partner, site: WordPressTarget, caplog: pytest.LogCaptureFixture) -> None:
    partner.desk.publish()
    partner.drain()
    assert PASSWORD not in caplog.text
    assert partner.now().secret != PASSWORD
    with (
        pytest.raises(InvalidRequest, match="password or key"),
        partner_of(partner.house, ChannelKind.WORDPRESS, site.url, "", user="desk"),
    ):
        pass


@pytest.mark.parametrize("status", ["publish", "pending", "draft"])
def test_a_test_send_is_a_draft_that_goes_into_the_trash_whatever_the_partner_chose(
    small_house: House, site: WordPressTarget, status: str
) -> None:
    seen: list[str] = []

    def look(method: str, route: str) -> str:
        seen.extend(post["status"] for post in site.posts.values())
        return ""

    site.fate = look
    with to_site(small_house, site, status=status, default_category="Wire") as partner:
        trial = partner.tried()
        assert (trial.outcome, partner.owed, partner.copies) == ("accepted", [], [])
    post = only(site)
    assert trial.done == (
        f"post {post['id']} was made as a draft and put into the trash; "
        "the account may publish posts and may make categories and tags"
    )
    assert (post["status"], set(seen)) == ("trash", {"draft"})
    assert post["title"] == "EXAMPLE, NOT FOR PUBLICATION: how stories of “latest” come"
    assert as_read(post["content"]).count(small_house.config.notice.text) == 1
    assert [site.terms["categories"][number]["name"] for number in post["categories"]] == ["Wire"]


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("lost", range(6))
def test_a_lost_answer_leaves_no_second_example_and_none_outside_the_trash(
    partner: Partner, site: WordPressTarget, lost: int, fate: str
) -> None:
    answers = iter([""] * lost + [fate])
    site.fate = lambda method, route: next(answers, "")
    partner.tried()
    partner.house.clock.now += LOOKED_AFTER / 2  # type: ignore[attr-defined]
    TrialTalks(partner.house, open_outbound(partner.house.config)).hold_due()
    assert [post["status"] for post in site.posts.values()] in ([], ["trash"])
    with partner.house.sessions() as session:
        [trial] = trials_of(session, partner.subscription)
    assert trial.finished_at is not None
    assert (trial.outcome == "accepted") == bool(site.posts)


def test_a_test_send_says_which_right_is_missing_before_it_writes(partner: Partner, site: WordPressTarget) -> None:
    site.role = "contributor"
    trial = partner.tried()
    assert (trial.outcome, site.posts) == ("deferred", {})
    assert trial.reason.startswith("this WordPress user may not publish")
    site.role = "author"
    assert partner.tried().done.endswith("the account may publish posts and may not make categories and tags")


def test_a_test_send_to_a_site_without_trash_leaves_a_draft_and_says_so(partner: Partner, site: WordPressTarget) -> None:
    site.keeps_trash = False
    trial = partner.tried()
    assert only(site)["status"] == "draft"
    assert "left as a draft, since this site keeps no trash" in trial.done
