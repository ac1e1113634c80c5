"""Finished feed documents: how they lie on disk. How HTTP answers from them is in web/document_answers.py.

One file holds one document whole: its header fields and its body as identity, gzip and br, each with a strong ETag made from
its own bytes. The file is replaced by rename, so a reader has the old document or the new one and never a mixture. Equal
documents give equal bytes and equal ETags. No rendering, no database, no clock, no Flask.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import brotli

from syndicator.errors import NotFound, SyndicatorError

MAGIC = b"syndicator-document-2 "  # change the number with the layout, and every document is written anew
CODINGS = ("br", "gzip", "identity")  # as we like them best: the fewest bytes first
SIGN_BYTES = 8
MOST_FORMER = 200  # validators of the last fifty documents that stood in the place of this one
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(/[a-z0-9][a-z0-9-]{0,62}){0,3}\.[a-z]{2,5}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


class DamagedDocument(SyndicatorError):
    """A document's file does not hold what its own header says; it must be rendered anew."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class DocumentNotFound(NotFound):
    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no document {path}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered document and what is said beside it. `links` are the values of one Link header field (RFC 8288)."""

    content_type: str
    body: bytes
    links: tuple[str, ...]
    updated: datetime  # Last-Modified, in whole seconds; the caller sees to it that it is never later than now
    max_age_seconds: int
    cors: bool
    immutable: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it was read: `bodies` and `etags` by content coding (RFC 9110 section 8.4.1)."""

    content_type: str
    links: tuple[str, ...]
    updated: datetime
    max_age_seconds: int
    cors: bool
    immutable: bool
    bodies: Mapping[str, bytes]
    etags: Mapping[str, str]
    former: tuple[str, ...] = ()  # ETags and dates of the documents before it in its place, the newest first
    former_date: datetime | None = None  # the latest date that any of them told

    @property
    def body(self) -> bytes:
        return self.bodies["identity"]

    @property
    def has_own_date(self) -> bool:
        """Whether its date tells it from those before it: two changes in one second share one, and clocks are set back."""
        return self.former_date is None or self.former_date < self.updated

    @property
    def document(self) -> Document:
        return Document(
            self.content_type, self.body, self.links, self.updated, self.max_age_seconds, cors=self.cors, immutable=self.immutable
        )


def public_folder(data_dir: Path) -> Path:
    """Where documents lie that anybody may have; the byte layer reads here."""
    return data_dir / "documents" / "public"


def private_folder(data_dir: Path) -> Path:
    """Where documents lie that the gate hands out."""
    return data_dir / "documents" / "private"


def document_path(folder: Path, key: str) -> Path:
    """Return the file of `key` (`latest.rss`, `latest/archive/3.atom`) in `folder`; raises ValueError for any other spelling."""
    if not is_key(key):
        raise ValueError(f"not the key of a document: {key!r}")
    return folder / key


def is_key(key: str) -> bool:
    """Say whether a file of this name below the folder is a document."""
    return _KEY.fullmatch(key) is not None


def write_document(folder: Path, key: str, document: Document, *, at: datetime | None = None) -> bool:
    """Put `document` in the place of the one at `key`, durably; False, and nothing written, when that one is equal.

    Where `at`, the present, allows, other bytes than before never keep the old Last-Modified, whatever the document says of
    itself: a reader that sends nothing but If-Modified-Since would be told for ever that nothing changed.
    """
    path = document_path(folder, key)
    before = find_document(path)
    if before is not None and at is not None:
        newer = before.updated + timedelta(seconds=before.body != document.body)
        document = replace(document, updated=max(document.updated, min(newer, at)))
    document = replace(document, updated=document.updated.replace(microsecond=0))
    if before is not None and before.document == document:
        note_change(folder)  # whoever wrote it may have died before saying so
        return False
    _put(path, _pack(document, before), document.updated)
    note_change(folder)
    return True


def copy_document(folder: Path, key: str, packed: bytes) -> None:
    """Put a copy of another machine's document in the place of the one at `key`; raises DamagedDocument for what is none."""
    path = document_path(folder, key)
    _put(path, packed, unpack(packed, path).updated)
    note_change(folder)


