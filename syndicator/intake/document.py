"""The newsroom's own story document (JSON, contract.md section 3): what an editor's system puts to us, and `.json` files.

Unknown keys, wrong types and times without a zone are refused by name; a null is the same as leaving the key out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from syndicator.domain.stories import Image, Rights, StoryDraft
from syndicator.errors import InvalidRequest, Malformed
from syndicator.intake.body import MAX_URL, safe_url
from syndicator.intake.clean import MAX_BYLINES, MAX_HEADLINE, MAX_IMAGES, MAX_NAME, MAX_SUMMARY, MAX_TAG, MAX_TAGS

MAX_JSON_DEPTH = 64
# What becomes an object of its own takes 50 bytes and more, however few are written: three bytes of JSON can cost seventy.
MAX_JSON_PARTS = {b"[": 200_000, b"{": 200_000, b'"': 4_000_000, b",": 4_000_000}


def _written(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('must be text such as "2026-11-20T14:00:00Z"')  # pydantic reports only ValueError
    return value


def _web_address(value: str) -> str:
    if value and not (safe_url(value) or "").startswith("http"):
        raise ValueError("must be an absolute http:// or https:// address")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written)]
WebAddress = Annotated[str, Field(max_length=MAX_URL), BeforeValidator(_written), BeforeValidator(_web_address)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: object) -> object:
        return {key: value for key, value in values.items() if value is not None} if isinstance(values, Mapping) else values


class _ImageDocument(_Part):
    url: WebAddress
    caption: str = Field("", max_length=2000)
    credit: str = Field("", max_length=MAX_NAME)
    rights: Rights = Rights.NONE


class StoryDocument(_Part):
    """A story as the newsroom's own systems write it."""

    headline: str = Field(max_length=MAX_HEADLINE)
    body_html: str
    summary: str = Field("", max_length=MAX_SUMMARY)
    byline: tuple[Annotated[str, Field(max_length=MAX_NAME)], ...] = Field((), max_length=MAX_BYLINES)
    section: str = Field("", max_length=MAX_NAME)
    tags: tuple[Annotated[str, Field(max_length=MAX_TAG)], ...] = Field((), max_length=MAX_TAGS)
    language: str = Field("", max_length=35, pattern=r"^$|^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")
    canonical_url: WebAddress = ""
    published_at: Instant | None = None
    embargoed_until: Instant | None = None
    expires_at: Instant | None = None
    rights: Rights = Rights.FREE
    ednote: str = Field("", max_length=MAX_SUMMARY)
    images: tuple[_ImageDocument, ...] = Field((), max_length=MAX_IMAGES)


def parse_document(values: object, external_id: str) -> StoryDraft:
    """Return the draft in a decoded JSON document; raises InvalidRequest that names the first wrong field."""
    try:
        document = StoryDocument.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [(".".join(map(str, each["loc"])) or "document", each["msg"]) for each in wrong]
        raise InvalidRequest("; ".join(f"{field}: {why}" for field, why in lines[:10]), lines[0][0]) from error
    if document.expires_at and document.embargoed_until and document.expires_at <= document.embargoed_until:
        raise InvalidRequest("expires_at: the story would expire before its embargo ends", "expires_at")
    pictures = tuple(Image(**image.model_dump()) for image in document.images)
    return StoryDraft(external_id=external_id, **document.model_dump(exclude={"images"}), images=pictures)


def read_json(content: bytes | str) -> Any:
    """Decode JSON from outside. Raises Malformed for what is none (a NaN, too), InvalidRequest for too many parts or levels."""
    _require_few_parts(content if isinstance(content, bytes) else content.encode(errors="replace"))
    try:
        values = json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise Malformed("this is not well-formed JSON") from error
    if _depth(values) > MAX_JSON_DEPTH:
        raise _too_deep()
    return values


def _require_few_parts(content: bytes) -> None:
    """Raise InvalidRequest for JSON that would take up many times the memory that it is long; nothing is decoded for it."""
    if any(content.count(mark) > most for mark, most in MAX_JSON_PARTS.items()):
        raise InvalidRequest("this JSON has too many parts")


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"this JSON is nested deeper than {MAX_JSON_DEPTH}")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _depth(values: object) -> int:
    """Return how deep lists and objects are nested, without recursion; stops counting beyond the limit."""
    level, depth = [values], 0
    while (level := [value for value in level if isinstance(value, list | dict)]) and depth <= MAX_JSON_DEPTH:
        depth += 1
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return depth
