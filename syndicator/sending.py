"""create_engine(house): joins the sender and the ways out to the delivery engine, for the processes that send and serve nobody.

Knows nothing of the web, so that a worker holds in memory only what it sends with.
"""

from __future__ import annotations

from collections.abc import Mapping

from syndicator.border import open_border
from syndicator.channels import PostChannel
from syndicator.channels.webhook import Webhook
from syndicator.channels.websub import WebSub
from syndicator.delivery.conversations import Conversations
from syndicator.delivery.engine import Engine
from syndicator.delivery.sender import Sender
from syndicator.delivery.talkers import Talkers
from syndicator.domain.subscriptions import ChannelKind
from syndicator.house import House


def post_channels() -> Mapping[str, PostChannel]:
    """The ways out whose bytes the sender moves. A new one is a new file and a line here."""
    return {ChannelKind.WEBHOOK.value: Webhook(), ChannelKind.WEBSUB.value: WebSub()}


def create_engine(house: House) -> Engine:
    """Return the delivery engine for `house`."""
    push = house.config.push
    sender = Sender(open_border(house.config), concurrency=push.concurrency, per_host=push.max_in_flight_per_host)
    talkers = Talkers(places=push.conversations, seconds=push.conversation_timeout_seconds)
    return Engine(house, sender, post_channels(), Conversations(house), talkers)