def _put(path: Path, packed: bytes, updated: datetime) -> None:
    """Write one file so that readers see the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fchmod(file.fileno(), 0o640)
            stamp = _stamp(updated, packed)
            os.utime(file.fileno(), ns=(stamp, stamp))
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_document(path: Path) -> Stored:
    """Read one document; raises DocumentNotFound, or DamagedDocument when a single bit is not as it was written."""
    try:
        return unpack(path.read_bytes(), path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DocumentNotFound(path) from error


def remove_document(folder: Path, key: str) -> bool:
    """Take the document at `key` away; False when there is none."""
    path = document_path(folder, key)
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    sync_folder(path.parent)
    note_change(folder)
    return True


def note_change(folder: Path) -> None:
    """Tell every process of this machine that reads documents of `folder` that one of them has changed."""
    sign = open_sign(folder)
    try:
        os.pwrite(sign, os.urandom(SIGN_BYTES), 0)
    finally:
        os.close(sign)


def open_sign(folder: Path) -> int:
    """Open the file whose bytes are others after each change in `folder`; returns its descriptor."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    sign = os.open(folder / ".changed", os.O_RDWR | os.O_CREAT, 0o640)
    if os.fstat(sign).st_size < SIGN_BYTES:
        os.ftruncate(sign, SIGN_BYTES)
    return sign


def unpack(packed: bytes, path: Path) -> Stored:
    """Read what write_document wrote; `path` names the file in the DamagedDocument raised for anything else."""
    try:
        seal, header, rest = packed.split(b"\n", 2)
        if seal != _seal(packed[len(seal) + 1 :]):
            raise DamagedDocument(path, "holds other bytes than were written")
        told = json.loads(header)
        bodies: dict[str, bytes] = {}
        for coding in CODINGS:
            bodies[coding], rest = rest[: told["sizes"][coding]], rest[told["sizes"][coding] :]
        facts = told["facts"]
        return Stored(
            content_type=facts["content_type"],
            links=tuple(facts["links"]),
            updated=datetime.fromtimestamp(facts["updated"], UTC),
            max_age_seconds=facts["max_age_seconds"],
            cors=facts["cors"],
            immutable=facts["immutable"],
            bodies=bodies,
            etags=told["etags"],
            former=tuple(told["former"]),
            former_date=datetime.fromtimestamp(told["former_date"], UTC) if told["former_date"] is not None else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDocument(path, f"cannot be read: {error}") from error


def _facts(document: Document) -> dict[str, Any]:
    """All that makes one document differ from another, fit for JSON."""
    for value in (document.content_type, *document.links):
        if not _PRINTABLE.fullmatch(value):
            raise ValueError(f"not fit for a header field: {value!r}")
    return {
        "content_type": document.content_type,
        "links": list(document.links),
        "updated": int(document.updated.timestamp()),
        "max_age_seconds": document.max_age_seconds,
        "cors": document.cors,
        "immutable": document.immutable,
    }


def _pack(document: Document, before: Stored | None) -> bytes:
    bodies = {
        "br": brotli.compress(document.body, quality=5),
        "gzip": gzip.compress(document.body, compresslevel=9, mtime=0),
        "identity": document.body,
    }
    header = {
        "facts": _facts(document),
        "sizes": {coding: len(bodies[coding]) for coding in CODINGS},
        "etags": {coding: _etag(bodies[coding]) for coding in CODINGS},
        **_history(before),
    }
    packed = json.dumps(header).encode() + b"\n" + b"".join(bodies[coding] for coding in CODINGS)
    return _seal(packed) + b"\n" + packed


def _history(before: Stored | None) -> dict[str, Any]:
    """What a document keeps of those before it, so that every process, also one that just started, knows who had them."""
    if before is None:
        return {"former": [], "former_date": None}
    former = (*before.etags.values(), format_datetime(before.updated, usegmt=True), *before.former)
    dates = [before.updated] + ([before.former_date] if before.former_date else [])
    return {"former": former[:MOST_FORMER], "former_date": int(max(dates).timestamp())}


def find_document(path: Path) -> Stored | None:
    """Return the document at `path`, or None when there is none that is whole."""
    try:
        return read_document(path)
    except (DocumentNotFound, DamagedDocument):
        return None


def _seal(packed: bytes) -> bytes:
    """The first line of a file: its layout, and the hash of all that follows."""
    return MAGIC + hashlib.sha256(packed).hexdigest().encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _stamp(updated: datetime, packed: bytes) -> int:
    """The file's time in nanoseconds: the second of the change, then digits drawn from the content.

    Kernels stamp files by a tick of milliseconds and reuse inodes, so two quick changes could otherwise look alike to `stat`.
    """
    return int(updated.timestamp()) * 10**9 + int.from_bytes(hashlib.sha256(packed).digest()[:8]) % 10**9


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
