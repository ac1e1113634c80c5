"""Rendering feed documents: each once per change, never on a poll.

A feed is stale while `rendered_seq < changed_seq`. Whoever renders holds the feed's file lock, reads a consistent picture, writes
the three documents and only then says so; killed in between, the feed is still stale and is rendered again. A burst of stories
costs one rendering of each feed it touched, since the newest state is what is read.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from syndicator.catalogue import Catalogue
from syndicator.documents import Document, private_folder, public_folder, remove_document, write_document
from syndicator.domain.feeds import CONTENT_TYPES, TOMBSTONE_DAYS, FeedDefinition, FeedEntry, FeedState, selects
from syndicator.domain.stories import PubStatus, Story
from syndicator.house import House
from syndicator.operations.entries import entry_of, feed_of
from syndicator.render.atom import render_atom
from syndicator.render.entry import Feed
from syndicator.render.jsonfeed import render_json
from syndicator.render.rss import render_rss
from syndicator.storage.engine import reading
from syndicator.storage.queries import feed_stories, feed_tombstones, last_value

RENDERERS = {"rss": render_rss, "atom": render_atom, "json": render_json}
BATCH = 500


def sync_catalogue(session: Session, catalogue: Catalogue, *, at: datetime) -> list[str]:
    """Make the store follow the feed files: new feeds are filled, changed selections judged anew, lost ones forgotten.

    Returns the names of the feeds that changed.
    """
    states = {state.feed: state for state in session.scalars(select(FeedState).with_for_update())}
    seq = last_value(session, "events")
    changed = []
    for definition in catalogue:
        state = states.get(definition.name)
        if state is None:
            state = FeedState(feed=definition.name, selection_hash="", changed_seq=seq, rendered_seq=-1, changed_at=at)
            session.add(state)
        if state.selection_hash != definition.selection_hash:
            _judge_all(session, definition, at=at)
            state.selection_hash = definition.selection_hash
            state.changed_seq, state.rendered_seq, state.changed_at = seq, -1, at
            changed.append(definition.name)
    lost = set(states) - set(catalogue.feeds)
    if lost:
        session.execute(delete(FeedEntry).where(FeedEntry.feed.in_(lost)))
        session.execute(delete(FeedState).where(FeedState.feed.in_(lost)))
    return changed + sorted(lost)


def render_stale(house: House, *, everything: bool = False) -> list[str]:
    """Bring every stale feed's documents up to date; returns the names of the feeds rendered.

    `everything` renders all, as after a change of settings: documents whose bytes are the same stay untouched.
    """
    with reading(house.sessions) as session:
        wanted = select(FeedState.feed)
        if not everything:
            wanted = wanted.where(FeedState.rendered_seq < FeedState.changed_seq)
        stale = [name for name in session.scalars(wanted) if house.catalogue.find(name)]
    for name in stale:
        with feed_lock(house.config.data_dir, name):
            _render(house, house.catalogue.get(name))
    return stale


def read_feed(session: Session, house: House, definition: FeedDefinition, *, at: datetime) -> Feed:
    """Return what the feed's documents hold now."""
    terms = house.terms
    updated = session.scalars(select(FeedState.changed_at).where(FeedState.feed == definition.name)).one()
    entries = [
        entry_of(place.story, place.story.current, terms)
        for place in feed_stories(session, definition.name, definition.limit)
        if place.story.pubstatus is PubStatus.USABLE and not (place.story.expires_at and place.story.expires_at <= at)
    ]
    since = at - timedelta(days=TOMBSTONE_DAYS)
    withdrawn = [
        entry_of(place.story, place.story.current, terms)
        for place in feed_tombstones(session, definition.name, since, definition.limit)
    ]
    return feed_of(
        definition,
        terms,
        house.config.site.language,
        authority=house.config.site.authority,
        updated=updated,
        entries=tuple(entries),
        withdrawn=tuple(withdrawn),
    )


def documents_folder(data_dir: Path, definition: FeedDefinition) -> Path:
    """Public and private documents lie apart, so that a front server can be handed the public ones."""
    return public_folder(data_dir) if definition.public else private_folder(data_dir)


@contextmanager
def feed_lock(data_dir: Path, name: str) -> Iterator[None]:
    """Keep other processes of this machine from rendering the feed meanwhile; a dead holder's lock is gone with it."""
    folder = data_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"feed-{name}").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _render(house: House, definition: FeedDefinition) -> None:
    with reading(house.sessions) as session:
        seq = session.scalars(select(FeedState.changed_seq).where(FeedState.feed == definition.name)).one()
        feed = read_feed(session, house, definition, at=house.clock())
    folder = documents_folder(house.config.data_dir, definition)
    other = private_folder(house.config.data_dir) if definition.public else public_folder(house.config.data_dir)
    for name, render in RENDERERS.items():
        write_document(folder, f"{definition.name}.{name}", _document(definition, feed, name, render(feed)))
        remove_document(other, f"{definition.name}.{name}")  # a feed that was made private leaves nothing behind
    with house.sessions.begin() as session:
        done = update(FeedState).where(FeedState.feed == definition.name, FeedState.rendered_seq < seq).values(rendered_seq=seq)
        session.execute(done)


def _document(definition: FeedDefinition, feed: Feed, name: str, body: bytes) -> Document:
    links = [f'<{feed.self_url[name]}>; rel="self"', f'<{feed.terms.license_url}>; rel="license"']
    if feed.hub_url:
        links.insert(0, f'<{feed.hub_url}>; rel="hub"')
    return Document(
        content_type=CONTENT_TYPES[name],
        body=body,
        links=tuple(links),
        updated=feed.updated,
        max_age_seconds=definition.ttl_minutes * 60,
        cors=name == "json",
        immutable=False,
    )


def _judge_all(session: Session, definition: FeedDefinition, *, at: datetime) -> None:
    """Fill the feed's places from every story that is out, in batches."""
    session.execute(delete(FeedEntry).where(FeedEntry.feed == definition.name))
    last_id = 0
    while True:
        wanted = select(Story).where(Story.id > last_id, Story.released_at.is_not(None), Story.pubstatus == PubStatus.USABLE)
        stories = session.scalars(wanted.order_by(Story.id).limit(BATCH)).all()
        if not stories:
            return
        places = [
            {"feed": definition.name, "story_id": story.id, "published_at": story.published_at, "updated_at": story.updated_at}
            for story in stories
            if not (story.expires_at and story.expires_at <= at) and _selected(definition, story)
        ]
        if places:
            session.execute(insert(FeedEntry), [place | {"tombstone": False, "left_at": None} for place in places])
        last_id = stories[-1].id


def _selected(definition: FeedDefinition, story: Story) -> bool:
    version = story.current
    return selects(definition.select, section=version.section, tags=version.tags, byline=version.byline, rights=version.rights)
