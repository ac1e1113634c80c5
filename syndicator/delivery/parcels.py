"""From claimed rows to parcels: everything a channel needs, read in a few queries, judged by the gate once more."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session, aliased, joinedload

from syndicator.access import (
    ANYBODY,
    GRANTED,
    Decision,
    Purpose,
    decide,
    decide_feed,
    decide_story,
    decide_viewer,
    embargoed,
    viewer_of,
)
from syndicator.channels import Parcel
from syndicator.domain.agreements import Grant
from syndicator.domain.deliveries import LANE_ORDER, OWED, TOPIC_LANE, Delivery, Lane, delivery_uid
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event, Rights, Story, StoryVersion
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.agreements import grants_of
from syndicator.operations.entries import entry_of, feed_of
from syndicator.operations.render_feeds import read_feed
from syndicator.operations.unsubscribe import unsubscribe_url
from syndicator.render.entry import Entry, Feed

log = logging.getLogger(__name__)


class _Owed(NamedTuple):
    """What of a delivery and its subscription a parcel is made of, with what many share. Plain, since there are thousands."""

    delivery_id: int
    subscription_id: int
    event_seq: int
    story_id: int
    version_number: int
    sequence: int | None
    lane: int
    public_id: str
    publisher_id: int | None
    feed: str
    channel: ChannelKind
    endpoint: str
    options: dict[str, Any]
    secret: str | None
    old_secret: str | None
    old_secret_until: datetime | None
    topic: str | None
    signing_key: str | None
    state: SubscriptionState
    lease_until: datetime | None
    event: Event
    publisher: Publisher | None


COLUMNS = (
    Delivery.id,
    *(getattr(Delivery, name) for name in _Owed._fields[1:7]),
    *(getattr(Subscription, name) for name in _Owed._fields[7:-2]),
)


@dataclass(frozen=True, slots=True)
class Load:
    """What can be sent; what may not be sent any more, with the reason; what waits until its subscription is resumed; and what
    no parcel could be made of."""

    parcels: list[Parcel] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    paused: list[int] = field(default_factory=list)
    unmade: list[int] = field(default_factory=list)

    @classmethod
    def joined(cls, loads: Iterable[Load]) -> Load:
        whole = cls()
        for load in loads:
            whole.parcels.extend(load.parcels)
            whole.refused.update(load.refused)
            whole.paused.extend(load.paused)
            whole.unmade.extend(load.unmade)
        return whole


def load_parcels(session: Session, house: House, ids: Sequence[int], *, at: datetime, one_by_one: bool = False) -> Load:
    """Build the parcels of the deliveries `ids`; `one_by_one`: of a topic as it stood too, only its story."""
    load, contents = Load(), _Contents(session, house, at)
    deliveries = _read(session, Delivery.id.in_(ids))
    if one_by_one:
        deliveries = [each._replace(lane=LANE_ORDER[Lane.ORDINARY]) for each in deliveries]
    keys = {(each.story_id, each.version_number) for each in deliveries}
    found = session.scalars(select(StoryVersion).where(tuple_(StoryVersion.story_id, StoryVersion.number).in_(keys)))
    versions = {(version.story_id, version.number): version for version in found}
    gate = _Gate(session, house, deliveries, at)
    for each in deliveries:
        refusal = gate.refusal(each)
        if refusal:
            load.refused[each.delivery_id] = refusal
            continue
        if _paused(each):
            load.paused.append(each.delivery_id)
            continue
        try:
            load.parcels.append(_parcel(each, versions[each.story_id, each.version_number], contents, at))
        except Exception:  # one story, or one secret that cannot be read, must not stop the others
            log.exception("parcel not made delivery=%s", each.delivery_id)
            load.unmade.append(each.delivery_id)
    return load


def may_still_go(session: Session, house: House, ids: Sequence[int], *, worker: str, at: datetime) -> set[int]:
    """Return those of the claimed deliveries `ids` that are still to be sent: `worker`'s, with nothing newer about their story
    owed to the same subscription, and not refused by the gate since."""
    newer = aliased(Delivery)
    overtaken = select(newer.id).where(
        newer.story_id == Delivery.story_id,
        newer.subscription_id == Delivery.subscription_id,
        newer.event_seq > Delivery.event_seq,
        newer.state == OWED,
    )
    deliveries = _read(session, Delivery.id.in_(ids), Delivery.state == OWED, Delivery.claimed_by == worker, ~overtaken.exists())
    gate = _Gate(session, house, deliveries, at)
    return {each.delivery_id for each in deliveries if not _paused(each) and not gate.refusal(each)}


def _read(session: Session, *wanted: ColumnElement[bool]) -> list[_Owed]:
    """Few stories and publishers go to many: each is read once, not with every row."""
    found = select(*COLUMNS).join(Subscription, Subscription.id == Delivery.subscription_id).where(*wanted)
    rows = session.execute(found.order_by(Delivery.lane, Delivery.next_attempt_at)).all()
    told = select(Event).where(Event.seq.in_({row.event_seq for row in rows})).options(joinedload(Event.story))
    events = {event.seq: event for event in session.scalars(told)}
    takers = select(Publisher).where(Publisher.id.in_({row.publisher_id for row in rows} - {None}))
    publishers = {publisher.id: publisher for publisher in session.scalars(takers)}
    return [_Owed._make((*row, events[row.event_seq], publishers.get(row.publisher_id))) for row in rows]


def _standing_grants(
    session: Session, house: House, deliveries: Sequence[_Owed], at: datetime
) -> Mapping[int, tuple[Grant, ...]]:
    """Return the agreements that may matter for what is to be sent, by publisher; for free stories that are out, none do.

    Those with a quota are left out: their stories are taken one by one from the API, since a push would spend it unasked.
    """
    stories = {each.story_id: each.event.story for each in deliveries}
    special = {key for key, story in stories.items() if story.rights is not Rights.FREE or embargoed(story, at)}
    asked = [each for each in deliveries if each.story_id in special or each.lane == TOPIC_LANE]
    holders = {each.publisher_id for each in asked if each.publisher_id is not None}
    found = grants_of(session, house.catalogue, holders, at=at) if holders else {}
    return {holder: tuple(grant for grant in grants if grant.quota is None) for holder, grants in found.items()}


class _Gate:
    """The gate at one moment of sending, asked once for all who stand alike: callbacks of a public feed are nobody's."""

    def __init__(self, session: Session, house: House, deliveries: Sequence[_Owed], at: datetime) -> None:
        self._house, self._at = house, at
        self._grants = _standing_grants(session, house, deliveries, at)
        self._decisions: dict[tuple[int, int | None, str], Decision] = {}

    def refusal(self, owed: _Owed) -> str:
        """Say why `owed` may not be sent any more, empty while it may."""
        if owed.state is SubscriptionState.ENDED:
            return "the subscription has ended"
        if owed.lease_until is not None and owed.lease_until <= self._at:
            return "the lease is over"
        topic = owed.feed if owed.lane == TOPIC_LANE else ""
        key = owed.event_seq, owed.publisher_id, topic
        if key not in self._decisions:
            self._decisions[key] = self._judge(owed, topic)
        decision = self._decisions[key]
        return "" if decision.granted else decision.reason.value

    def _judge(self, owed: _Owed, topic: str) -> Decision:
        """What withdraws a story has no content, and whoever had the story must get it. Of a topic as it stands, the feed is
        judged: it holds what may be read now, whatever became of the story that it was owed for."""
        house, at, story = self._house, self._at, owed.event.story
        if owed.event.type.withdraws:
            return GRANTED
        definition = house.catalogue.find(topic) if topic else None
        if owed.publisher is None:
            return decide_feed(ANYBODY, definition, at) if definition else decide_story(story, at)
        viewer = viewer_of(owed.publisher, house.config.license.version, grants=self._grants.get(owed.publisher.id, ()))
        if definition is None:
            return decide(viewer, story, Purpose.TAKE, at)
        who = decide_viewer(viewer, at)  # asked of whoever is known, also where anybody may have the feed
        return decide_feed(viewer, definition, at) if who.granted else who


