"""The ways out that hold a conversation, joined for whoever holds one: the engine, and the job that tries endpoints out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from syndicator.channels import ConversationChannel
from syndicator.domain.subscriptions import ChannelKind
from syndicator.house import House

if TYPE_CHECKING:
    from syndicator.outbound import Outbound


class Conversations(dict[str, ConversationChannel]):
    """Channels by kind. Each is made, and its library loaded, for the first who is sent to.

    A new one is a new file and a line here.
    """

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house

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

    @cached_property
    def _outbound(self) -> Outbound:
        from syndicator.outbound import open_outbound

        return open_outbound(self._house.config)
