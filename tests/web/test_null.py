"""A NUL, which PostgreSQL takes in no text, is refused at the door wherever it stands; no page breaks over it."""

from __future__ import annotations

import pytest
from flask import Flask

from syndicator.domain.accounts import StaffRole
from syndicator.house import House
from tests.web.people import People

ADDRESSES = ("/desk/applications?owner=%00", "/desk/publishers?q=a%00b", "/desk/what-if?minimum=%00", "/sign-in?next=%00")


@pytest.mark.parametrize("address", [*ADDRESSES, "/desk/applications/%00", "/stories/%00", "/apply/confirm/%00"])
def test_no_address_with_a_null_breaks_a_page(app: Flask, house: House, address: str) -> None:
    people = People(app, house)
    rita = people.signed_in(people.user("rita@newsroom.example", staff=StaffRole.ADMIN))
    assert rita.get(address).status_code == (400 if "?" in address else 404)


@pytest.mark.parametrize("path", ["/sign-in", "/apply", "/licensing", "/reset"])
def test_no_form_with_a_null_breaks_a_page(app: Flask, house: House, path: str) -> None:
    form = {"email": "a\0b@courier.example", "password": "\0", "organisation": "\0"}
    assert People(app, house).browser().post(path, form, page="/sign-in").status_code == 400