class _Contents:
    """Entries and feed frames of one load, made once for all who get the same."""

    def __init__(self, session: Session, house: House, at: datetime) -> None:
        self.session, self.house, self.at = session, house, at
        self.terms = house.terms
        self._entries: dict[tuple[int, int], Entry] = {}
        self._frames: dict[tuple[str, int], Feed | None] = {}

    def entry(self, story: Story, version: StoryVersion) -> Entry:
        key = (story.id, version.number)
        if key not in self._entries:
            self._entries[key] = entry_of(story, version, self.terms)
        return self._entries[key]

    def frame(self, owed: _Owed, entry: Entry) -> Feed | None:
        """Just what changed, or for a new subscriber the whole topic as it stands."""
        whole = owed.lane == TOPIC_LANE
        key = (owed.feed, 0 if whole else owed.event_seq)
        if key not in self._frames:
            definition = self.house.catalogue.find(owed.feed)
            if whole and definition is not None:
                self._frames[key] = read_feed(self.session, self.house, definition, at=self.at)
            else:
                self._frames[key] = _frame(owed.feed, owed.event, entry, self.house)
        return self._frames[key]


def _paused(owed: _Owed) -> bool:
    """Whether it waits until its subscription is resumed; what withdraws a story waits for nothing."""
    return owed.state is SubscriptionState.PAUSED and not owed.event.type.withdraws


