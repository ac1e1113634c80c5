"""What a subscriber may choose for each way out that holds a conversation: e-mail, SFTP, WordPress. Checked when it is chosen.

A value may come from a command line, so numbers, truth values and maps are read from text too. Secrets are no options: they are
handed over apart and kept encrypted. Knows no network and no paramiko.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from syndicator.domain.subscriptions import ChannelKind
from syndicator.errors import InvalidRequest

FileFormat = Literal["html", "text", "ninjs", "newsml", "jsonld"]
NAME_FIELDS = ("date", "updated", "id", "version", "status", "slug", "seq", "ext")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")
_FIELD = rf"\{{(?:{'|'.join(NAME_FIELDS)})\}}"
_NAME = re.compile(rf"(?:[A-Za-z0-9_-]|{_FIELD})(?:[A-Za-z0-9._-]|{_FIELD})*")  # no dot first: hidden files are ours alone


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EmailOptions(Options):
    """`hour` and `timezone` say when a daily digest comes; corrections and kills never wait for it."""

    frequency: Literal["instant", "daily"] = "instant"
    hour: int = Field(7, ge=0, le=23)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is no time zone this machine knows, such as Europe/Paris") from error
        return value


class SftpOptions(Options):
    """`host_key` is the server's, as one or more lines: SHA256:… as ssh-keygen -lf prints it, or lines of known_hosts."""

    user: str = Field(min_length=1, max_length=100, pattern=_PRINTABLE.pattern)
    host_key: str = Field(min_length=1, max_length=8000)
    folder: str = Field(".", min_length=1, max_length=500, pattern=_PRINTABLE.pattern)
    format: FileFormat = "ninjs"
    name: str = Field("{date}_{id}_v{version}_{status}.{ext}", max_length=200)

    @field_validator("host_key")
    @classmethod
    def _a_key(cls, value: str) -> str:
        read_host_keys(value)
        return value

    @field_validator("folder")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        if ".." in value.split("/") or "\\" in value:
            raise ValueError("must not lead out of itself")
        return value.rstrip("/") or "/"

    @field_validator("name")
    @classmethod
    def _a_pattern(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"takes letters, digits, dots, - and _, and the fields {', '.join(NAME_FIELDS)} in braces")
        if "{id}" not in value or "{version}" not in value:
            raise ValueError("needs {id} and {version}, or a kill would replace the file it cancels")
        return value


def _from_text(value: object) -> object:
    return json.loads(value) if isinstance(value, str) and value.lstrip().startswith("{") else value


def _numbered(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else value


Term = Annotated[int | Annotated[str, Field(min_length=1, max_length=200)], BeforeValidator(_numbered)]


class WordPressOptions(Options):
    """`categories` gives a section or tag of ours the name or number of a category there; `overwrite` is the leave to replace
    what the partner changed in its copy."""

    user: str = Field(min_length=1, max_length=100, pattern=r"^[^:\x00-\x1f\x7f]+$")  # RFC 7617: no colon
    status: Literal["publish", "draft", "pending"] = "draft"
    on_kill: Literal["draft", "trash"] = "trash"
    categories: Annotated[dict[str, Term], BeforeValidator(_from_text)] = Field(default_factory=dict, max_length=200)
    default_category: Term | None = None
    new_terms: bool = True  # whether categories and tags that are not there yet are made
    tags: bool = True
    byline: bool = True
    images: bool = True  # cleared ones; no other leaves in any case
    noindex: bool = False
    overwrite: bool = False


MODELS: dict[ChannelKind, type[Options]] = {
    ChannelKind.EMAIL: EmailOptions,
    ChannelKind.SFTP: SftpOptions,
    ChannelKind.WORDPRESS: WordPressOptions,
}


def read_options(channel: ChannelKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` checked and completed, as they are stored; raises InvalidRequest that names the option."""
    model = MODELS.get(channel)
    if model is None:
        return dict(values)
    try:
        return model.model_validate(values).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        told = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"option {name}: {told}", f"options.{name}") from error
    except ValueError as error:  # a map that is no JSON
        raise InvalidRequest(f"options: {error}", "options") from error


def next_digest_at(options: EmailOptions, after: datetime) -> datetime:
    """Return the first instant later than `after` at which it is `options.hour` o'clock in the subscriber's zone."""
    zone = ZoneInfo(options.timezone)
    day = after.astimezone(zone).date()
    while True:
        hour = datetime(day.year, day.month, day.day, options.hour, tzinfo=zone).astimezone(after.tzinfo)
        if hour > after:
            return hour
        day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's key: its fingerprint as OpenSSH writes it, and its type where the whole key was given."""

    fingerprint: str
    kind: str = ""


def read_host_keys(text: str) -> tuple[HostKey, ...]:
    """Return the keys of `text`, each a line: a fingerprint, or a line of known_hosts, host name or not. Raises ValueError."""
    keys = tuple(_host_key(line.split()) for line in text.splitlines() if line.strip())
    if not keys:
        raise ValueError("names no key")
    return keys


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key in its wire form: SHA256:…, without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _host_key(words: list[str]) -> HostKey:
    if len(words) == 1 and re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", words[0]):
        return HostKey(words[0])
    for kind, encoded in pairwise(words):
        if re.fullmatch(r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)", kind):
            try:
                return HostKey(fingerprint(base64.b64decode(encoded, validate=True)), kind)
            except binascii.Error:
                break
    raise ValueError("is neither SHA256:… (ssh-keygen -lf) nor a line of known_hosts (ssh-keyscan)")
