"""Secrets: encrypted when they must be replayed, hashed when they only have to be recognised.

The keys lie in `data_dir/keys`, outside the database, in files that only their owner can read; they are made on first start.
A file that others can read stops start-up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from syndicator.errors import ConfigError

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


REMEMBERED = 4096  # secrets that one process has unlocked, so that a story to thousands does not unlock each of theirs again


class Vault:
    """Encrypts with the newest key, decrypts with any (one key a line, newest first)."""

    def __init__(self, keys: list[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._keys = keys
        self._unlock = lru_cache(REMEMBERED)(self._fernet.decrypt)

    def lock(self, plain: str) -> str:
        return self._fernet.encrypt(plain.encode()).decode()

    def unlock(self, locked: str) -> str:
        """Return the secret; raises ConfigError when none of our keys made `locked`."""
        try:
            return self._unlock(locked).decode()
        except InvalidToken as error:
            raise ConfigError("keys/vault.key: a stored secret was locked with a key that is not in this file") from error

    def seal(self, words: str) -> str:
        """Return a mark that only we can have put under `words`: 160 bits as base32 in lower case, for addresses in letters."""
        return _seal(self._keys[0], words)

    def sealed(self, words: str, seal: str) -> bool:
        """Say whether `seal` is one of ours under `words`, by any key."""
        return any(hmac.compare_digest(_seal(key, words).encode(), seal.encode()) for key in self._keys)


def open_vault(data_dir: Path) -> Vault:
    """Return the vault of `data_dir`, with a new key if there is none."""
    return Vault(read_key_file(data_dir, "vault.key", Fernet.generate_key).split())


def read_key_file(data_dir: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """Return the content of `data_dir/keys/NAME`, made by `make()` if absent; refuses a file that others can read."""
    folder = data_dir / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / name
    if not file.exists():
        fresh = folder / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(make())
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(fresh, file)  # two starting at once: the first one's key stands
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    if file.stat().st_mode & 0o077:
        raise ConfigError(f"{file}: can be read by others than its owner; run chmod 600 on it")
    return file.read_bytes()


def new_token(prefix: str) -> str:
    """Return `prefix` + 30 random characters + a 6-character checksum, by which a scanner knows a real key from a random word."""
    body = "".join(secrets.choice(BASE62) for _ in range(30))
    return f"{prefix}_{body}{_checksum(body)}"


def well_formed(token: str, prefix: str) -> bool:
    """Say whether `token` is one that new_token can have made; no look-up is needed to refuse another."""
    head, _, tail = token.rpartition("_")
    return head == prefix and len(tail) == 36 and tail.isascii() and _checksum(tail[:30]) == tail[30:]


def hash_token(token: str) -> str:
    """SHA-256, hex. Enough for 178 random bits; passwords need a slow hash and are not kept by this."""
    return hashlib.sha256(token.encode()).hexdigest()


def _seal(key: bytes, words: str) -> str:
    mark = hmac.digest(b"seal:" + key, words.encode(), "sha256")[:20]
    return base64.b32encode(mark).decode().lower()


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = BASE62[digit] + digits
    return digits
