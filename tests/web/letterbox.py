"""A carrier that keeps what it is handed, and the links in it: what a reader of the letters sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import EmailMessage

from syndicator.delivery.post_office import PostOffice
from syndicator.house import House


@dataclass(frozen=True, slots=True)
class Received:
    recipient: str
    message: EmailMessage

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        return part.get_content() if part else ""


@dataclass(slots=True)
class Letterbox:
    """Everybody's mailbox. A Carrier."""

    house: House
    received: list[Received] = field(default_factory=list)

    def carry(self, message: EmailMessage, sender: str, recipient: str) -> None:
        self.received.append(Received(recipient, message))

    def letters(self) -> list[Received]:
        """Every letter so far, those still owed sent first."""
        PostOffice(self.house, self).send_owed()
        return self.received

    def link(self) -> str:
        """The path of the one-time link in the newest letter."""
        found = re.search(rf"{re.escape(self.house.config.site.base_url)}(/\S*syn_link_\w+)", self.letters()[-1].text)
        assert found
        return found[1]
