"""WordPress exports: what becomes a story, what never does, and what hostile files cost (S4, S28, S30)."""

from __future__ import annotations

import gzip
import io
import resource
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from syndicator.domain.stories import Rights, Source, SourceKind, Story, StoryDraft
from syndicator.errors import IntakeError
from syndicator.house import House
from syndicator.intake import archives
from syndicator.intake.apart import parse_apart
from syndicator.intake.wxr import paragraphs, read_wxr
from syndicator.operations.import_stories import import_stories
from syndicator.operations.publish import publish_story
from syndicator.operations.sources import add_source
from syndicator.outbound import Outbound

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Example</title>
<wp:wxr_version>1.2</wp:wxr_version><wp:base_site_url>https://news.example</wp:base_site_url>
<wp:base_blog_url>https://news.example</wp:base_blog_url>
<wp:author><wp:author_login>jroe</wp:author_login><wp:author_email>secret@news.example</wp:author_email>
<wp:author_display_name><![CDATA[Jane Roe]]></wp:author_display_name></wp:author>
<wp:author><wp:author_login>mail@news.example</wp:author_login><wp:author_email>mail@news.example</wp:author_email>
<wp:author_display_name>mail@news.example</wp:author_display_name></wp:author>
"""
FOOT = "</channel></rss>"


def item(
    number: int | str, *, status: str = "publish", kind: str = "post", password: str = "", author: str = "jroe", more: str = ""
) -> str:
    return f"""<item><title>Story {number} &amp; more</title><link>https://news.example/story-{number}</link>
