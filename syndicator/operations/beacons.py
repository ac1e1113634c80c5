"""Beacons: the token in a publisher's copy of a story, views counted as daily sums, and the audience measured by them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.base import new_id
from syndicator.domain.eligibility import Measured
from syndicator.domain.publishers import PublisherDomain
from syndicator.domain.republications import OTHER_HOST, Beacon, BeaconDay
from syndicator.domain.stories import Story
from syndicator.storage.queries import insert_into, insert_once

TOKEN = re.compile(r"[0-9a-z]{16}")
_MACHINES = re.compile(
    r"bot|crawl|spider|slurp|preview|fetch|monitor|headless|lighthouse|curl|wget|python|java/|go-http|okhttp|facebookexternalhit|"
    r"feed|archiv|scan|check|http",
    re.I,
)


def beacon_of(session: Session, publisher_id: int, story_id: int) -> str:
    """Return the token for this publisher's copy of the story, made on first use."""
    insert_once(session, Beacon, [{"token": new_id(""), "publisher_id": publisher_id, "story_id": story_id}])
    mine = select(Beacon.token).where(Beacon.publisher_id == publisher_id, Beacon.story_id == story_id)
    return session.scalars(mine).one()


def counts_as_view(agent: str, purpose: str) -> bool:
    """Say whether a request looks like a person's browser showing a page, and not a program or a look ahead."""
    return bool(agent) and not _MACHINES.search(agent[:500]) and "prefetch" not in purpose.lower()


def count_view(session: Session, token: str, referrer: str, *, day: date) -> None:
    """Add one view in one statement; an unknown token counts nothing. Of `referrer` only the host is looked at, never fetched."""
    if not TOKEN.fullmatch(token):
        return
    host = _host(referrer)
    own = select(PublisherDomain.domain).where(
        PublisherDomain.publisher_id == Beacon.publisher_id,
        PublisherDomain.domain.in_(_with_parents(host)),
    )
    named = func.coalesce(own.order_by(func.length(PublisherDomain.domain).desc()).limit(1).scalar_subquery(), OTHER_HOST)
    row = select(Beacon.publisher_id, Beacon.story_id, literal(day, BeaconDay.day.type), named, literal(1)).where(
        Beacon.token == token
    )
    statement = insert_into(session, BeaconDay).from_select(["publisher_id", "story_id", "day", "host", "views"], row)
    key = [BeaconDay.publisher_id, BeaconDay.story_id, BeaconDay.day, BeaconDay.host]
    session.execute(statement.on_conflict_do_update(index_elements=key, set_={"views": BeaconDay.views + 1}))


def measured_audiences(session: Session, publisher_ids: Collection[int], *, at: datetime, days: int = 30) -> dict[int, Measured]:
    """Return what was measured of each publisher in the last `days`, with two queries: facts that nobody has to declare."""
    since, total = (at - timedelta(days=days)).date(), func.sum(BeaconDay.views)
    theirs = (BeaconDay.publisher_id.in_(publisher_ids), BeaconDay.day > since, BeaconDay.day <= at.date())
    counted = select(BeaconDay.publisher_id, func.count(func.distinct(BeaconDay.story_id))).where(*theirs)
    stories = {each: int(count) for each, count in session.execute(counted.group_by(BeaconDay.publisher_id))}
    by_host = (
        select(BeaconDay.publisher_id, BeaconDay.host, total).where(*theirs).group_by(BeaconDay.publisher_id, BeaconDay.host)
    )
    hosts: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for publisher_id, host, views in session.execute(by_host.order_by(total.desc(), BeaconDay.host)):
        hosts[publisher_id].append((host, int(views)))
    return {
        each: Measured(days, sum(views for _, views in hosts[each]), stories.get(each, 0), tuple(hosts[each]))
        for each in publisher_ids
    }


def views_of(session: Session, publisher_id: int, *, since: date, limit: int = 200) -> Sequence[tuple[Story, int]]:
    """Return a publisher's stories with their views since a day, the most viewed first."""
    total = func.sum(BeaconDay.views)
    wanted = (
        select(Story, total)
        .options(joinedload(Story.current))
        .join(BeaconDay, BeaconDay.story_id == Story.id)
        .where(BeaconDay.publisher_id == publisher_id, BeaconDay.day >= since)
        .group_by(Story.id)
        .order_by(total.desc(), Story.id)
        .limit(limit)
    )
    return [(story, int(views)) for story, views in session.execute(wanted)]


def _host(referrer: str) -> str:
    try:
        return (urlsplit(referrer[:2048]).hostname or "").lower()
    except ValueError:
        return ""


def _with_parents(host: str) -> list[str]:
    labels = host.split(".")[-10:]
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]
