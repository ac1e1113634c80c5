"""Rendering feed documents: each once per change, never on a poll.

A feed is stale while `rendered_seq < changed_seq` or while one of its archives is. Whoever renders holds the feed's file lock,
puts the oldest stories into archives, reads a consistent picture, writes the archives and then the head documents, and only then
says so; killed in between, the feed is still stale and is rendered again. A burst of stories costs one rendering of each feed it
touched, since the newest state is what is read.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from itertools import accumulate
from pathlib import Path

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, joinedload

from syndicator import __version__
from syndicator.catalogue import Catalogue
from syndicator.documents import Document, document_path, note_change, private_folder, public_folder, write_document
from syndicator.domain.feeds import CONTENT_TYPES, TOMBSTONE_DAYS, FeedArchive, FeedDefinition, FeedEntry, FeedState, selects
from syndicator.domain.stories import PubStatus, Story
from syndicator.errors import SyndicatorError
from syndicator.house import House
from syndicator.operations.archives import (
    ARCHIVES_AT_ONCE,
    lock_places,
    mark_all_stale,
    mark_written,
    newest_archive,
    overfull,
    reopen,
    seal,
    stale_archives,
)
from syndicator.operations.denials import deny_lost_topics
from syndicator.operations.entries import archive_of, entry_of, feed_of
from syndicator.operations.mirror import alone, forget_shared, on_many_machines, share, share_again
from syndicator.render.atom import render_atom
from syndicator.render.entry import Entry, Feed
from syndicator.render.jsonfeed import render_json
from syndicator.render.rss import render_rss
from syndicator.static_copy import begin_copy, show
from syndicator.storage.engine import reading
from syndicator.storage.queries import archived_stories, feed_stories, feed_tombstones, last_value

log = logging.getLogger(__name__)
STALE_FEEDS = select(FeedState.feed).where(
    or_(
        FeedState.rendered_seq < FeedState.changed_seq,
        select(FeedArchive.number).where(FeedArchive.feed == FeedState.feed, FeedArchive.stale_at.is_not(None)).exists(),
    )
)
RENDERERS = {"rss": render_rss, "atom": render_atom, "json": render_json}
BATCH = 500
MAX_HEAD_BYTES = 1_800_000  # of a head document in RSS or Atom; many readers take no more than 2 MB
ENTRY_BYTES = 2_500  # of an entry beside the story's body: its links, its labels, the notice
MOST_ENTRIES = 200  # in a head document with its tombstones, which readers still take


class NotRendered(SyndicatorError):
    """Some feeds could not be brought up to date, and the log says why; all others were, of which `done` needs nothing more."""

    def __init__(self, feeds: Sequence[str], done: Sequence[str]) -> None:
        super().__init__(f"not rendered: {', '.join(feeds)}; the log says why")
        self.feeds, self.done = list(feeds), list(done)


def sync_catalogue(session: Session, catalogue: Catalogue, *, at: datetime) -> list[str]:
    """Make the store follow the feed files: new feeds are filled, changed selections judged anew, lost ones forgotten
    and their WebSub subscribers told.

    Returns the names of the feeds that changed.
    """
    lock_places(session)
    states = {state.feed: state for state in session.scalars(select(FeedState).order_by(FeedState.feed).with_for_update())}
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
        for kind in (FeedEntry, FeedArchive, FeedState):
            session.execute(delete(kind).where(kind.feed.in_(lost)))
    deny_lost_topics(session, catalogue, at=at)
    return changed + sorted(lost)


def render_stale(house: House, *, everything: bool = False) -> list[str]:
    """Bring every stale feed's documents up to date; returns the names of the feeds rendered. What takes long is done in parts:
    until nothing is returned, there is more to do.

    `everything` renders all, as after a change of settings, and removes what should not be there: documents whose bytes are the
    same stay untouched.
    """
    if everything:
        _sweep(house)
    with reading(house.sessions) as session:
        names = session.scalars(select(FeedState.feed)).all() if everything else stale_feeds(session)
    stale = [name for name in names if house.catalogue.find(name)]
    render_feeds(house, stale, everything=everything)
    return stale


def render_all(house: House) -> None:
    """Look through all feeds before anything is served or sent. What cannot be rendered is logged, and no reason not to begin."""
    with suppress(NotRendered):
        render_stale(house, everything=True)


def render_feeds(house: House, names: Sequence[str], *, everything: bool = False) -> list[str]:
    """Bring the documents of these feeds up to date; returns the feeds with which that is done, not those with more to do.

    What another process made meanwhile is not made again, except where `everything` is. What is wrong with one feed keeps no kill
    from the others: NotRendered is raised after all of them had their turn.
    """
    done, faulty = [], []
    for name in names:
        if definition := house.catalogue.find(name):
            try:
                with feed_lock(house.config.data_dir, name), alone(house, name):
                    if (not everything and _fresh(house, definition)) or _bring_up_to_date(house, definition):
                        done.append(name)
            except SQLAlchemyError:
                raise
            except Exception:
                log.exception("feed not rendered feed=%s", name)
                faulty.append(name)
    if faulty:
        raise NotRendered(faulty, done)
    return done


def render_again(house: House, definition: FeedDefinition, archive: int | None) -> bool:
    """Have the head documents of a feed, or those of one archive, made anew, since one is damaged or missing; False when there
    is no such archive."""
    with reading(house.sessions) as session:
        known = _find_page(session, definition.name, archive)
    if known is None or known.stale:
        return known is not None
    with house.sessions.begin() as session:
        session.add(known)
        if isinstance(known, FeedState):
            known.rendered_seq = known.changed_seq - 1
        else:
            known.stale_at = house.clock()
        if on_many_machines(house):
            share_again(session, house.config.data_dir / "documents", _paths(house, definition, archive))
    return True


def _find_page(session: Session, feed: str, archive: int | None) -> FeedState | FeedArchive | None:
    return session.get(FeedState, feed) if archive is None else session.get(FeedArchive, (feed, archive))


def stale_feeds(session: Session) -> Sequence[str]:
    """Return the feeds whose head or archives are not up to date."""
    return session.scalars(STALE_FEEDS).all()


def read_feed(session: Session, house: House, definition: FeedDefinition, *, at: datetime) -> Feed:
    """Return what the feed's head documents hold now."""
    updated = session.scalars(select(FeedState.changed_at).where(FeedState.feed == definition.name)).one()
    since = at - timedelta(days=TOMBSTONE_DAYS)
    places = [
        *feed_stories(session, definition.name, definition.limit),
        *feed_tombstones(session, definition.name, since, max(MOST_ENTRIES - definition.limit, definition.limit)),
    ]
    newest = newest_archive(session, definition.name)
    return _framed(house, definition, places, updated=updated, at=at, newest_archive=newest)


