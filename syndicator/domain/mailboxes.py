"""What the domain of an e-mail address says about who somebody is: nothing at all where anybody can have a mailbox."""

from __future__ import annotations

from syndicator.domain.accounts import fold_email

_PUBLIC = frozenset(
    {
        *("aol.com", "fastmail.com", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com"),
        *("hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "icloud.com"),
        *("laposte.net", "libero.it", "live.com", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com", "orange.fr"),
        *("outlook.com", "outlook.de", "outlook.fr", "posteo.de", "proton.me", "protonmail.com", "qq.com", "t-online.de"),
        *("tutanota.com", "ukr.net", "web.de", "yahoo.co.uk", "yahoo.com", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.it"),
        *("yandex.com", "yandex.ru", "ymail.com", "zoho.com", "163.com"),
    }
)


def mail_domain(email: str) -> str:
    """Return the domain of an e-mail address, folded; nothing for what is none, such as the name of a job."""
    return fold_email(email).rpartition("@")[2] if "@" in email else ""


def public_mailbox(domain: str) -> bool:
    """Say whether anybody can have a mailbox at `domain`."""
    return domain in _PUBLIC


def same_organisation(mine: str, other: str) -> bool:
    """Say whether one of two domains is the other or lies below it: `mail.courier.example` is of `courier.example`."""
    return bool(mine and other) and (mine == other or mine.endswith(f".{other}") or other.endswith(f".{mine}"))