def _parcel(owed: _Owed, version: StoryVersion, contents: _Contents, at: datetime) -> Parcel:
    event, house = owed.event, contents.house
    entry = contents.entry(event.story, version)
    secrets, signing_key = secrets_of(owed, house, at)
    return Parcel(
        delivery_id=owed.delivery_id,
        subscription_id=owed.subscription_id,
        uid=delivery_uid(owed.public_id, event.seq),
        channel=owed.channel.value,
        endpoint=owed.endpoint,
        options=owed.options,
        secrets=secrets,
        signing_key=signing_key,
        seq=event.seq,
        sequence=owed.sequence or 0,
        urgent=owed.lane == LANE_ORDER[Lane.URGENT],
        event=event.type,
        at=event.at,
        feeds=tuple(event.feeds),
        entry=entry,
        terms=contents.terms,
        feed=contents.frame(owed, entry) if owed.channel is ChannelKind.WEBSUB else None,
        topic=house.vault.unlock(owed.topic) if owed.topic else "",
        reason=event.reason,
        subscribed=owed.feed,
    )


def secrets_of(subscription: Subscription | _Owed, house: House, at: datetime) -> tuple[tuple[str, ...], str]:
    """Return the signing secrets in force, the newest first, and the Ed25519 key, empty if there is none."""
    if subscription.channel is ChannelKind.EMAIL:
        return (unsubscribe_url(house, subscription.public_id),), ""
    locked = [subscription.secret]
    if subscription.old_secret_until is not None and at < subscription.old_secret_until:
        locked.append(subscription.old_secret)
    secrets = tuple(house.vault.unlock(secret) for secret in locked if secret)
    return secrets, house.vault.unlock(subscription.signing_key) if subscription.signing_key else ""


def _frame(feed: str, event: Event, entry: Entry, house: House) -> Feed | None:
    definition = house.catalogue.find(feed)
    if definition is None:
        return None
    return feed_of(
        definition,
        house.terms,
        house.config.site.language,
        authority=house.config.site.authority,
        updated=event.at,
        entries=() if entry.withdrawn else (entry,),
        withdrawn=(entry,) if entry.withdrawn else (),
    )
