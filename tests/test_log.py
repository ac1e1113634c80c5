"""One event a line, whatever is logged, and no secret in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator import log
from syndicator.operations.keys import KEY_PREFIX, TOKEN_PREFIX
from syndicator.vault import new_token


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What reached standard error; logging is put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize("form", ["json", "text"])
def test_hostile_text_cannot_forge_a_line(written: Callable[[], str], form: str) -> None:
    log.configure(form, "info")  # type: ignore[arg-type]
    hostile = "a\nERROR forged\r\x1b[31m\u2028\u202e\x00\ud800"
    logging.getLogger("x").warning("asked for=%s", hostile)
    logging.getLogger("x").warning(hostile)
    text = written()
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
    assert "\\n" in text


@given(text=st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_makes_one_line_of_utf_8(text: str) -> None:
    event = log.clean({"event": text, "value": text})
    assert event["event"] == event["value"]
    assert len(str(event["event"]).splitlines()) <= 1
    str(event["event"]).encode()


SECRETS = [
    new_token(KEY_PREFIX),
    new_token(TOKEN_PREFIX),
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "GET /f/0123456789abcdefABCDEF/latest.rss",
    "Authorization: Bearer abc.def-ghi",
    "{'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='}",
    "postgresql://user:hunter2@db.example/x",
]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))  # workers must agree on names, and tokens are random
def test_no_secret_is_written(written: Callable[[], str], form: str, secret: str) -> None:
    log.configure(form, "debug")  # type: ignore[arg-type]
    logging.getLogger("x").info("came %s", secret)
    logging.getLogger("x").info("came what=%s nested=%s token=%s", secret, {"deep": [secret]}, secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("x").exception("failed")
    text = written()
    for hidden in (
        "MfKQ9r8G",
        "0123456789abcdef",
        "abc.def",
        "dXNlcjp",
        "hunter2",
        secret[-20:] if secret.startswith("syn") else "\0",
    ):
        assert hidden not in text
    assert "***" in text
    assert len(text.splitlines()) == 3


def test_a_line_of_json_says_when_who_and_what(written: Callable[[], str]) -> None:
    log.configure("json", "info")
    logging.getLogger("syndicator.x").info("delivery deferred delivery=%s reason=%s", 7, "http-503")
    logging.getLogger("syndicator.x").debug("not written")
    event = json.loads(written())
    assert event.pop("at").endswith("Z")
    assert event == {
        "event": "delivery deferred",
        "level": "info",
        "logger": "syndicator.x",
        "delivery": 7,
        "reason": "http-503",
    }


def test_a_line_of_text_keeps_values_apart(written: Callable[[], str]) -> None:
    log.configure("text", "info")
    logging.getLogger("x").info("story killed story=%s reason=%s", "s1", 'said "no" twice')
    assert written().endswith('INFO x: story killed story=s1 reason="said \\"no\\" twice"\n')


@pytest.mark.parametrize(("template", "args"), [("at 100 %", ()), ("%d of %s a=%s", (1, "x", 2)), ("a=%s b", (1,))])
def test_what_is_no_words_and_pairs_is_told_as_it_is(written: Callable[[], str], template: str, args: tuple[object, ...]) -> None:
    log.configure("text", "info")
    logging.getLogger("x").info(template, *args)
    assert written().endswith(f" x: {template % args if args else template}\n")


def test_what_is_too_long_is_cut(written: Callable[[], str]) -> None:
    log.configure("text", "info")
    logging.getLogger("x").info("x" * 1_000_000)
    assert 2_000 < len(written()) < 3_000
