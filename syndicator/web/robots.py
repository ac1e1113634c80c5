"""Holding robots off public forms without third parties: a field that people do not see, and a form that was open for a while.

The moment a form was opened is locked by the vault, so nobody can make one up. Limits by address are the operation's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from wtforms import HiddenField, StringField

from syndicator.errors import ConfigError, InvalidRequest
from syndicator.web.forms import PageForm
from syndicator.web.identity import the_house

SHORTEST = timedelta(seconds=3)  # nobody reads and fills a form in less
LONGEST = timedelta(days=2)
AGAIN = "That went wrong on its way. Please look at the form, and send it once more."


class PublicForm(PageForm):
    """A form for everybody; `homepage` stands where only programs look."""

    homepage = StringField("Leave this empty", render_kw={"autocomplete": "off", "tabindex": "-1"})
    opened = HiddenField()

    def open(self) -> None:
        """Note when the form is first shown."""
        house = the_house()
        if not self.opened.data:
            self.opened.data = house.vault.lock(house.clock().isoformat())

    def refuse_robots(self) -> None:
        """Raise InvalidRequest for what no person sends; the words give nothing away."""
        house = the_house()
        try:
            age = house.clock() - datetime.fromisoformat(house.vault.unlock(self.opened.data or ""))
        except (ConfigError, ValueError) as error:
            self.opened.data = None
            raise InvalidRequest(AGAIN) from error
        if self.homepage.data or not SHORTEST <= age <= LONGEST:
            self.opened.data = None if age > LONGEST else self.opened.data
            raise InvalidRequest(AGAIN)
