"""Republications: pages that publishers report, and the polite look at those on proven sites whose owners want it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher, PublisherDomain
from syndicator.domain.republications import Republication
from syndicator.domain.stories import PubStatus, Rights, Story, StoryVersion
from syndicator.errors import AddressRefused, FetchFailed, InvalidRequest
from syndicator.house import House
from syndicator.intake.republished import Findings, Wanted, examine
from syndicator.operations import audit
from syndicator.outbound import Outbound
from syndicator.render.plain import plain_text

log = structlog.stdlib.get_logger(__name__)

EVERY = timedelta(days=7)
AFTER_A_FAULT = timedelta(days=1)
MAX_PAGE_BYTES = 3_000_000
BATCH = 20
MOST_REPORTED = 20_000  # pages of one publisher


def report(
    session: Session, outbound: Outbound, publisher: Publisher, story: Story, url: str, *, check: bool, actor: str, at: datetime
) -> Republication:
    """Note that `publisher` published `story` at `url`, on a site of its own; reported again, only `check` changes.

    `check` asks for the page to be looked at now and then; only pages on proven sites are. Raises InvalidRequest, AddressRefused.
    """
    host = (urlsplit(outbound.check_url(url).url).hostname or "").lower()
    if not any(_on(host, each) for each in publisher.domains):
        raise InvalidRequest("must be on one of the publisher's own sites", "url")
    digest = hashlib.sha256(url.encode()).hexdigest()
    known = select(Republication).where(
        Republication.publisher_id == publisher.id, Republication.story_id == story.id, Republication.url_hash == digest
    )
    found = session.scalars(known.with_for_update()).one_or_none()
    if found is None:
        found = Republication(
            public_id=new_id("rep_"), publisher=publisher, story=story, url=url, url_hash=digest, reported_at=at, findings={}
        )
        session.add(found)
    if check and not found.check:
        found.next_check_at = at
    found.check = check
    found.next_check_at = found.next_check_at if check else None
    session.flush()
    audit.record(session, actor, "republication.report", found.public_id, at=at, url=url[:500], story=story.uri, check=check)
    return found


def check_due(house: House, outbound: Outbound) -> int:
    """Look at the pages that are due, one of each host at most; returns how many."""
    at = house.clock()
    with house.sessions.begin() as session:
        due = _claim(session, at)
        wanted = {each.id: _wanted(house, each.story, session) for each in due}
    for each in due:
        findings = _look(outbound, each.url, wanted[each.id])
        with house.sessions.begin() as session:
            row = session.get_one(Republication, each.id, with_for_update=True)
            row.checked_at, row.findings = at, findings.record()
            row.next_check_at = at + (EVERY if findings.fine else AFTER_A_FAULT) if row.check else None
        log.info("republication checked page=%s fine=%s status=%s", each.public_id, findings.fine, findings.status)
    return len(due)


def check_after_withdrawal(session: Session, story: Story, *, at: datetime) -> None:
    """Look sooner at the pages of a story that was withdrawn: its publishers have a day."""
    for each in session.scalars(select(Republication).where(Republication.story_id == story.id, Republication.check.is_(True))):
        each.next_check_at = at + timedelta(days=1)


def republications_of(
    session: Session, publisher_id: int | None = None, *, story_id: int | None = None, limit: int = 200
) -> Sequence[Republication]:
    """Return reported pages, of one publisher or of all, of one story or of all, the newest first, with their stories."""
    wanted = select(Republication).options(joinedload(Republication.story).joinedload(Story.current))
    wanted = wanted.options(joinedload(Republication.publisher)).order_by(Republication.id.desc()).limit(limit)
    wanted = wanted if story_id is None else wanted.where(Republication.story_id == story_id)
    return session.scalars(wanted if publisher_id is None else wanted.where(Republication.publisher_id == publisher_id)).all()


def _claim(session: Session, at: datetime) -> list[Republication]:
    """Return what to look at now, not due again before tomorrow, so that nobody else looks too."""
    due = (
        select(Republication)
        .where(Republication.next_check_at <= at)
        .options(joinedload(Republication.publisher).selectinload(Publisher.domains), joinedload(Republication.story))
        .order_by(Republication.next_check_at)
        .limit(BATCH)
        .with_for_update(of=Republication, skip_locked=True)
    )
    hosts: dict[str, Republication] = {}
    for each in session.scalars(due):
        host = (urlsplit(each.url).hostname or "").lower()
        if not any(domain.verified_at and _on(host, domain) for domain in each.publisher.domains):
            each.next_check_at = at + AFTER_A_FAULT  # not proven, or no more
        elif hosts.setdefault(host, each) is each:
            each.next_check_at = at + AFTER_A_FAULT
    return list(hosts.values())


def _wanted(house: House, story: Story, session: Session) -> Wanted:
    """Return the story as its copies should read; of a withdrawn one, the words that must be gone."""
    usable = story.pubstatus is PubStatus.USABLE and story.rights is not Rights.NONE
    said = select(StoryVersion).where(StoryVersion.story_id == story.id, StoryVersion.body_html != "")
    last = session.scalars(said.order_by(StoryVersion.number.desc()).limit(1)).one()
    base = house.config.site.base_url
    return Wanted(
        usable=usable,
        body_text=plain_text(last.body_html),
        byline=tuple(last.byline),
        notice=house.config.notice.text,
        origins=tuple(address for address in (last.canonical_url, f"{base}/stories/{story.public_id}") if address),
    )


def _look(outbound: Outbound, url: str, wanted: Wanted) -> Findings:
    try:
        answer = outbound.get(url, max_bytes=MAX_PAGE_BYTES, redirects=3)
    except (AddressRefused, FetchFailed) as error:
        return Findings(status=0, present=False, fine=False, words=str(error))
    kind, robots = answer.headers.get("content-type", ""), answer.headers.get("x-robots-tag", "")
    return examine(answer.status, answer.body, kind, robots, wanted)


def _on(host: str, domain: PublisherDomain) -> bool:
    return host == domain.domain or host.endswith(f".{domain.domain}")
