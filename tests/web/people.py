"""People for page tests: made and signed in by the operations that the pages use, each with a browser of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from werkzeug.test import TestResponse

from syndicator.domain.accounts import MemberRole, StaffRole, User
from syndicator.domain.publishers import Publisher
from syndicator.house import House
from syndicator.operations import accounts, members, sign_in
from syndicator.operations.sign_in import browser_of

PASSWORD = "three blind mice and a lamp"


class Browser:
    """A test client that fills forms as a browser does: it reads the page first, for the token in the form."""

    def __init__(self, app: Flask, address: str = "192.0.2.1") -> None:
        self.client: FlaskClient = app.test_client()
        self.address = address
        self.origin: dict[str, str] = {"Sec-Fetch-Site": "same-origin"}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, environ_base={"REMOTE_ADDR": self.address}, **options)

    def post(self, path: str, form: dict[str, str] | None = None, *, page: str | None = None, **options: Any) -> TestResponse:
        """Send `form` to `path` with the token of `page` (the sign-in page's unless named)."""
        fields = {"form_token": self.token(page), **(form or {})}
        headers = {**self.origin, **options.pop("headers", {})}
        return self.client.post(path, data=fields, environ_base={"REMOTE_ADDR": self.address}, headers=headers, **options)

    def token(self, page: str | None = None) -> str:
        for path in (page,) if page else ("/account/", "/sign-in/code", "/sign-in") if self.cookie else ("/sign-in",):
            found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.get(path).text)
            if found:
                return found[1]
        raise AssertionError(f"no form on {page or 'any page'}")

    @property
    def cookie(self) -> str | None:
        cookie = self.client.get_cookie("__Host-sign-in")
        return cookie.value if cookie else None

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie("__Host-sign-in", value, secure=True)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who may stand before a door."""

    app: Flask
    house: House

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self.app, address)

    def user(self, email: str, *, password: str = "", staff: StaffRole | None = None) -> User:
        at = self.house.clock()
        with self.house.sessions.begin() as session:
            user = accounts.user_called(session, email, at=at)
            user.staff_role = staff
            if password:
                accounts.set_password(session, user, password, actor="test", at=at)
            return user

    def member(self, publisher: Publisher, role: MemberRole, email: str) -> User:
        user = self.user(email)
        with self.house.sessions.begin() as session:
            members.add_member(session, publisher, session.get_one(User, user.id), role, actor="test", at=self.house.clock())
        return user

    def signed_in(self, user: User) -> Browser:
        """A browser in which `user` has just signed in."""
        browser = self.browser()
        with self.house.sessions.begin() as session:
            where = browser_of(browser.address, "Test/1.0")
            _, browser.cookie = sign_in.begin(session, self.house, session.get_one(User, user.id), where, at=self.house.clock())
        return browser


def shown(answer: TestResponse) -> Any:
    """The page as a parsed tree."""
    return html.document_fromstring(answer.text)
