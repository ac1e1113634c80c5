"""Republications: pages that publishers report, and the polite look at those on proven sites whose owners want it.

Polite: in the open under our own name, one page of a publisher in five minutes, never past its robots.txt, never off its sites.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from syndicator.border import CheckedUrl
from syndicator.domain.base import new_id
from syndicator.domain.publishers import Publisher, PublisherDomain
from syndicator.domain.republications import Republication
from syndicator.domain.stories import PubStatus, Rights, Story, StoryVersion
from syndicator.errors import AddressRefused, Conflict, FetchFailed, InvalidRequest
from syndicator.house import House
from syndicator.intake import robots
from syndicator.intake.republished import Findings, Wanted, examine
from syndicator.operations import audit
from syndicator.outbound import Outbound
from syndicator.render.plain import plain_text
from syndicator.storage.queries import insert_once

log = logging.getLogger(__name__)

EVERY = timedelta(days=7)
AFTER_A_FAULT = timedelta(days=1)
MAX_PAGE_BYTES = 3_000_000
BATCH = 20
MOST_REPORTED = 20_000  # pages of one publisher


def report(
    session: Session, outbound: Outbound, publisher: Publisher, story: Story, url: str, *, check: bool, actor: str, at: datetime
) -> Republication:
    """Note that `publisher` published `story` at `url`, on a site of its own; reported again, only `check` changes.

    `check` asks for the page to be looked at now and then; only pages on proven sites are. Raises InvalidRequest, AddressRefused,
    and Conflict when there are too many.
    """
    if not any(_on(outbound.check_url(url).host, each) for each in publisher.domains):
        raise InvalidRequest("must be on one of the publisher's own sites", "url")
    digest = hashlib.sha256(url.encode()).hexdigest()
    known = select(Republication).where(
        Republication.publisher_id == publisher.id, Republication.story_id == story.id, Republication.url_hash == digest
    )
    if session.scalars(known).one_or_none() is None:
        _require_room(session, publisher)
        facts = {"publisher_id": publisher.id, "story_id": story.id, "url": url, "url_hash": digest, "reported_at": at}
        new = {"public_id": new_id("rep_"), "check": False, "findings": {}, **facts}
        insert_once(session, Republication, [new])  # two that report it at the same moment report one page
    found = session.scalars(known.with_for_update(of=Republication)).one()
    if check and not found.check:
        found.next_check_at = at
    found.check = check
    found.next_check_at = found.next_check_at if check else None
    session.flush()
    audit.record(session, actor, "republication.report", found.public_id, at=at, url=url[:500], story=story.uri, check=check)
    return found


def _require_room(session: Session, publisher: Publisher) -> None:
    count = select(func.count()).select_from(Republication).where(Republication.publisher_id == publisher.id)
    if (session.scalar(count) or 0) >= MOST_REPORTED:
        raise Conflict(f"{MOST_REPORTED:,} pages have been reported, which is the most that are kept")


def check_due(house: House, outbound: Outbound) -> int:
    """Look at the pages that are due, one of each publisher and host at most; returns how many."""
    at = house.clock()
    with house.sessions.begin() as session:
        due = _claim(session, at)
        wanted = {each.id: _wanted(house, each.story, session) for each in due}
    for each in due:
        findings = _look(outbound, each, wanted[each.id])
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
    """Return what to look at now, not due again before tomorrow, so that nobody else looks too. One page of each publisher, so
    that whoever reported thousands keeps nobody waiting."""
    first = (Republication.next_check_at, Republication.id)
    turn = func.row_number().over(partition_by=Republication.publisher_id, order_by=first)
    ranked = select(Republication.id, turn.label("turn")).where(Republication.next_check_at <= at).subquery()
    due = (
        select(Republication)
        .where(Republication.id.in_(select(ranked.c.id).where(ranked.c.turn == 1)), Republication.next_check_at <= at)
        .options(joinedload(Republication.publisher).selectinload(Publisher.domains), joinedload(Republication.story))
        .order_by(*first)
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


def _look(outbound: Outbound, page: Republication, wanted: Wanted) -> Findings:
    """Fetch the page as a crawler in good standing would, and judge it."""

    def on_its_sites(there: CheckedUrl) -> bool:
        return any(domain.verified_at and _on(there.host, domain) for domain in page.publisher.domains)

    try:
        if not _welcome(outbound, outbound.check_url(page.url), on_its_sites):
            return Findings(status=0, present=False, fine=False, words="The site's robots.txt keeps us from the page.")
        answer = outbound.get(page.url, max_bytes=MAX_PAGE_BYTES, redirects=3, may_follow=on_its_sites)
    except (AddressRefused, FetchFailed) as error:
        return Findings(status=0, present=False, fine=False, words=str(error))
    kind, robots = answer.headers.get("content-type", ""), answer.headers.get("x-robots-tag", "")
    return examine(answer.status, answer.body, kind, robots, wanted)


def _welcome(outbound: Outbound, page: CheckedUrl, may_follow: Callable[[CheckedUrl], bool]) -> bool:
    """Ask the site's robots.txt. None (4xx) welcomes; one that cannot be had (5xx) does not (RFC 9309, 2.3.1)."""
    answer = outbound.get(urljoin(page.url, "/robots.txt"), max_bytes=robots.MAX_BYTES, may_follow=may_follow)
    if answer.status != 200:
        return 400 <= answer.status < 500 and answer.status != 429
    target = page.url.partition("://")[2].partition("/")[2]
    return robots.allows(answer.body.decode("utf-8", "replace"), outbound.product, f"/{target}")


def _on(host: str, domain: PublisherDomain) -> bool:
    return host == domain.domain or host.endswith(f".{domain.domain}")
