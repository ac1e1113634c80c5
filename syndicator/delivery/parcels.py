"""From claimed rows to parcels: everything a channel needs, read in a few queries, judged by the gate once more."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session, aliased, load_only, selectinload

from syndicator.access import GRANTED, Decision, Purpose, decide, decide_story, embargoed, viewer_of
from syndicator.channels import Parcel
from syndicator.domain.agreements import Grant
from syndicator.domain.deliveries import LANE_ORDER, OWED, Delivery, Lane, delivery_uid
from syndicator.domain.stories import Event, Rights, Story, StoryVersion
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations.agreements import grants_of
from syndicator.operations.backfill import state_is_owed
from syndicator.operations.entries import entry_of, feed_of
from syndicator.operations.render_feeds import read_feed
from syndicator.operations.unsubscribe import unsubscribe_url
from syndicator.render.entry import Entry, Feed

log = logging.getLogger(__name__)
# What a parcel is made of; the rest of some thousand rows is not read.
OF_DELIVERY = (
    *(Delivery.subscription_id, Delivery.event_seq, Delivery.story_id),
    *(Delivery.version_number, Delivery.sequence, Delivery.lane),
)
OF_SUBSCRIPTION = (
    *(Subscription.public_id, Subscription.publisher_id, Subscription.feed, Subscription.channel, Subscription.endpoint),
    *(Subscription.options, Subscription.secret, Subscription.old_secret, Subscription.old_secret_until),
    *(Subscription.topic, Subscription.signing_key, Subscription.state, Subscription.lease_until),
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


def load_parcels(session: Session, house: House, ids: Sequence[int], *, at: datetime) -> Load:
    """Build the parcels of the deliveries `ids`."""
    load = Load()
    contents = _Contents(session, house, at)
    deliveries = session.scalars(_with_all_around(ids).order_by(Delivery.lane, Delivery.next_attempt_at)).all()
    keys = {(delivery.story_id, delivery.version_number) for delivery in deliveries}
    found = session.scalars(select(StoryVersion).where(tuple_(StoryVersion.story_id, StoryVersion.number).in_(keys)))
    versions = {(version.story_id, version.number): version for version in found}
    grants = _standing_grants(session, house, deliveries, at)
    for delivery in deliveries:
        refusal = _refusal(delivery, house, grants, at)
        if refusal:
            load.refused[delivery.id] = refusal
            continue
        if _paused(delivery):
            load.paused.append(delivery.id)
            continue
        try:
            version = versions[delivery.story_id, delivery.version_number]
            load.parcels.append(_parcel(delivery, version, contents, at))
        except Exception:  # one story, or one secret that cannot be read, must not stop the others
            log.exception("parcel not made delivery=%s", delivery.id)
            load.unmade.append(delivery.id)
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
    ours = _with_all_around(ids).where(Delivery.state == OWED, Delivery.claimed_by == worker, ~overtaken.exists())
    deliveries = session.scalars(ours).all()
    grants = _standing_grants(session, house, deliveries, at)
    return {each.id for each in deliveries if not _paused(each) and not _refusal(each, house, grants, at)}


def _with_all_around(ids: Sequence[int]) -> Select[Delivery]:
    """Few stories and publishers go to many: each is read once, not with every row."""
    return (
        select(Delivery)
        .where(Delivery.id.in_(ids))
        .options(
            load_only(*OF_DELIVERY),
            selectinload(Delivery.subscription).options(load_only(*OF_SUBSCRIPTION), selectinload(Subscription.publisher)),
            selectinload(Delivery.event).joinedload(Event.story),
        )
    )


def _standing_grants(
    session: Session, house: House, deliveries: Sequence[Delivery], at: datetime
) -> Mapping[int, tuple[Grant, ...]]:
    """Return the agreements that may matter for what is to be sent, by publisher; for free stories that are out, none do.

    Those with a quota are left out: their stories are taken one by one from the API, since a push would spend it unasked.
    """
    special = [each for each in deliveries if each.event.story.rights is not Rights.FREE or embargoed(each.event.story, at)]
    holders = {each.subscription.publisher_id for each in special if each.subscription.publisher_id is not None}
    found = grants_of(session, house.catalogue, holders, at=at) if holders else {}
    return {holder: tuple(grant for grant in grants if grant.quota is None) for holder, grants in found.items()}


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

    def frame(self, delivery: Delivery, event: Event, entry: Entry) -> Feed | None:
        """Just what changed, or for a new subscriber the whole topic as it stands."""
        feed = delivery.subscription.feed
        whole = state_is_owed(delivery, delivery.subscription)
        key = (feed, 0 if whole else event.seq)
        if key not in self._frames:
            definition = self.house.catalogue.find(feed)
            if whole and definition is not None:
                self._frames[key] = read_feed(self.session, self.house, definition, at=self.at)
            else:
                self._frames[key] = _frame(feed, event, entry, self.house)
        return self._frames[key]


def _refusal(delivery: Delivery, house: House, grants: Mapping[int, tuple[Grant, ...]], at: datetime) -> str:
    """Say why `delivery` may not be sent any more, empty while it may."""
    subscription = delivery.subscription
    if subscription.state is SubscriptionState.ENDED:
        return "the subscription has ended"
    if subscription.lease_until is not None and subscription.lease_until <= at:
        return "the lease is over"
    decision = _judge(delivery, delivery.event.story, house, grants, at)
    return "" if decision.granted else decision.reason.value


def _paused(delivery: Delivery) -> bool:
    """Whether it waits until its subscription is resumed; what withdraws a story waits for nothing."""
    return delivery.subscription.state is SubscriptionState.PAUSED and not delivery.event.type.withdraws


def _judge(delivery: Delivery, story: Story, house: House, grants: Mapping[int, tuple[Grant, ...]], at: datetime) -> Decision:
    """Ask the gate at the moment of sending. What withdraws a story has no content, and whoever had the story must get it."""
    if delivery.event.type.withdraws:
        return GRANTED
    publisher = delivery.subscription.publisher
    if publisher is None:
        return decide_story(story, at)
    viewer = viewer_of(publisher, house.config.license.version, grants=grants.get(publisher.id, ()))
    return decide(viewer, story, Purpose.TAKE, at)


def _parcel(delivery: Delivery, version: StoryVersion, contents: _Contents, at: datetime) -> Parcel:
    subscription, event, house = delivery.subscription, delivery.event, contents.house
    entry = contents.entry(event.story, version)
    secrets, signing_key = secrets_of(subscription, house, at)
    return Parcel(
        delivery_id=delivery.id,
        subscription_id=subscription.id,
        uid=delivery_uid(subscription.public_id, event.seq),
        channel=subscription.channel.value,
        endpoint=subscription.endpoint,
        options=subscription.options,
        secrets=secrets,
        signing_key=signing_key,
        seq=event.seq,
        sequence=delivery.sequence or 0,
        urgent=delivery.lane == LANE_ORDER[Lane.URGENT],
        event=event.type,
        at=event.at,
        feeds=tuple(event.feeds),
        entry=entry,
        terms=contents.terms,
        feed=contents.frame(delivery, event, entry) if subscription.channel is ChannelKind.WEBSUB else None,
        topic=house.vault.unlock(subscription.topic) if subscription.topic else "",
        reason=event.reason,
        subscribed=subscription.feed,
    )


def secrets_of(subscription: Subscription, house: House, at: datetime) -> tuple[tuple[str, ...], str]:
    """Return the signing secrets in force, the newest first, and the Ed25519 key, empty if there is none."""
    if subscription.channel is ChannelKind.EMAIL:
        return (unsubscribe_url(house, subscription),), ""
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
