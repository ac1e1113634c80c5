"""A newsroom for page tests: publishes stories into a house, and fills one with a day of made-up news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from syndicator.domain.stories import SourceKind, StoryDraft
from syndicator.house import House
from syndicator.operations.correct import correct_story
from syndicator.operations.publish import publish_story
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.storage.queries import source_called


@dataclass(frozen=True, slots=True)
class Newsroom:
    """Writes through the operations that every way in uses, each in a transaction of its own."""

    house: House

    def publish(self, headline: str, **facts: Any) -> str:
        """Publish a story and return its public id; `facts` are fields of StoryDraft."""
        values: dict[str, Any] = {
            "external_id": headline,
            "headline": headline,
            "body_html": "<p>The county board met on Tuesday evening.</p><p>It will meet again.</p>",
            "byline": ("Jane Roe",),
            "section": "Politics",
            "published_at": self.house.clock(),
        } | facts
        with self.house.sessions.begin() as session:
            source = source_called(session, "desk", SourceKind.API)
            return publish_story(session, self.house, source, StoryDraft(**values), at=self.house.clock()).story.public_id

    def correct(self, public_id: str, note: str, **changes: str) -> None:
        with self.house.sessions.begin() as session:
            correct_story(session, self.house, public_id, note=note, actor="editor", at=self.house.clock(), **changes)

    def kill(self, public_id: str, reason: str) -> None:
        with self.house.sessions.begin() as session:
            kill_story(session, self.house, public_id, reason=reason, actor="editor", at=self.house.clock())

    def take_down(self, public_id: str, reason: str) -> None:
        with self.house.sessions.begin() as session:
            take_down(session, self.house, public_id, reason=reason, actor="editor", at=self.house.clock())

    def fill(self) -> str:
        """Publish a day of news; return the public id of its corrected lead, which has everything that a story can have."""
        now = self.house.clock()
        for hours, (section, headline, author, summary) in reversed(list(enumerate(DAY, start=1))):
            self.publish(
                headline,
                section=section,
                byline=(author,),
                summary=summary,
                body_html=f"<p>{summary}</p>",
                published_at=now - timedelta(hours=3 * hours),
            )
        return self._lead(now)

    def _lead(self, now: datetime) -> str:
        public_id = self.publish(
            "Reservoirs Reach Their Highest Level In Forty Years, Easing Limits On Farms",
            section="Environment",
            byline=("Marta Quill", "Owen Hart"),
            summary="A wet winter has filled all eleven reservoirs of the valley, and most limits on farms will be lifted.",
            body_html=LEAD_BODY,
            tags=("Water", "Farming", "Central Valley"),
            canonical_url="https://www.newsroom.example/2026/07/reservoirs-highest-in-forty-years/",
            published_at=now - timedelta(hours=1),
        )
        self.correct(public_id, "An earlier version gave the number of reservoirs as twelve. There are eleven.")
        return public_id


DAY = (
    (
        "Politics",
        "County Board Delays Vote On New Courthouse For The Third Time",
        "Jane Roe",
        "Members want to see the cost of repairing the old one first.",
    ),
    (
        "Economy",
        "Small Ports Win Freight As Big Ones Clog",
        "Ali Brandt",
        "Ships that waited nine days elsewhere are unloaded in two.",
    ),
    (
        "Education",
        "Rural Districts Share One Physics Teacher, And Grades Go Up",
        "Sam Okafor",
        "Five schools, one van and a timetable that works.",
    ),
    (
        "Military and Defense",
        "Army Engineers Finish Bridge Two Months Early",
        "Kim Vale",
        "The crossing replaces a ferry that ran for sixty years.",
    ),
    (
        "Health",
        "Night Clinics Cut Emergency Visits By A Fifth",
        "Rosa Lind",
        "Doors that stay open until midnight spare patients the hospital.",
    ),
    (
        "Politics",
        "Town Publishes Every Contract, And Bids Fall",
        "Jane Roe",
        "Suppliers say that seeing the prices of others changed theirs.",
    ),
    ("Economy", "Repair Shops Return To Main Street", "Ali Brandt", "What was thrown away five years ago is mended again."),
)

LEAD_BODY = """
<p>A wet winter has filled the valley’s eleven reservoirs to their highest level in forty years, and the water district said
Tuesday that it will lift most limits on farms by the end of the month.</p>
<p>“We have not seen these numbers since my father ran the pumps,” said Elena Marsh, who measures the largest of them by hand
every morning. The district’s <a href="https://water.example/levels">daily table</a> shows ten of the
eleven above nine tenths.</p>
<h2>What changes for farms</h2>
<p>Growers may draw their full share from July 28. Those who gave up fields in the dry years can ask for them
to be watered again:</p>
<ul><li>full share for orchards and vines,</li><li>four fifths for field crops,</li><li>no limit on reused water.</li></ul>
<blockquote><p>“Full is not the same as safe. Two dry winters would bring us back to where we were.”</p></blockquote>
<p>The district will review the levels in October, before the first planting that needs deep water.</p>
"""