def read_archive(session: Session, house: House, definition: FeedDefinition, archive: FeedArchive, *, at: datetime) -> Feed:
    """Return what the documents of `archive` hold now. A withdrawn story is a tombstone in the head first, and then here."""
    places = [place for place in archived_stories(session, definition.name, archive.number) if not place.tombstone]
    feed = _framed(house, definition, places, updated=archive.changed_at, at=at)
    return archive_of(feed, definition, archive.number, newest_archive(session, definition.name))


def _framed(
    house: House,
    definition: FeedDefinition,
    places: list[FeedEntry],
    *,
    updated: datetime,
    at: datetime,
    newest_archive: int = 0,
) -> Feed:
    """Return the feed's frame around the stories at `places`: those that may be read, and those that were withdrawn."""
    places.sort(key=lambda place: (place.published_at, place.story_id), reverse=True)
    usable = [
        place.story
        for place in places
        if place.left_at is None
        and place.story.pubstatus is PubStatus.USABLE
        and not (place.story.expires_at and place.story.expires_at <= at)
    ]
    withdrawn = [place.story for place in places if place.left_at is not None]
    return feed_of(
        definition,
        house.terms,
        house.config.site.language,
        authority=house.config.site.authority,
        updated=updated,
        entries=tuple(entry_of(story, story.current, house.terms) for story in usable),
        withdrawn=tuple(entry for story in withdrawn if (entry := entry_of(story, story.current, house.terms)).withdrawn),
        newest_archive=newest_archive,
    )


def document_key(feed: str, archive: int | None, form: str) -> str:
    """Return what documents.py calls a feed's head document (`archive` None) or that of one archive."""
    return f"{feed}.{form}" if archive is None else f"{feed}/archive/{archive}.{form}"


def documents_folder(data_dir: Path, definition: FeedDefinition) -> Path:
    """Public and private documents lie apart, so that a front server can be handed the public ones."""
    return public_folder(data_dir) if definition.public else private_folder(data_dir)


@contextmanager
def feed_lock(data_dir: Path, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Keep other processes of this machine from rendering the feed meanwhile; a dead holder's lock is gone with it."""
    folder = data_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"feed-{name}").open("w") as handle:
        fcntl.flock(handle, kind)
        yield


