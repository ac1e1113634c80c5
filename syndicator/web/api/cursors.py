"""Cursors: where a page ended, as a word that clients hand back and do not read."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from syndicator.errors import InvalidRequest

LARGEST = 2**31 - 1  # of what a column INTEGER holds
LARGEST_BIG = 2**63 - 1


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


def _write(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise _not_ours() from error


def _number(text: str, most: int = LARGEST) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > most:
        raise _not_ours()
    return int(text)


def _not_ours() -> InvalidRequest:
    return InvalidRequest("is not a cursor of ours; start again without one", "cursor")
