"""Reading request bodies: JSON that cannot hurt."""

from __future__ import annotations

from flask import request

from syndicator.errors import WrongMediaType
from syndicator.intake.document import read_json


def json_body() -> object:
    """Return the request's JSON. Raises WrongMediaType, Malformed, and InvalidRequest when it is too intricate."""
    if not request.is_json:
        raise WrongMediaType("application/json")
    return read_json(request.get_data())


def storable(text: str) -> str:
    """Return `text` if a database can hold it; raises ValueError for what no Unicode text has (a NUL, half a surrogate pair)."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a character that cannot be stored")
    return text
