"""The memory of what we put on partners' sites: found and kept by delivery, in short transactions of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, sessionmaker

from syndicator.channels.wordpress import Copy
from syndicator.domain.copies import RemoteCopy
from syndicator.domain.deliveries import Delivery
from syndicator.storage.engine import reading

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CopyBook:
    """What the WordPress channel remembers by; it opens its own transactions, since the channel holds none."""

    sessions: sessionmaker[Session]

    def find(self, delivery_id: int) -> Copy:
        with reading(self.sessions) as session:
            row = _row(session, delivery_id)
            return Copy() if row is None else Copy(**{field.name: getattr(row, field.name) for field in fields(Copy)})

    def keep(self, delivery_id: int, copy: Copy) -> None:
        with self.sessions.begin() as session:
            row = _row(session, delivery_id)
            if row is None:
                delivery = session.get_one(Delivery, delivery_id)
                row = RemoteCopy(subscription_id=delivery.subscription_id, story_id=delivery.story_id)
                session.add(row)
            if copy.changed_there and not row.changed_there:
                log.warning("copy changed by partner subscription=%s url=%s", row.subscription_id, copy.url)
            for name, value in asdict(copy).items():
                setattr(row, name, value)


def copies_of(session: Session, subscription_id: int, limit: int = 1000) -> Sequence[RemoteCopy]:
    """Return the copies made for one subscription, newest first."""
    wanted = select(RemoteCopy).where(RemoteCopy.subscription_id == subscription_id).order_by(RemoteCopy.id.desc())
    return session.scalars(wanted.limit(limit)).all()


def _row(session: Session, delivery_id: int) -> RemoteCopy | None:
    same = and_(RemoteCopy.subscription_id == Delivery.subscription_id, RemoteCopy.story_id == Delivery.story_id)
    return session.scalars(select(RemoteCopy).join(Delivery, same).where(Delivery.id == delivery_id)).one_or_none()
