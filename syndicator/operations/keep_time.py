"""What the hour brings: embargoes end, stories and approvals expire, leases run out, tombstones have stood long enough.

Each is a batch in one transaction, safe to run twice and by two at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syndicator.domain.feeds import TOMBSTONE_DAYS, FeedEntry, FeedState
from syndicator.domain.publishers import EligibilityDecision, Publisher, PublisherState
from syndicator.domain.stories import EventType, PubStatus, Rights, Story
from syndicator.domain.subscriptions import Subscription, SubscriptionState
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.announce import announce
from syndicator.operations.archives import lock_places, mark_stale
from syndicator.operations.denials import deny_publisher
from syndicator.operations.letters import write_note
from syndicator.operations.subscriptions import cancel_owed
from syndicator.storage.queries import get_version

BATCH = 100
_ENDED = (
    "The approval of {name} has come to its end. Feeds, API and deliveries refuse from now on; corrections and kills of stories "
    "you have still reach you. Renew it at any time, and everything runs again as before:\n\n{page}"
)


def lift_embargoes(session: Session, house: House, *, at: datetime) -> int:
    """Release every story whose minute has come; returns how many."""
    due = (
        select(Story)
        .where(Story.released_at.is_(None), Story.embargoed_until <= at)
        .order_by(Story.embargoed_until)
        .limit(BATCH)
        .with_for_update(of=Story, skip_locked=True)
    )
    stories = session.scalars(due).all()
    for story in stories:
        if story.pubstatus is not PubStatus.USABLE:
            story.embargoed_until = None  # withdrawn before anybody could read it: it never comes out
            continue
        story.released_at = at
        if story.rights is Rights.NONE:
            continue
        version = get_version(session, story.id, story.version_number)
        announce(session, house.catalogue, story, version, EventType.EMBARGO_LIFTED, at=at)
    return len(stories)


def expire_stories(session: Session, house: House, *, at: datetime) -> int:
    """Take stories whose time is over out of the feeds; returns how many."""
    due = (
        select(Story)
        .where(Story.expired_at.is_(None), Story.expires_at <= at)
        .order_by(Story.expires_at)
        .limit(BATCH)
        .with_for_update(of=Story, skip_locked=True)
    )
    stories = session.scalars(due).all()
    for story in stories:
        story.expired_at = at
        if story.released_at is not None and story.pubstatus is PubStatus.USABLE:
            version = get_version(session, story.id, story.version_number)
            announce(session, house.catalogue, story, version, EventType.EXPIRED, at=at)
    return len(stories)


def expire_approvals(session: Session, house: House, *, at: datetime) -> int:
    """Record that approvals ran out, and write so. The gate has refused since the very instant; this makes it show in lists."""
    due = select(Publisher).where(Publisher.state == PublisherState.APPROVED, Publisher.approved_until <= at).limit(BATCH)
    publishers = session.scalars(due.with_for_update(skip_locked=True)).all()
    for publisher in publishers:
        publisher.state, publisher.state_reason = PublisherState.EXPIRED, "the approval's term is over"
        session.add(
            EligibilityDecision(
                publisher_id=publisher.id,
                from_state=PublisherState.APPROVED,
                to_state=PublisherState.EXPIRED,
                reason=publisher.state_reason,
                actor="job:expire_approvals",
                decided_at=at,
                facts={},
                policy={},
            )
        )
        write_note(
            session,
            house,
            publisher,
            f"Your approval has ended: {publisher.name}",
            _ENDED.format(name=publisher.name, page=f"{house.config.site.base_url}/portal/application"),
            at=at,
        )
    for publisher in publishers:
        deny_publisher(session, publisher.id, "the publisher's approval is over", at=at)
    for publisher in publishers:
        audit.record(session, "job:expire_approvals", "publisher.expire", publisher.public_id, at=at)
    return len(publishers)


def end_leases(session: Session, *, at: datetime) -> int:
    """End WebSub subscriptions whose lease is over, and cancel what they are still owed."""
    over = (
        update(Subscription)
        .where(Subscription.state != SubscriptionState.ENDED, Subscription.lease_until <= at)
        .values(state=SubscriptionState.ENDED, state_reason="the lease is over")
        .returning(Subscription.id)
        .execution_options(synchronize_session=False)
    )
    ended = session.scalars(over).all()
    for subscription_id in ended:
        cancel_owed(session, subscription_id, "the lease is over", at=at)
    return len(ended)


def retire_tombstones(session: Session, *, at: datetime) -> int:
    """Mark feeds stale whose oldest tombstone has stood its days, so that the next rendering leaves it out."""
    lock_places(session)
    lapsed = at - timedelta(days=TOMBSTONE_DAYS)
    old = update(FeedEntry).where(FeedEntry.tombstone.is_(True), FeedEntry.left_at <= lapsed).values(tombstone=False)
    places = session.execute(old.returning(FeedEntry.feed, FeedEntry.archive)).all()
    mark_stale(session, [(feed, archive) for feed, archive in places if archive is not None], at=at)  # there it stands for good
    feeds = {feed for feed, _ in places}
    if feeds:
        session.execute(update(FeedState).where(FeedState.feed.in_(feeds)).values(rendered_seq=FeedState.changed_seq - 1))
    return len(feeds)