def is_being_rendered(house: House, name: str) -> bool:
    """Say whether another process of this machine renders the feed just now; who has others to render does those first."""
    try:
        with feed_lock(house.config.data_dir, name, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


def _fresh(house: House, definition: FeedDefinition) -> bool:
    with reading(house.sessions) as session:
        return definition.name not in stale_feeds(session)


def _bring_up_to_date(house: House, definition: FeedDefinition) -> bool:
    """Write what is stale of the feed; False when there is more to do. On SQLite, waits for writers only where it must write."""
    frame = _frame_hash(house, definition)
    with reading(house.sessions) as session:
        state = session.scalars(select(FeedState).where(FeedState.feed == definition.name)).one()
        sealed = not overfull(session, definition)
    if state.frame_hash != frame or not sealed:
        with house.sessions.begin() as session:
            lock_places(session)  # before any feed's row, as who starts up and who announces do
            _notice_new_frame(session, definition, frame, at=house.clock())
            sealed = seal(session, definition, at=house.clock())
    archives = _write_archives(house, definition)
    feed = _read_head(house, definition)
    if (most := _most_that_fit(feed)) < len(feed.entries):
        with house.sessions.begin() as session:
            seal(session, definition, most=most, at=house.clock())
        archives += _write_archives(house, definition)
        feed = _read_head(house, definition)
    written = _write(house, definition, None, feed)
    if on_many_machines(house) or (sealed and state.stale):
        with house.sessions.begin() as session:
            if on_many_machines(house):
                share(session, house.config.data_dir / "documents", written)
            if sealed:
                shown = update(FeedState).where(FeedState.feed == definition.name, FeedState.rendered_seq < state.changed_seq)
                session.execute(shown.values(rendered_seq=state.changed_seq))
    return sealed and archives < ARCHIVES_AT_ONCE


def _read_head(house: House, definition: FeedDefinition) -> Feed:
    with reading(house.sessions) as session:
        return read_feed(session, house, definition, at=house.clock())


def _most_that_fit(feed: Feed) -> int:
    """Return how many stories a head document may hold: all, unless readers would find it too large. Then some room is made."""
    sizes = [len(escape(entry.body_html).encode()) + ENTRY_BYTES if feed.full else ENTRY_BYTES for entry in feed.entries]
    if sum(sizes) <= MAX_HEAD_BYTES:
        return len(sizes)
    newest_first = sorted(zip(feed.entries, sizes, strict=True), key=lambda each: each[0].updated, reverse=True)
    return max(1, sum(total <= MAX_HEAD_BYTES * 3 // 4 for total in accumulate(size for _, size in newest_first)))


def _write_archives(house: House, definition: FeedDefinition) -> int:
    """Write what is stale of the feed's archives, or a part of it; returns how many were written."""
    with reading(house.sessions) as session:
        stale = stale_archives(session, definition.name)
        feeds = [read_archive(session, house, definition, archive, at=house.clock()) for archive in stale]
    written: list[Path] = []
    for archive, feed in zip(stale, feeds, strict=True):
        written += _write(house, definition, archive.number, feed)
    if stale:
        with house.sessions.begin() as session:
            if on_many_machines(house):
                share(session, house.config.data_dir / "documents", written)
            for archive in stale:
                mark_written(session, archive)
    return len(stale)


def _write(house: House, definition: FeedDefinition, archive: int | None, feed: Feed) -> list[Path]:
    folder = documents_folder(house.config.data_dir, definition)
    for name, render in RENDERERS.items():
        document = _document(definition, feed, name, render_whole(render, feed), at=house.clock())
        key = document_key(definition.name, archive, name)
        write_document(folder, key, document, at=house.clock())
        _copy_for_nginx(house, definition, key)
    return _paths(house, definition, archive)


def _copy_for_nginx(house: House, definition: FeedDefinition, key: str) -> None:
    if definition.public and (static := house.config.static_dir):
        show(static, documents_folder(house.config.data_dir, definition), key)


def _paths(house: House, definition: FeedDefinition, archive: int | None) -> list[Path]:
    folder = documents_folder(house.config.data_dir, definition)
    return [document_path(folder, document_key(definition.name, archive, name)) for name in RENDERERS]


def render_whole(render: Callable[[Feed], bytes], feed: Feed) -> bytes:
    """Render `feed`. A story that a format cannot hold, which intake should not have let in, is left out and named in the log."""
    try:
        return render(feed)
    except Exception:
        log.exception("document not rendered whole feed=%s", feed.name)
    empty = replace(feed, entries=(), withdrawn=())
    entries = tuple(entry for entry in feed.entries if _can(render, replace(empty, entries=(entry,)), entry))
    withdrawn = tuple(entry for entry in feed.withdrawn if _can(render, replace(empty, withdrawn=(entry,)), entry))
    return render(replace(feed, entries=entries, withdrawn=withdrawn))


def _can(render: Callable[[Feed], bytes], alone_in_feed: Feed, entry: Entry) -> bool:
    try:
        render(alone_in_feed)
    except Exception:
        log.error("story left out feed=%s story=%s", alone_in_feed.name, entry.public_id)
        return False
    return True


def _frame_hash(house: House, definition: FeedDefinition) -> str:
    """Changes with what stands around the stories of an archive: the notice, the license, addresses, titles, our own release."""
    told = definition.model_dump(exclude={"limit", "select"})
    return hashlib.sha256(repr((__version__, told, house.terms, house.config.site.language)).encode()).hexdigest()


def _notice_new_frame(session: Session, definition: FeedDefinition, frame: str, *, at: datetime) -> None:
    state = session.scalars(select(FeedState).where(FeedState.feed == definition.name)).one()
    if state.frame_hash != frame:
        state.frame_hash = frame
        mark_all_stale(session, definition.name, at=at)


def _sweep(house: House) -> None:
    """Remove documents of feeds that are no more, that are private now or public now, and archives beyond the newest; have
    archives written that are missing."""
    for folder in (public_folder(house.config.data_dir), private_folder(house.config.data_dir)):
        for file in _known_files(folder):
            if not _belongs(house, folder.name, file.name.partition(".")[0]):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        note_change(folder)
    begin_copy(house.config.static_dir, house.config.data_dir)
    if on_many_machines(house):
        with house.sessions.begin() as session:
            forget_shared(session, lambda access, name: not _belongs(house, access, name))
    for definition in house.catalogue:
        with feed_lock(house.config.data_dir, definition.name), house.sessions.begin() as session:
            _sweep_archives(session, house, definition)


def _belongs(house: House, access: str, name: str) -> bool:
    definition = house.catalogue.find(name)
    return definition is not None and documents_folder(house.config.data_dir, definition).name == access


def _sweep_archives(session: Session, house: House, definition: FeedDefinition) -> None:
    newest = newest_archive(session, definition.name)
    folder = documents_folder(house.config.data_dir, definition) / definition.name / "archive"
    files = _known_files(folder)
    for file in files:
        number = int(file.name.partition(".")[0])
        if number > newest:
            file.unlink()
            _copy_for_nginx(house, definition, document_key(definition.name, number, file.suffix[1:]))
    if len(files) < newest * len(RENDERERS) and not on_many_machines(house):
        mark_all_stale(session, definition.name, at=house.clock())


def _known_files(folder: Path) -> list[Path]:
    """What lies in `folder`; a name that begins with a dot is a document being written."""
    return [file for file in folder.iterdir() if not file.name.startswith(".")] if folder.is_dir() else []


def _document(definition: FeedDefinition, feed: Feed, name: str, body: bytes, *, at: datetime) -> Document:
    links = [f'<{feed.self_url[name]}>; rel="self"', f'<{feed.terms.license_url}>; rel="license"']
    if feed.hub_url:
        links.insert(0, f'<{feed.hub_url}>; rel="hub"')
    return Document(
        content_type=CONTENT_TYPES[name],
        body=body,
        links=tuple(links),
        updated=min(feed.updated, at),  # another machine's clock may be ahead of ours
        max_age_seconds=definition.ttl_minutes * 60,
        cors=name == "json",
        immutable=feed.archive,
    )


def _judge_all(session: Session, definition: FeedDefinition, *, at: datetime) -> None:
    """Move every story that is out into or out of the feed, in batches. Who stays keeps its archive."""
    last_id = 0
    while True:
        wanted = select(Story).where(Story.id > last_id, Story.released_at.is_not(None), Story.pubstatus == PubStatus.USABLE)
        stories = session.scalars(wanted.options(joinedload(Story.current)).order_by(Story.id).limit(BATCH)).all()
        if not stories:
            return
        _judge(session, definition, stories, at=at)
        last_id = stories[-1].id


def _judge(session: Session, definition: FeedDefinition, stories: Sequence[Story], *, at: datetime) -> None:
    chosen = {story.id: story for story in stories if _selected(definition, story, at)}
    held = select(FeedEntry).where(FeedEntry.feed == definition.name, FeedEntry.story_id.in_([story.id for story in stories]))
    places = session.scalars(held).all()
    gone = [place for place in places if place.left_at is None and place.story_id not in chosen]
    back = [place for place in places if place.left_at is not None and place.story_id in chosen]
    reopen(session, [*gone, *back], at=at)
    for place in gone:
        place.left_at = at
    for place in back:
        place.left_at, place.tombstone, place.archive = None, False, None
    known = {place.story_id for place in places}
    fresh = [_place(definition, story) for story in chosen.values() if story.id not in known]
    if fresh:
        session.execute(insert(FeedEntry), fresh)


def _place(definition: FeedDefinition, story: Story) -> dict[str, object]:
    return {
        "feed": definition.name,
        "story_id": story.id,
        "published_at": story.published_at,
        "updated_at": story.current.updated_of(story),
        "left_at": None,
        "tombstone": False,
        "archive": None,
    }


def _selected(definition: FeedDefinition, story: Story, at: datetime) -> bool:
    version = story.current
    return not (story.expires_at and story.expires_at <= at) and selects(
        definition.select, section=version.section, tags=version.tags, byline=version.byline, rights=version.rights
    )
