"""create_engine(house): joins the sender and the ways out to the delivery engine, for the processes that send and serve nobody.

Knows nothing of the web, so that a worker holds in memory only what it sends with.
"""

from __future__ import annotations

from collections.abc import Mapping

from syndicator.channels import ConversationChannel, PostChannel
from syndicator.channels.webhook import Webhook
from syndicator.channels.websub import WebSub
from syndicator.delivery.engine import Engine
from syndicator.delivery.sender import Sender
from syndicator.delivery.talkers import Talkers
from syndicator.domain.subscriptions import ChannelKind
from syndicator.house import House
from syndicator.outbound import Outbound, open_outbound


def post_channels() -> Mapping[str, PostChannel]:
    """The ways out whose bytes the sender moves. A new one is a new file and a line here."""
    return {ChannelKind.WEBHOOK.value: Webhook(), ChannelKind.WEBSUB.value: WebSub()}


class Conversations(dict[str, ConversationChannel]):
    """The ways out that hold a conversation of their own. Each is made, and its library loaded, for the first who is sent to."""

    def __init__(self, house: House, outbound: Outbound) -> None:
        super().__init__()
        self._house, self._outbound = house, outbound

    def __missing__(self, kind: str) -> ConversationChannel:
        self[kind] = self._make(ChannelKind(kind))
        return self[kind]

    def _make(self, kind: ChannelKind) -> ConversationChannel:
        match kind:
            case ChannelKind.EMAIL:
                from syndicator.carriers import open_carrier
                from syndicator.channels.email import Email

                return Email(self._house.config, open_carrier(self._house.config))
            case ChannelKind.SFTP:
                from syndicator.channels.sftp import Sftp

                return Sftp(self._outbound)
            case ChannelKind.WORDPRESS:
                from syndicator.channels.wordpress import WordPress
                from syndicator.operations.copies import CopyBook

                return WordPress(self._outbound, CopyBook(self._house.sessions))
        raise KeyError(kind)


def create_engine(house: House) -> Engine:
    """Return the delivery engine for `house`."""
    push, outbound = house.config.push, open_outbound(house.config)
    sender = Sender(outbound, concurrency=push.concurrency, per_host=push.max_in_flight_per_host)
    talkers = Talkers(places=push.conversations, seconds=push.conversation_timeout_seconds)
    return Engine(house, sender, post_channels(), Conversations(house, outbound), talkers)
