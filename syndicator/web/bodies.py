"""Reading request bodies: JSON that cannot hurt."""

from __future__ import annotations

from flask import request

from syndicator.errors import InvalidRequest
from syndicator.intake.document import require_few_parts

DEPTH = 64


def json_body() -> object:
    """Return the request's JSON, None if it is none. Raises InvalidRequest for one that is nested too deeply or too intricate."""
    require_few_parts(request.get_data())
    try:
        values: object = request.get_json(silent=True)
    except RecursionError as error:
        raise InvalidRequest(f"the JSON is nested more than {DEPTH} levels deep") from error
    _check_depth(values)
    return values


def storable(text: str) -> str:
    """Return `text` if a database can hold it; raises ValueError for what no Unicode text has (a NUL, half a surrogate pair)."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a character that cannot be stored")
    return text


def _check_text(text: str, name: str) -> None:
    try:
        storable(text)
    except ValueError as error:
        raise InvalidRequest(str(error), name) from error


def _check_depth(values: object) -> None:
    level, depth = [values], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise InvalidRequest(f"the JSON is nested more than {DEPTH} levels deep")
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [child for part in inner for child in (part.values() if isinstance(part, dict) else part)]
