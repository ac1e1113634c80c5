"""Holding robots off public forms without third parties: a field that people do not see, and a form that was open for a while.

The moment a form was opened is locked by the vault, so nobody can make one up. Limits by address are the operation's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from wtforms import EmailField, HiddenField, StringField

from syndicator.errors import ConfigError, InvalidForm
from syndicator.web.forms import PageForm
from syndicator.web.identity import the_house

SHORTEST = timedelta(seconds=4)  # nobody reads and fills a form in less
LONGEST = timedelta(days=2)


class PublicForm(PageForm):
    """A form for everybody; `homepage` stands where only programs look. Every such form asks for an e-mail address."""

    email: EmailField
    homepage = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})
    opened = HiddenField()

    def open(self) -> None:
        """Note when the form is first shown."""
        house = the_house()
        if not self.opened.data:
            self.opened.data = house.vault.lock(house.clock().isoformat())

    def refuse_robots(self, at: datetime) -> None:
        """Raise InvalidForm for a form that a program filled in; a person only has to press the button again."""
        if self.homepage.data:
            raise InvalidForm({"homepage": "This field must stay empty; please clear it."})
        opened = self._opened()
        if opened is None or at - opened > LONGEST:
            self.opened.data = ""
            raise InvalidForm({"email": "This page had been open for too long. Please look it over, and send it once more."})
        if at - opened < SHORTEST:
            raise InvalidForm({"email": "That was quicker than we expect of people. Please look it over, and send it once more."})

    def _opened(self) -> datetime | None:
        """Return when the page was made; None for a value that we did not make."""
        try:
            return datetime.fromisoformat(the_house().vault.unlock(self.opened.data or ""))
        except (ConfigError, ValueError):
            return None
