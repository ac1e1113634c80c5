"""Forms of pages: WTForms read from the request, with our token in front, and an operation's refusal shown at its field."""

from __future__ import annotations

from typing import Any

from flask import request
from markupsafe import Markup
from wtforms import Form

from syndicator.errors import InvalidForm, InvalidRequest
from syndicator.web.guard import form_token_field


class PageForm(Form):
    """A form filled from a POST. The token is checked by guard.enforce, for this and every other form."""

    def __init__(self, **values: Any) -> None:
        super().__init__(request.form if request.method == "POST" else None, **values)

    def hidden_tag(self) -> Markup:
        return form_token_field()

    @property
    def faulty(self) -> list[Any]:
        """The fields with something wrong."""
        return [field for field in self if field.errors]

    def blame(self, error: InvalidRequest) -> None:
        """Show what an operation refused at the field it names, or at the first one."""
        field = self[error.field] if error.field is not None and error.field in self else next(iter(self))
        field.errors = [*field.errors, str(error)]

    def blame_all(self, error: InvalidForm) -> None:
        """Show each fault at its field."""
        for name, words in error.faults.items():
            self[name].errors = [*self[name].errors, words]
