"""Logs to standard error, JSON or text, one event a line, whoever logs it.

An event is told in fixed words and then in pairs, `log.info("delivery deferred delivery=%s reason=%s", ...)`: in JSON each pair
is a member of its own. Hostile text cannot forge a line or a pair (control characters are escaped, values quoted), and secrets
(keys, tokens, signing secrets, Authorization) are masked. Call `configure` once per process.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

MAX_VALUE_CHARS, MAX_TRACEBACK_CHARS = 2_000, 20_000
_SECRETS = re.compile(
    r"""(?xi)
    (?P<key>     \b syn_[a-z]+_ [A-Za-z0-9]{4} ) [A-Za-z0-9_-]{8,}          # keys and tokens of ours: the first four stay
    | (?P<hook>  \b whsec_ ) [A-Za-z0-9+/=_-]+                             # signing secrets (Standard Webhooks)
    | (?P<path>  /f/ ) [^/\s"'?]+                                          # feed tokens in a URL
    | (?P<head>  \b authorization ["']? \s* [:=] \s* ["']? (?:(?:basic|bearer)\s+)? ) [^\s"',]+
    | (?P<auth>  \b (?:basic|bearer) \s+ ) [A-Za-z0-9+/=._~-]{8,}
    | (?P<user>  :// ) [^/\s@:]+ : [^/\s@]+ (?=@)                          # a password in a URL
    """
)
_SECRET_NAMES = re.compile(r"(?i)(^|_)(authorization|password|passphrase|secret|token|api_key|cookie|totp)$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_PAIRS = re.compile(r"(?s)([^=]*?)((?: \w+=%s)+)")

# Libraries that say at every turn that nothing happened; what goes wrong in a job is logged by jobs.py itself.
CHATTERING = ("alembic", "apscheduler", "celery", "kombu")


def configure(form: Literal["json", "text"], level: str) -> None:
    """Send everything at `level` or above to standard error, in `form`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTERING:
        logging.getLogger(name).setLevel(logging.ERROR if level != "debug" else logging.NOTSET)
    logging.captureWarnings(capture=True)


class JsonLines(logging.Formatter):
    """`{"event": …, name: value, …, "level": …, "logger": …, "at": …}`"""

    def format(self, record: logging.LogRecord) -> str:
        about = {"level": record.levelname.lower(), "logger": record.name, "at": _at(record)}
        return json.dumps({**clean(_told(record)), **about, **clean(_trace(self, record))})


class TextLines(logging.Formatter):
    """`TIME LEVEL logger: event name=value …`; values with spaces or quotes stand in quotes."""

    def format(self, record: logging.LogRecord) -> str:
        event = clean({**_told(record), **_trace(self, record)})
        head = f"{_at(record)} {record.levelname} {record.name}: {event.pop('event')}"
        return " ".join([head, *(f"{name}={_quoted(value)}" for name, value in event.items())])


def clean(event: dict[str, Any]) -> dict[str, Any]:
    """Mask secrets, escape control characters and cut what is too long, in every value of an event."""
    return {
        name: "***"
        if _SECRET_NAMES.search(name)
        else _clean_value(value, MAX_TRACEBACK_CHARS if name == "exception" else MAX_VALUE_CHARS)
        for name, value in event.items()
    }


def mask(text: str) -> str:
    """Return `text` with the secrets in it made unreadable."""
    return _SECRETS.sub(lambda found: next(filter(None, found.groups()), "") + "***", text)


def _told(record: logging.LogRecord) -> dict[str, Any]:
    """Return the words of an event as `event`, and its pairs."""
    args = record.args if isinstance(record.args, tuple) else ()
    words, names = _words_and_names(str(record.msg)) if args else ("", ())
    first = len(args) - len(names)
    if not names or first < 0:
        return {"event": record.getMessage()}
    return {"event": words % args[:first], **dict(zip(names, args[first:], strict=True))}


@lru_cache(maxsize=256)
def _words_and_names(template: str) -> tuple[str, tuple[str, ...]]:
    """Take `words name=%s name=%s` apart; no names when it is anything else."""
    found = _PAIRS.fullmatch(template)
    return (found[1], tuple(re.findall(r"\w+(?==)", found[2]))) if found else (template, ())


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    return {"exception": formatter.formatException(record.exc_info)} if record.exc_info else {}


def _at(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _clean_value(value: Any, most: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) > most:  # cut first: what is thrown away need not be searched
        text = f"{text[:most]}… ({len(text)} characters)"
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), mask(text))


def _quoted(value: Any) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"'=]+", text) else '"' + text.replace('"', '\\"') + '"'
