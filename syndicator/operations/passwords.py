"""Passwords: which are taken, how they are kept (argon2id), and how they are compared without telling whether there is one."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from syndicator.domain.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD
from syndicator.errors import InvalidRequest

# OWASP Password Storage, 2nd of its equal settings for argon2id: 19 MiB, so that sixteen at once do not fill a small machine.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
COMMON = Path(__file__).with_name("common_passwords.txt")


def hash_password(password: str) -> str:
    return HASHER.hash(_normal(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Say whether `password` is the one that was hashed. Takes the same time when there is none (reliability S16)."""
    try:
        HASHER.verify(password_hash or _nobodys(), _normal(password[:LONGEST_PASSWORD]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def check_password(password: str, *known: str) -> None:
    """Raise InvalidRequest for a password that is short, long, common, or made of what is `known` about its user.

    No rule about kinds of characters: length is what counts (NIST SP 800-63B, 5.1.1.2).
    """
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidRequest(
            f"A password needs at least {SHORTEST_PASSWORD} characters; three or four words do well.", "password"
        )
    if len(password) > LONGEST_PASSWORD:
        raise InvalidRequest(f"A password may have at most {LONGEST_PASSWORD} characters.", "password")
    theirs = {part for text in known for part in re.split(r"[\W_]+", text.casefold()) if len(part) >= 4}
    rest = re.sub(r"[\W_]", "", password.casefold())
    for word in sorted(_common() | theirs, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(set(password)) < 5 or len(rest) < 6:
        raise InvalidRequest("This password is easily guessed. Choose one that nobody else would think of.", "password")


def _normal(password: str) -> str:
    """Return one spelling for what different keyboards send for the same letters (NIST SP 800-63B asks for NFKC)."""
    return unicodedata.normalize("NFKC", password)


@cache
def _nobodys() -> str:
    """A hash that stands in where there is none; no password matters for it."""
    return HASHER.hash("nobody has this one")


@cache
def _common() -> frozenset[str]:
    return frozenset(COMMON.read_text(encoding="ascii").split())
