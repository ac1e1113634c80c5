"""The second factor: six digits from an app (TOTP, RFC 6238), each taken once."""

from __future__ import annotations

import hmac
from datetime import datetime

import pyotp
import segno
from sqlalchemy.orm import Session

from syndicator.domain.accounts import SignIn, User
from syndicator.errors import Conflict, InvalidRequest
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.accounts import end_sign_ins

STEP_SECONDS = 30
DRIFT_STEPS = 1  # a phone's clock may be half a minute off


def prepare(house: House, user: User) -> None:
    """Make a secret for `user` that counts once a code of it has been given."""
    if user.second_factor:
        raise Conflict("There is a second factor already; remove it first.")
    user.totp_secret, user.totp_step = house.vault.lock(pyotp.random_base32()), 0


def confirm(session: Session, house: House, user: User, code: str, *, keep: SignIn, at: datetime) -> None:
    """Ask for codes from now on. Raises InvalidRequest for a wrong one. Every other sign-in ends: none had a code."""
    if user.second_factor:
        raise Conflict("There is a second factor already.")
    take_code(house, user, code, at=at)
    user.totp_since = at
    end_sign_ins(session, user, at=at, keep=keep)
    audit.record(session, user.email, "user.second_factor", user.public_id, at=at)


def remove(session: Session, user: User, *, keep: SignIn, at: datetime) -> None:
    user.totp_secret = user.totp_since = None
    end_sign_ins(session, user, at=at, keep=keep)
    audit.record(session, user.email, "user.second_factor_removed", user.public_id, at=at)


def take_code(house: House, user: User, code: str, *, at: datetime) -> None:
    """Take `code` from `user`, whose row the caller has locked. Raises InvalidRequest for a wrong one and one taken before."""
    digits = "".join(code.split())
    now = int(at.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(house.vault.unlock(user.totp_secret)) if user.totp_secret else None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if totp and step > user.totp_step and hmac.compare_digest(totp.generate_otp(step).encode(), digits.encode()):
            user.totp_step = step
            return
    raise InvalidRequest("That is not the code your app shows now. Each code is taken once; wait for the next.", "code")


def secret_to_scan(house: House, user: User) -> tuple[str, str] | None:
    """Return the secret in the making as text, and as the picture an app scans (data URI of an SVG)."""
    if user.totp_secret is None or user.second_factor:
        return None
    secret = house.vault.unlock(user.totp_secret)
    address = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=house.config.site.name)
    return secret, segno.make(address, error="m").svg_data_uri(scale=4, border=2, light="#fff")
