"""A copy of the public feed documents that nginx serves as plain files (deploy/nginx.conf), with the answers we would give.

The document `latest.rss` is the folder `feeds/latest.rss/` of the copy with a file for each content coding. Their names say what
is told beside the bytes: the ETags, how long they may be kept, what Link names. `now` is a link to one of them, set by rename.
nginx reads it once for each request, and from it which file to give and what to say of it: so the old document or the new one,
whole. The version before stays for whoever is about to open it. Where nothing is found, nginx asks Syndicator. A document of
which a name cannot tell all has no copy. Everybody may read everything here.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from syndicator.documents import CODINGS, Stored, document_path, find_document, is_key, public_folder, sync_folder

log = logging.getLogger(__name__)
NOW = "now"
MAX_NAME_BYTES = 255
MARK = Path("documents", ".static")  # below data_dir: a link to where the copy is kept
_LINKS = re.compile(
    r'(?:<(?P<hub>[^>]+)/hub>; rel="hub", )?'
    r'<(?P<site>(?P<scheme>https?)://(?P<host>[^/,<>]+))/feeds/(?P<key>[^>]+)>; rel="self", '
    r'<(?P=site)/licenses/free-use/(?P<license>[^/,<>]+)>; rel="license"'
)


def begin_copy(static: Path | None, data_dir: Path) -> None:
    """Make the copy in `static` (None: none is kept) show every public document and nothing else.

    A copy that was kept elsewhere before is removed, since nginx would go on to show what grows stale.
    """
    mark, documents = data_dir / MARK, public_folder(data_dir)
    former = mark.readlink() if mark.is_symlink() else None
    if former is not None and former != static and _remove_copy(former):
        mark.unlink(missing_ok=True)
    if static is None:
        return
    mark.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    with suppress(FileExistsError):
        mark.symlink_to(static)
    feeds = static / "feeds"
    shown = {link.parent.relative_to(feeds).as_posix() for link in feeds.rglob(NOW) if link.is_symlink()}
    there = {file.relative_to(documents).as_posix() for file in documents.rglob("*.*")}
    for key in sorted(shown ^ {key for key in there if is_key(key)}):
        show(static, documents, key)


def _remove_copy(static: Path) -> bool:
    """Remove what we put there and nothing else; False when that cannot be done."""
    try:
        for link in list((static / "feeds").rglob(NOW)):
            if link.is_symlink():
                shutil.rmtree(link.parent)
    except OSError:
        log.exception("former static copy not removed, remove it by hand folder=%s", static)
        return False
    return True


def show(static: Path, documents: Path, key: str) -> None:
    """Make the copy show the document that lies at `key` now, durably; nothing when there is none.

    Where it cannot be written it is taken away, and nginx asks us. Raises OSError when not even that can be done.
    """
    place = _place(static, key)
    try:
        with _alone_in(place, static):
            stored = find_document(document_path(documents, key))
            if stored is None or not (files := _files(stored, key)):
                _clear(place)
            elif not _shows(place, files):
                _write(place, files, stored)
    except OSError:
        log.exception("static copy not written, nginx asks us instead document=%s", key)
        if place.is_dir():
            _clear(place)


def is_shown(static: Path, documents: Path, key: str) -> bool:
    """Say whether the copy shows the document at `key`, or nothing where nothing can be shown."""
    stored, place = find_document(document_path(documents, key)), _place(static, key)
    files = _files(stored, key) if stored else {}
    return _shows(place, files) if files else not (place / NOW).is_symlink()


def _files(stored: Stored, key: str) -> dict[str, str]:
    """Return the names of its files by coding, none when they cannot tell all that nginx must say."""
    told = _LINKS.fullmatch(", ".join(stored.links))
    if not told or told["key"] != key or told["hub"] not in {None, told["site"]}:
        return {}
    if not stored.has_own_date:  # nginx would tell a date that proves nothing
        return {}
    tags = [stored.etags[coding].strip('"') for coding in CODINGS]
    times = [f"{stored.updated.timestamp():.0f}", str(stored.max_age_seconds)]
    name = ",".join([*tags, *times, told["scheme"], told["host"], "hub" if told["hub"] else "", told["license"]])
    files = {coding: f"{name}.{coding}.{key.rpartition('.')[2]}" for coding in CODINGS}
    return files if all(len(file) <= MAX_NAME_BYTES for file in files.values()) else {}


def _shows(place: Path, files: dict[str, str]) -> bool:
    whole = all((place / file).exists() for file in files.values())
    return whole and (place / NOW).is_symlink() and (place / NOW).readlink() == Path(files["identity"])


def _place(static: Path, key: str) -> Path:
    return document_path(static / "feeds", key)


@contextmanager
def _alone_in(place: Path, static: Path) -> Iterator[None]:
    """Keep others from changing what `place` shows. The folder stays when it is empty: somebody may wait for its lock."""
    for folder in (static, *reversed([above for above in place.parents if static in above.parents]), place):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # whatever the umask says
            sync_folder(folder.parent)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(place: Path, files: dict[str, str], stored: Stored) -> None:
    """Put the files in place, then the link to them; of those before, only the last stay."""
    kept = {_version(files["identity"])}
    if (place / NOW).is_symlink():
        kept.add(_version((place / NOW).readlink().name))
    for coding, name in files.items():
        with (place / ".fresh").open("wb") as file:
            file.write(stored.bodies[coding])
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.utime(file.fileno(), (stored.updated.timestamp(), stored.updated.timestamp()))
            os.fsync(file.fileno())
        (place / ".fresh").replace(place / name)
    (place / ".now").unlink(missing_ok=True)
    (place / ".now").symlink_to(files["identity"])
    (place / ".now").replace(place / NOW)
    for old in list(place.iterdir()):
        if old.name != NOW and _version(old.name) not in kept:
            old.unlink()
    sync_folder(place)


def _version(name: str) -> str:
    """What the names of a version's files have in common."""
    return name.rsplit(".", 2)[0]


def _clear(place: Path) -> None:
    (place / NOW).unlink(missing_ok=True)
    for file in list(place.iterdir()):
        file.unlink(missing_ok=True)
    sync_folder(place)
