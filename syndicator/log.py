"""Logs: structlog to standard error, JSON or text, one event a line; the standard library's loggers take the same way.

Hostile text cannot forge a line (control characters are escaped) and secrets do not get in (keys, tokens, signing secrets,
Authorization are masked), whoever logs them. Call `configure` once per process.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

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


# Libraries that say at every turn that nothing happened; what goes wrong in a job is logged by jobs.py itself.
CHATTERING = ("alembic", "apscheduler", "celery", "kombu")


def configure(form: Literal["json", "text"], level: str) -> None:
    """Send everything at `level` or above to standard error, in `form`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        clean,
    ]
    last: Processor = structlog.processors.JSONRenderer() if form == "json" else _as_text
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTERING:
        logging.getLogger(name).setLevel(logging.ERROR if level != "debug" else logging.NOTSET)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, escape control characters and cut what is too long, in every value of an event."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own
            most = MAX_TRACEBACK_CHARS if name == "exception" else MAX_VALUE_CHARS
            event[name] = "***" if _SECRET_NAMES.search(name) else _clean_value(value, most)
    return event


def mask(text: str) -> str:
    """Return `text` with the secrets in it made unreadable."""
    return _SECRETS.sub(lambda found: next(filter(None, found.groups()), "") + "***", text)


def _clean_value(value: Any, most: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) > most:  # cut first: what is thrown away need not be searched
        text = f"{text[:most]}… ({len(text)} characters)"
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), mask(text))


def _as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`TIME LEVEL logger: event key=value …`; values with spaces or quotes stand in quotes."""
    head = f"{event.pop('at')} {event.pop('level', 'info').upper()} {event.pop('logger', '')}: {event.pop('event', '')}"
    return " ".join([head, *(f"{name}={_quoted(value)}" for name, value in event.items())])


def _quoted(value: Any) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"'=]+", text) else '"' + text.replace('"', '\\"') + '"'
