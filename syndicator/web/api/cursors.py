"""Cursors: where a page ended, as a word that clients hand back and do not read."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import datetime

from syndicator.errors import InvalidRequest

LARGEST = 2**31 - 1  # of what a column INTEGER holds
LARGEST_BIG = 2**63 - 1
IDS = b"\xff"  # begins a cursor that lists ids; no text in UTF-8 does


def write_cursor(published_at: datetime, story_id: int) -> str:
    """Write the place of a story in lists that are newest first."""
    return _write(f"{published_at.isoformat()} {story_id}")


def read_cursor(text: str) -> tuple[datetime, int]:
    """Return what write_cursor wrote. Raises InvalidRequest for anything else."""
    moment, _, number = _read(text).partition(" ")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise _not_ours() from error
    if at.tzinfo is None or not 1970 <= at.year <= 9998:
        raise _not_ours()
    return at, _number(number)


def write_number(number: int) -> str:
    """Write a row's number, or how many have been seen."""
    return _write(str(number))


def read_number(text: str, most: int = LARGEST) -> int:
    """Return what write_number wrote. Raises InvalidRequest for anything else, and for what is larger than `most`."""
    return _number(_read(text), most)


def write_ids(ids: Sequence[int]) -> str:
    """Write which stories are still to come, for lists whose order may be another one by then."""
    return _packed(IDS + struct.pack(f">{len(ids)}I", *ids))


def read_ids(text: str) -> list[int]:
    """Return what write_ids wrote. Raises InvalidRequest for anything else."""
    packed = _unpacked(text)
    if packed[:1] != IDS or len(packed) % 4 != 1:
        raise _not_ours()
    ids = list(struct.unpack(f">{len(packed) // 4}I", packed[1:]))
    if any(number > LARGEST for number in ids):
        raise _not_ours()
    return ids


def _write(plain: str) -> str:
    return _packed(plain.encode())


def _read(text: str) -> str:
    try:
        return _unpacked(text).decode()
    except ValueError as error:
        raise _not_ours() from error


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as error:
        raise _not_ours() from error


def _number(text: str, most: int = LARGEST) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > most:
        raise _not_ours()
    return int(text)


def _not_ours() -> InvalidRequest:
    return InvalidRequest("is not a cursor of ours; start again without one", "cursor")