<pubDate>Fri, 20 Nov 2026 12:00:00 +0000</pubDate><dc:creator><![CDATA[{author}]]></dc:creator>
<guid isPermaLink="false">https://news.example/?p={number}</guid><description></description>
<content:encoded><![CDATA[The first paragraph of {number}.

The <em>second</em> one.]]></content:encoded><excerpt:encoded><![CDATA[In short.]]></excerpt:encoded>
<wp:post_id>{number}</wp:post_id><wp:post_date_gmt>2026-11-20 12:00:00</wp:post_date_gmt><wp:status>{status}</wp:status>
<wp:post_type>{kind}</wp:post_type><wp:post_password>{password}</wp:post_password>
<category domain="category" nicename="world">World</category><category domain="post_tag" nicename="dams">Dams</category>
<wp:comment><wp:comment_author>A Reader</wp:comment_author><wp:comment_author_email>reader@mail.example</wp:comment_author_email>
<wp:comment_content>First comment!</wp:comment_content></wp:comment>{more}</item>"""


def export(*items: str) -> bytes:
    return (HEAD + "".join(items) + FOOT).encode()


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_published_post_becomes_a_story_with_its_author_section_and_tags() -> None:
    site, (draft,), problems = read_wxr(export(item(7)), "export.xml")
    assert (site, problems) == ("https://news.example", ())
    assert (draft.external_id, draft.headline, draft.byline) == ("7", "Story 7 & more", ("Jane Roe",))
    assert (draft.section, draft.tags, draft.summary) == ("World", ("Dams",), "In short.")
    assert draft.body_html == "<p>The first paragraph of 7.</p>\n<p>The <em>second</em> one.</p>"
    assert draft.canonical_url == "https://news.example/story-7"
    assert draft.published_at is not None
    assert draft.published_at.isoformat() == "2026-11-20T12:00:00+00:00"


def test_only_published_posts_without_a_password_become_stories_and_nothing_else_of_an_export() -> None:
    """S30: no draft, password, comment, e-mail address or login name comes out of the parser."""
    hidden = [item(number, status=status) for number, status in enumerate(("draft", "private", "future", "pending", "trash"), 20)]
    _, drafts, _ = read_wxr(
        export(*hidden, item(30, password="hunter2"), item(31, kind="page"), item(32, author="mail@news.example"), item(33)), "x"
    )
    assert [draft.external_id for draft in drafts] == ["32", "33"]
    told = repr([asdict(draft) for draft in drafts])
    for secret in ("secret@", "mail@", "reader@", "comment", "A Reader", "hunter2", "jroe", "Story 2"):
        assert secret not in told
    assert drafts[0].byline == ()


def test_the_picture_of_a_post_comes_with_its_caption_and_without_clearance() -> None:
    meta = "<wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>9</wp:meta_value></wp:postmeta>"
    picture = item(
        9, kind="attachment", status="inherit", more="<wp:attachment_url>https://news.example/dam.jpg</wp:attachment_url>"
    )
    _, (draft,), _ = read_wxr(export(item(7, more=meta), picture), "x")
    (image,) = draft.images
    assert (image.url, image.caption, image.rights) == ("https://news.example/dam.jpg", "In short.", Rights.NONE)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.\n\nTwo\nlines.", "<p>One.</p>\n<p>Two<br>lines.</p>"),
        ("One.\r\n\r\n<ul><li>a</li></ul>", "<p>One.</p>\n<ul><li>a</li></ul>"),
        ("<!-- wp:paragraph -->\n<p>One.</p>\n\n<p>Two.</p>", "<!-- wp:paragraph -->\n<p>One.</p>\n\n<p>Two.</p>"),
    ],
)
def test_stored_text_gets_the_paragraphs_that_wordpress_would_give_it(text: str, html: str) -> None:
    assert paragraphs(text) == html


def bombs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE rss [<!ENTITY a0 "ha">{laughs}]>'
    yield "laughs", lambda: export(item(7)).replace(b"<rss", f"{doctype}<rss".encode(), 1).replace(b"Story 7", b"&a9;")
    outside = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield "local file", lambda: export(item(7)).replace(b"<rss", f"{outside}<rss".encode(), 1).replace(b"Story 7", b"&x;")
    yield "dtd elsewhere", lambda: export(item(7)).replace(b"<rss", b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/x.dtd"><rss', 1)
    yield "zip bomb", lambda: zipped(**{"a.xml": b"\0" * 50_000_000})
    yield "zip of many", lambda: zipped(**{f"{n}.xml": b"\0" * 2_000_000 for n in range(30)})
    yield "gzip bomb", lambda: gzip.compress(b"\0" * 50_000_000)
    yield "gzip cut off", lambda: gzip.compress(export(item(7)))[:-20]
    yield "zip broken", lambda: zipped(**{"a.xml": export(item(7))})[:-40]
    yield "zip of nothing", lambda: zipped(**{"readme.txt": b"hello"})
    yield "zip of a zip", lambda: zipped(**{"a.xml": zipped(**{"b.xml": export(item(7))})})
    yield "too many files", lambda: zipped(**{f"{n}.xml": b"" for n in range(archives.MAX_FILES + 1)})
    yield "cut off", lambda: export(item(7))[:-30]
    yield "deep", lambda: export(item(7, more="<a>" * 5000 + "</a>" * 5000))
    yield "no export", lambda: b"<rss xmlns:wp='http://wordpress.org/export/1.2/'/>"


BOMBS = dict(bombs())


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_hostile_file_is_refused(bomb: str) -> None:
    with pytest.raises(IntakeError) as caught:
        read_wxr(BOMBS[bomb](), "hostile.xml")
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("bomb", ["laughs", "zip bomb", "gzip bomb"])
def test_a_bomb_goes_off_in_no_more_than_bounded_memory(bomb: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(IntakeError):
        parse_apart("wxr", BOMBS[bomb](), "hostile.xml", 20)
    grown = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert grown <= max(before, 400_000)  # KiB; the most that any child so far has had


def test_a_child_hands_back_no_more_than_its_parent_will_hold() -> None:
    long = item(7).replace("The <em>second</em> one.", "漢" * 100_000)
    with pytest.raises(IntakeError, match="take it in parts"):
        parse_apart("wxr", export(*[long] * 120), "large.xml", 60)


def test_a_name_in_an_archive_that_points_elsewhere_writes_nothing(tmp_path: Path) -> None:
    content = zipped(**{"../../../evil.xml": export(item(7)), "/etc/evil.xml": export(item(8))})
    parsed = parse_apart("wxr", content, str(tmp_path / "e.zip"), 20)
    assert [draft.external_id for draft in parsed.drafts] == ["7", "8"]
    assert list(tmp_path.iterdir()) == []
    assert not Path("/etc/evil.xml").exists()


def test_an_export_is_imported_once_and_joins_the_site_that_is_pulled(house: House, tmp_path: Path) -> None:
    with house.sessions.begin() as session:
        session.add(
            Source(
                name="site", kind=SourceKind.WORDPRESS, url="https://www.news.example/", every_seconds=300, cursor={}, paused=True
            )
        )
    packed, plain = tmp_path / "export.zip", tmp_path / "export.xml"
    packed.write_bytes(zipped(**{"export.xml": export(item(7), item(8, status="draft"), item("x"))}))
    plain.write_bytes(export(item(7), item(9)))
    outbound = Outbound(house.config.outbound, house.config.user_agent)
    results = import_stories(house, outbound, [str(packed), str(plain), str(tmp_path / "none")], actor="editor")
    assert [result.outcome for result in results] == ["made", "refused", "unchanged", "made", "refused"]
    with house.sessions() as session:
        stories = session.scalars(select(Story).order_by(Story.external_id)).all()
        assert [(story.external_id, story.source.name) for story in stories] == [("7", "site"), ("9", "site")]


def test_an_export_leaves_stories_as_they_are_that_the_site_itself_was_asked_for(house: House, tmp_path: Path) -> None:
    """An export is older than what is pulled, and spells the same text another way: no story is to be updated by it."""
    file = tmp_path / "export.xml"
    file.write_bytes(export(item(7), item(8)))
    with house.sessions.begin() as session:
        site = Source(
            name="site", kind=SourceKind.WORDPRESS, url="https://news.example/", every_seconds=300, next_pull_at=house.clock()
        )
        session.add(site)
        session.flush()
        pulled = StoryDraft(external_id="7", headline="As pulled", body_html="<p>Newer words.</p>")
        publish_story(session, house, site, pulled, at=house.clock())
    results = import_stories(house, Outbound(house.config.outbound, "test"), [str(file)], actor="editor")
    assert [result.outcome for result in results] == ["unchanged", "made"]
    with house.sessions() as session:
        assert session.scalars(select(Story).where(Story.external_id == "7")).one().current.headline == "As pulled"


def test_a_site_that_was_imported_first_is_pulled_under_the_same_stories(house: House, tmp_path: Path) -> None:
    file = tmp_path / "export.xml"
    file.write_bytes(export(item(7)))
    outbound = Outbound(house.config.outbound, "test")
    import_stories(house, outbound, [str(file)], actor="editor")
    order: dict[str, Any] = {"section": "", "every_seconds": None, "credentials": "", "actor": "editor", "at": house.clock()}
    with house.sessions.begin() as session:
        address = "https://www.news.example/"
        added = add_source(session, house, outbound, kind=SourceKind.WORDPRESS, url=address, name="Our site", **order)
        publish_story(session, house, added, StoryDraft(external_id="7", headline="A", body_html="<p>B</p>"), at=house.clock())
    with house.sessions() as session:
        story = session.scalars(select(Story)).one()
        assert (story.source.name, story.source.kind, story.version_number) == ("Our site", SourceKind.WORDPRESS, 2)


def test_sites_of_one_network_are_kept_apart(house: House, tmp_path: Path) -> None:
    """They number their posts each for itself."""
    files = []
    for town in ("north", "south"):
        files.append(tmp_path / f"{town}.xml")
        blog = export(item(7)).replace(
            b"<wp:base_blog_url>https://news.example", b"<wp:base_blog_url>https://news.example/%s" % town.encode()
        )
        files[-1].write_bytes(blog.replace(b"Story 7", town.encode()))
    import_stories(house, Outbound(house.config.outbound, "test"), list(map(str, files)), actor="editor")
    with house.sessions() as session:
        stories = session.scalars(select(Story).order_by(Story.id)).all()
        assert [story.source.name for story in stories] == ["news.example/north", "news.example/south"]


def test_an_export_of_an_unknown_site_is_a_source_of_its_own(house: House, tmp_path: Path) -> None:
    file = tmp_path / "export.xml"
    file.write_bytes(export(item(7)))
    import_stories(house, Outbound(house.config.outbound, "test"), [str(file)], actor="editor")
    with house.sessions() as session:
        story = session.scalars(select(Story)).one()
        assert (story.source.name, story.source.kind) == ("news.example", SourceKind.WXR)
