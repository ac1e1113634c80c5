"""Stories, terms and feeds as Hypothesis draws them: everything a hostile source could get past intake, and plain examples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from hypothesis import strategies as st

from syndicator.domain.stories import Image, PubStatus, Rights
from syndicator.render.entry import Entry, Feed, MachineUse, Terms

BASE = "https://wire.example"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

HOSTILE = (
    *(
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "</title>",
        "</item>",
        "<script>alert(1)</script>",
        "&amp;",
        "&lt;b&gt;",
        "&",
        "<",
        '"',
        "'",
    ),
    *("\x00", "\x08", "\x0b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff", "\r\n", "\t", "\u2028", "\x85", "\xa0"),
    *("😀", "👩‍👩‍👧", "שלום", "مرحبا", "\u202eevil", "日本", "e\u0301", "AT&T", "%s {0} {{x}}"),
)

TERMS = Terms(
    newsroom="Example News Foundation",
    base_url=BASE,
    notice_version="2026-01",
    notice_text="Content by Example News Foundation is free for any publisher with a large audience & this notice. Please write "
    "to licensing@example.org",
    contact_email="licensing@example.org",
    license_version="2026-01",
    license_title="Free-use license",
    license_url=f"{BASE}/licenses/free-use/2026-01",
    apply_url=f"{BASE}/apply",
)

words = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), max_size=6).map(" ".join)
instants = st.integers(-800_000_000, 2_000_000_000).map(lambda seconds: NOON + timedelta(seconds=seconds))
labels = st.lists(words, max_size=4).map(tuple)
images = st.builds(
    Image,
    url=st.sampled_from([f"{BASE}/a.jpg", f"{BASE}/b.PNG?x=1&y=2", f"{BASE}/c"]),
    caption=words,
    credit=words,
    rights=st.just(Rights.FREE),
)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """HTML of the safe subset, its text hostile."""
    shapes = (
        "<p>{}</p>",
        "<ul><li>{}</li></ul>",
        '<p><a href="https://a.example/?b=1&amp;c=2">{}</a></p>',
        "<h2><em>{}</em></h2>",
    )
    return "\n".join(draw(st.sampled_from(shapes)).replace("{}", escape(text)) for text in draw(st.lists(words, max_size=4)))


@st.composite
def entries(draw: st.DrawFn, status: st.SearchStrategy[PubStatus] = st.just(PubStatus.USABLE)) -> Entry:  # noqa: B008
    published = draw(instants)
    number = draw(st.integers(1, 10**9))
    return Entry(
        uri=f"tag:wire.example,2026:story/{number}",
        public_id=f"st_{number}",
        version=draw(st.integers(1, 99)),
        status=draw(status),
        url=f"{BASE}/stories/st_{number}",
        canonical_url=draw(st.sampled_from(["", "https://news.example/a?b=1&c=2", "javascript:alert(1)"])),
        headline=draw(words),
        summary=draw(words),
        body_html=draw(bodies()),
        byline=draw(labels),
        section=draw(words),
        tags=draw(labels),
        language=draw(st.sampled_from(["en-US", "he", "zh-TW", ""])),
        published=published,
        updated=published + timedelta(seconds=draw(st.integers(0, 10**6))),
        first_created=published,
        embargoed_until=draw(st.none() | instants),
        expires=draw(st.none() | instants),
        rights=draw(st.sampled_from(Rights)),
        ednote=draw(words),
        correction_note=draw(words),
        withdrawn_reason=draw(words),
        images=draw(st.lists(images, max_size=2).map(tuple)),
    )


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    """Feeds of usable stories and withdrawn ones, ids distinct, newest first."""
    withdrawn = entries(status=st.sampled_from([PubStatus.CANCELED, PubStatus.WITHHELD]))
    drawn = draw(st.lists(entries() | withdrawn, max_size=4, unique_by=lambda entry: entry.uri))
    ordered = sorted(drawn, key=lambda entry: entry.published, reverse=True)
    return feed(
        tuple(entry for entry in ordered if not entry.withdrawn),
        withdrawn=tuple(entry for entry in ordered if entry.withdrawn),
        title=draw(words.map("Feed {}".format)),
        full=draw(st.booleans()),
    )


def entry(**changes: Any) -> Entry:
    """An ordinary story, with `changes`."""
    story = Entry(
        uri="tag:wire.example,2026:story/1",
        public_id="st_1",
        version=2,
        status=PubStatus.USABLE,
        url=f"{BASE}/stories/st_1",
        canonical_url="https://news.example/board-delays-vote",
        headline="County board delays vote at AT&T plant: “no” 😀",
        summary="The vote was put off.",
        body_html='<p>The board <a href="https://board.example/minutes">met</a> on Friday.</p><p>It did not vote.</p>',
        byline=("Jane Roe", "John Doe"),
        section="Politics",
        tags=("Iraq", "ISIS", "politics"),
        language="en-US",
        published=NOON,
        updated=NOON + timedelta(hours=1),
        first_created=NOON,
        images=(Image("https://pictures.example/1.jpg", "The board", "J. Doe/Example", Rights.FREE),),
    )
    return replace(story, **changes)


def killed(**changes: Any) -> Entry:
    """A story that was killed an hour after it came out."""
    story = entry(uri="tag:wire.example,2026:story/2", status=PubStatus.CANCELED, withdrawn_reason="invented")
    return replace(story, **changes)


def feed(usable: tuple[Entry, ...] = (), **changes: Any) -> Feed:
    """A public full-text feed of `usable`, with `changes`."""
    frame = Feed(
        name="latest",
        id="tag:wire.example,2026:feed/latest",
        title="Example News: Latest",
        description="All stories",
        language="en-US",
        home_url=f"{BASE}/",
        self_url={form: f"{BASE}/feeds/latest.{form}" for form in ("rss", "atom", "json")},
        hub_url=f"{BASE}/hub",
        full=True,
        ttl_minutes=5,
        updated=NOON + timedelta(hours=2),
        entries=usable,
        withdrawn=(),
        terms=TERMS,
    )
    return replace(frame, **changes)


def terms(**use: bool) -> Terms:
    """The terms with another answer to machines."""
    return replace(TERMS, machine_use=MachineUse(**use))
