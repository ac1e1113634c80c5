"""A house with one publisher that takes stories by a channel that converses, and the engine that brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from syndicator.delivery.engine import Engine
from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.copies import RemoteCopy
from syndicator.domain.deliveries import Delivery
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import ChannelKind, Subscription, Trial
from syndicator.house import House
from syndicator.operations.copies import copies_of
from syndicator.operations.subscriptions import subscribe
from syndicator.outbound import open_outbound
from syndicator.sending import create_engine
from tests.desk import Desk


class Partner:
    """`drain` sends what is due and returns what became of the newest delivery, in a word and with its reason."""

    def __init__(self, desk: Desk, engine: Engine, channel: ChannelKind, endpoint: str, credential: str, options: dict[str, Any]):
        self.desk, self.engine = desk, engine
        self.publisher: Publisher = desk.publisher()
        house = desk.house
        with house.sessions.begin() as session:
            publisher = session.merge(self.publisher, load=True)
            self.subscription, _ = subscribe(
                session,
                house,
                open_outbound(house.config),
                publisher,
                feed="latest",
                channel=channel,
                endpoint=endpoint.replace("@publisher", f"@{publisher.email.rpartition('@')[2]}"),
                options=options,
                credential=credential,
                actor="test",
                at=house.clock(),
            )

    @property
    def house(self) -> House:
        return self.desk.house

    def drain(self) -> tuple[str, str]:
        self.engine.drain_due()
        last = self.owed[-1]
        return last.state.value, last.last_reason

    @property
    def owed(self) -> list[Delivery]:
        return self.desk.owed(self.subscription)

    def again(self) -> tuple[str, str]:
        """Let the time come at which what is owed is tried again."""
        self.house.clock.now = max(delivery.next_attempt_at for delivery in self.owed if delivery.next_attempt_at)  # type: ignore[attr-defined]
        return self.drain()

    def tried(self) -> Trial:
        """Send a test and return what came of it."""
        talks = TrialTalks(self.house, open_outbound(self.house.config))
        return talks.hold_now(self.subscription.public_id, actor="test")

    def now(self) -> Subscription:
        with self.house.sessions() as session:
            return session.get_one(Subscription, self.subscription.id)

    @property
    def copies(self) -> list[RemoteCopy]:
        with self.house.sessions() as session:
            return list(copies_of(session, self.subscription.id))


@contextmanager
def partner_of(house: House, channel: ChannelKind, endpoint: str, credential: str = "", **options: Any) -> Iterator[Partner]:
    engine = create_engine(house)
    engine.chance = lambda: 0.0
    try:
        yield Partner(Desk(house), engine, channel, endpoint, credential, options)
    finally:
        engine.close()
