"""Packed exports: ZIP and gzip, unpacked in memory with counted sizes. What a header says of a size is not believed.

Nothing is written to disk, so no name in an archive can point anywhere. Runs in the parse child.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

from syndicator.errors import IntakeError

MAX_UNPACKED = 200_000_000  # bytes, of all files together
MAX_FILES = 10_000
MAX_RATIO = 100  # unpacked to packed; XML packs to a tenth


def unpacked(content: bytes, origin: str) -> Iterator[bytes]:
    """Yield the XML documents in `content`, itself one if it is not packed. Raises IntakeError; nothing is packed twice."""
    if content.startswith(b"PK\x03\x04"):
        yield from _from_zip(content, origin)
    elif content.startswith(b"\x1f\x8b"):
        yield _from_gzip(content, origin)
    else:
        yield content


def _from_zip(content: bytes, origin: str) -> Iterator[bytes]:
    room = min(MAX_UNPACKED, MAX_RATIO * len(content))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = archive.infolist()
            if len(files) > MAX_FILES:
                raise IntakeError(origin, f"more than {MAX_FILES} files in the archive")
            found = [
                file for file in files if file.filename.lower().endswith(".xml") and not file.filename.startswith("__MACOSX")
            ]
            if not found:
                raise IntakeError(origin, "the archive holds no .xml file")
            for file in found:
                if file.flag_bits & 1:
                    raise IntakeError(origin, "the archive is locked with a password")
                with archive.open(file) as packed:
                    document = packed.read(room + 1)
                room -= len(document)
                if room < 0:
                    raise IntakeError(origin, "the archive unpacks to too much")
                yield document
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise IntakeError(origin, "the archive is broken") from error


def _from_gzip(content: bytes, origin: str) -> bytes:
    room = min(MAX_UNPACKED, MAX_RATIO * len(content))
    reader = zlib.decompressobj(wbits=31)
    try:
        document = reader.decompress(content, room + 1)
    except zlib.error as error:
        raise IntakeError(origin, "the archive is broken") from error
    if len(document) > room:
        raise IntakeError(origin, "the archive unpacks to too much")
    if not reader.eof:
        raise IntakeError(origin, "the archive ends too early")
    return document
