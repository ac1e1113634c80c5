"""Where a subscription leads: address, options and credential judged when they are chosen, channel by channel.

Only what was written is read, so it may stand in a transaction; try_login.py goes there and asks.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from syndicator.border import Border
from syndicator.channels.options import EmailOptions, next_digest_at, read_options
from syndicator.domain.publishers import Publisher
from syndicator.domain.subscriptions import ChannelKind
from syndicator.errors import InvalidRequest

LONGEST_CREDENTIAL = 16_384
_MAILBOX_NAME = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")  # RFC 5322, atext and dots


def check(
    border: Border,
    publisher: Publisher,
    channel: ChannelKind,
    endpoint: str,
    options: dict[str, Any],
    credential: str,
) -> dict[str, Any]:
    """Return the options completed, if everything fits together. Raises InvalidRequest and AddressRefused."""
    chosen = read_options(channel, options)
    match channel:
        case ChannelKind.WEBHOOK:
            border.check_url(endpoint)
        case ChannelKind.EMAIL:
            _check_mailbox(publisher, endpoint)
        case ChannelKind.SFTP:
            from syndicator.channels.sftp import read_private_key, read_server

            read_server(border, endpoint)
            if credential.lstrip().startswith("-----BEGIN"):
                read_private_key(credential)
        case ChannelKind.WORDPRESS:
            checked = border.check_url(endpoint)
            if checked.scheme != "https" and not border.rules.allow_networks:
                raise InvalidRequest("must be https://, since the application password travels along", "endpoint")
        case ChannelKind.WEBSUB:
            raise InvalidRequest("subscriptions by websub are made at the hub, /hub", "channel")
    if channel.logs_in and not 0 < len(credential) <= LONGEST_CREDENTIAL:
        raise InvalidRequest("say by which password or key we log in there", "credential")
    if credential and not channel.logs_in:
        raise InvalidRequest(f"subscriptions by {channel.value} take no credential", "credential")
    return chosen


def first_digest_at(channel: ChannelKind, options: dict[str, Any], at: datetime) -> datetime | None:
    """Return when the first daily letter goes; None where each story goes at once."""
    if channel is not ChannelKind.EMAIL:
        return None
    chosen = EmailOptions.model_validate(options)
    return next_digest_at(chosen, at) if chosen.frequency == "daily" else None


def _check_mailbox(publisher: Publisher, address: str) -> None:
    """Only the publisher's own mailboxes are written to: its contact address, and those at its sites."""
    name, _, domain = address.lower().rpartition("@")
    if not domain or not _MAILBOX_NAME.fullmatch(name):
        raise InvalidRequest("is no e-mail address", "endpoint")
    sites = {site.domain.lower() for site in publisher.domains}
    own = address.lower() == publisher.email.lower() or any(domain == site or domain.endswith(f".{site}") for site in sites)
    if not own or len(address) > 254:
        raise InvalidRequest("must be the publisher's contact address, or at one of its domains", "endpoint")
