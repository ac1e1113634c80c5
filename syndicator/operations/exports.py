"""Exports: stories, deliveries, publishers and the audit log, row by row, as JSON lines or as CSV safe in a spreadsheet.

Rows are read in batches, so that a large table costs no memory. Secrets are in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from syndicator.domain.audit import AuditEntry
from syndicator.domain.deliveries import Delivery, delivery_uid
from syndicator.domain.publishers import Publisher
from syndicator.domain.stories import Event, Story
from syndicator.domain.subscriptions import Subscription
from syndicator.render.spreadsheet import csv_text

BATCH = 500
Record = dict[str, Any]


class ExportKind(StrEnum):
    STORIES = "stories"
    DELIVERIES = "deliveries"
    PUBLISHERS = "publishers"
    AUDIT = "audit"


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        return "text/csv; charset=utf-8" if self is ExportFormat.CSV else "application/jsonl; charset=utf-8"


def export(session: Session, kind: ExportKind, form: ExportFormat) -> Iterator[str]:
    """Yield the whole export in pieces of text, the oldest row first; `session` stays open until the last is taken."""
    return write_records(_READERS[kind](session), form)


def write_records(records: Iterable[Record], form: ExportFormat) -> Iterator[str]:
    """Yield `records`, which have the same names, as text. CSV begins with the names; no records give nothing."""
    if form is ExportFormat.JSONL:
        yield from (json.dumps(record, ensure_ascii=False, default=_plain) + "\n" for record in records)
        return
    named = False
    for batch in _batches(records):
        if not named:
            yield csv_text([list(batch[0])])
            named = True
        yield csv_text([_cell(value) for value in record.values()] for record in batch)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def audit_record(entry: AuditEntry) -> Record:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": entry.details,
        "previous_hash": entry.previous_hash,
        "entry_hash": entry.entry_hash,
    }


def _audit(session: Session) -> Iterator[Record]:
    wanted = select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=BATCH)
    return map(audit_record, session.scalars(wanted))


def _stories(session: Session) -> Iterator[Record]:
    wanted = select(Story).order_by(Story.id).options(joinedload(Story.current)).execution_options(yield_per=BATCH)
    for story in session.scalars(wanted):
        yield {
            "id": story.public_id,
            "uri": story.uri,
            "headline": story.current.headline,
            "section": story.current.section,
            "byline": story.current.byline,
            "status": story.pubstatus.value,
            "rights": story.rights.value,
            "version": story.version_number,
            "published_at": story.published_at,
            "updated_at": story.updated_at,
            "embargoed_until": story.embargoed_until,
            "source": story.source.name,
            "canonical_url": story.current.canonical_url,
        }


def _publishers(session: Session) -> Iterator[Record]:
    wanted = select(Publisher).order_by(Publisher.id).options(selectinload(Publisher.domains))
    for publisher in session.scalars(wanted.execution_options(yield_per=BATCH)):
        yield {
            "id": publisher.public_id,
            "name": publisher.name,
            "email": publisher.email,
            "state": publisher.state.value,
            "reason": publisher.state_reason,
            "approved_until": publisher.approved_until,
            "terms_version": publisher.terms_version,
            "terms_accepted_at": publisher.terms_accepted_at,
            "domains": [domain.domain for domain in publisher.domains],
            "created_at": publisher.created_at,
        }


def _deliveries(session: Session) -> Iterator[Record]:
    wanted = (
        select(Delivery, Subscription, Event, Story.uri, Publisher.name)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(Event, Event.seq == Delivery.event_seq)
        .join(Story, Story.id == Delivery.story_id)
        .outerjoin(Publisher, Publisher.id == Subscription.publisher_id)
        .order_by(Delivery.id)
        .execution_options(yield_per=BATCH)
    )
    for delivery, subscription, event, uri, publisher in session.execute(wanted):
        yield {
            "id": delivery_uid(subscription.public_id, delivery.event_seq),
            "publisher": publisher or "",
            "feed": subscription.feed,
            "channel": subscription.channel.value,
            "event": event.type.value,
            "story": uri,
            "version": delivery.version_number,
            "state": delivery.state.value,
            "attempts": delivery.attempt_count,
            "created_at": delivery.created_at,
            "settled_at": delivery.settled_at,
            "reason": delivery.last_reason,
        }


_READERS: dict[ExportKind, Callable[[Session], Iterator[Record]]] = {
    ExportKind.STORIES: _stories,
    ExportKind.DELIVERIES: _deliveries,
    ExportKind.PUBLISHERS: _publishers,
    ExportKind.AUDIT: _audit,
}


def _plain(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return _plain(value)
