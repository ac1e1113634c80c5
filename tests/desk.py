"""What tests of operations do over and over: publish a story, approve a publisher, subscribe somebody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from syndicator.domain.base import new_id
from syndicator.domain.deliveries import Delivery
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import SourceKind, Story, StoryDraft
from syndicator.domain.subscriptions import ChannelKind, Subscription
from syndicator.house import House
from syndicator.operations.publish import Published, publish_story
from syndicator.operations.publishers import add_publisher, decide
from syndicator.operations.render_feeds import sync_catalogue
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.storage.queries import source_called

DRAFT = StoryDraft(
    external_id="river",
    headline="River gauges go live",
    summary="Two hundred gauges report every minute.",
    body_html="<p>Two hundred gauges report the river every minute.</p>",
    byline=("Lena Ortiz",),
    section="Military and Defense",
    tags=("Floods",),
    canonical_url="https://newsroom.example/river",
)
_numbers = count(1)


class Desk:
    """A house with its catalogue in the store, and one-line versions of what a desk does. Each call is a transaction."""

    def __init__(self, house: House) -> None:
        self.house = house
        with house.sessions.begin() as session:
            sync_catalogue(session, house.catalogue, at=house.clock())

    def publish(self, correction_note: str = "", **changes: Any) -> Published:
        draft = replace(DRAFT, **changes)
        with self.house.sessions.begin() as session:
            source = source_called(session, "newsroom", SourceKind.API)
            return publish_story(session, self.house, source, draft, at=self.house.clock(), correction_note=correction_note)

    def kill(self, story: Story, reason: str = "The figures were withdrawn.") -> None:
        with self.house.sessions.begin() as session:
            kill_story(session, self.house, story.uri, reason=reason, actor="test", at=self.house.clock())

    def take_down(self, story: Story, reason: str = "Published too early.") -> None:
        with self.house.sessions.begin() as session:
            take_down(session, self.house, story.uri, reason=reason, actor="test", at=self.house.clock())

    def publisher(self, *, approved: bool = True, embargo_trusted: bool = False) -> Publisher:
        number = next(_numbers)
        with self.house.sessions.begin() as session:
            publisher = add_publisher(
                session,
                name=f"Courier {number}",
                email=f"wire@courier{number}.example",
                domains=[f"courier{number}.example"],
                actor="test",
                at=self.house.clock(),
            )
            publisher.embargo_trusted = embargo_trusted
            if approved:
                self._move(session, publisher, PublisherState.APPROVED)
            return publisher

    def move(self, publisher: Publisher, state: PublisherState) -> None:
        with self.house.sessions.begin() as session:
            self._move(session, publisher, state)

    def subscription(
        self, publisher: Publisher | None, *, feed: str = "latest", endpoint: str = "https://courier.example/in"
    ) -> Subscription:
        """Make a webhook subscription without the checks of its operation."""
        with self.house.sessions.begin() as session:
            subscription = Subscription(
                public_id=new_id("sub_"),
                publisher_id=publisher.id if publisher else None,
                feed=feed,
                channel=ChannelKind.WEBHOOK,
                endpoint=endpoint,
                options={},
                secret=self.house.vault.lock("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
                created_at=self.house.clock(),
            )
            session.add(subscription)
            return subscription

    def owed(self, subscription: Subscription) -> list[Delivery]:
        """The subscription's deliveries, oldest first."""
        with self.house.sessions() as session:
            wanted = select(Delivery).where(Delivery.subscription_id == subscription.id).order_by(Delivery.event_seq)
            return list(session.scalars(wanted))

    def story(self, reference: Story) -> Story:
        """The story as it stands now."""
        with self.house.sessions() as session:
            return session.get_one(Story, reference.id)

    def _move(self, session: Any, publisher: Publisher, state: PublisherState) -> None:
        decide(
            session,
            self.house,
            publisher.public_id,
            state,
            reason="as the test wants",
            actor="test",
            at=self.house.clock(),
            terms_signed=True,
        )


def later(house: House, **by: float) -> Any:
    """The house's time, moved on: later(house, hours=2)."""
    return house.clock() + timedelta(**by)
