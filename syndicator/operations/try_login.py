"""Logging in where a subscription leads, to see whether we can. Writes nothing there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syndicator.channels.options import SftpOptions, WordPressOptions
from syndicator.domain.subscriptions import ChannelKind
from syndicator.outbound import Outbound


def try_login(
    outbound: Outbound, channel: ChannelKind, endpoint: str, options: dict[str, Any], credential: str, at: datetime
) -> str:
    """Log in where the subscription leads; returns what stands in the way, empty when nothing does."""
    if channel is ChannelKind.WORDPRESS:
        from syndicator.channels.wordpress import check_login

        return check_login(outbound, endpoint, WordPressOptions.model_validate(options).user, credential, at)
    if channel is ChannelKind.SFTP:
        from syndicator.channels.sftp import check_folder

        return check_folder(outbound, endpoint, SftpOptions.model_validate(options), credential)
    return ""
