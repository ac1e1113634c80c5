"""Keys that sign receipts: Ed25519 (RFC 8037) in `data_dir/keys/receipts.json`, a JWK Set whose first key signs.

A key that was rotated out keeps its public half, so that what it signed can be checked for as long as anybody has it. The file is
read at each use: a rotation counts at once in every process.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from syndicator.errors import ConfigError
from syndicator.vault import read_key_file

FILE = "receipts.json"
ALGORITHM = "Ed25519"  # RFC 9864; EdDSA is its older name. Nothing else is signed or believed
LONGEST_TOKEN = 8_000


@dataclass(frozen=True, slots=True)
class Signer:
    """Where the keys lie."""

    data_dir: Path

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return `claims` as a compact JWS (RFC 7515) by the newest key."""
        key = self._keys()[0]
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": typ}
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
        return jws.serialize_compact(header, payload.encode(), key, algorithms=[ALGORITHM])

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of `token` if one of our keys signed it, whatever it says about itself; else None."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        try:
            found = jws.deserialize_compact(token, KeySet([*self._keys()]), algorithms=[ALGORITHM])
            claims = json.loads(found.payload)
        except (JoseError, ValueError, TypeError, KeyError):
            return None
        return claims if isinstance(claims, dict) else None

    def public_keys(self) -> dict[str, list[dict[str, Any]]]:
        """Return the JWK Set (RFC 7517) that anybody may check with. No `alg`: libraries differ about the name of Ed25519."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self._keys()]}

    def rotate(self) -> str:
        """Sign with a new key from now on and forget the private half of the former; returns the new key's id."""
        fresh = _new_key()
        former = [dict(key.as_dict(private=False)) for key in self._keys()]
        file = self.data_dir / "keys" / FILE
        beside = file.with_name(f".{FILE}.{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(_written([dict(fresh.as_dict(private=True)), *former]))
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
        return str(fresh.kid)

    def _keys(self) -> list[OKPKey]:
        content = read_key_file(self.data_dir, FILE, lambda: _written([dict(_new_key().as_dict(private=True))]))
        try:
            keys = [OKPKey.import_key(key) for key in json.loads(content)["keys"]]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"keys/{FILE}: is not the JWK Set that was written there") from error
        if not keys or not keys[0].is_private:
            raise ConfigError(f"keys/{FILE}: its first key cannot sign")
        return keys


def _new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)  # the id is the key's thumbprint (RFC 7638)


def _written(keys: list[dict[str, Any]]) -> bytes:
    return json.dumps({"keys": keys}, indent=1).encode()
