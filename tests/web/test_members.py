"""Members and staff as owners and administrators keep them in the pages."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from syndicator.domain.accounts import MemberRole, StaffRole, User
from syndicator.house import House
from syndicator.operations.members import members_of
from tests.desk import Desk
from tests.web.letterbox import Letterbox
from tests.web.people import People, shown


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def people(app: Flask, house: House) -> People:
    return People(app, house)


@pytest.fixture
def letterbox(house: House) -> Letterbox:
    return Letterbox(house)


def test_an_owner_invites_and_the_invited_comes_in_by_the_letter(
    people: People, desk: Desk, letterbox: Letterbox, house: House
) -> None:
    publisher = desk.publisher()
    owner = people.signed_in(people.member(publisher, MemberRole.OWNER, "owner@ours.example"))
    answer = owner.post("/portal/members/invite", {"email": "New@Ours.example", "role": "technician"}, follow_redirects=True)
    assert "An invitation is on its way to New@Ours.example." in answer.text
    assert "Invitations that wait" in answer.text

    guest = people.browser()
    link = letterbox.link()
    assert f"Join {publisher.name}" in guest.get(link).text
    answer = guest.post(link, {"name": "Noa Reed"}, page=link)
    assert answer.location == "/portal/"
    assert publisher.name in guest.get("/portal/").text
    assert guest.get(link).status_code == 404
    with house.sessions() as session:
        roles = {member.user.email: member.role for member in members_of(session, publisher.id)}
    assert roles == {"owner@ours.example": MemberRole.OWNER, "new@ours.example": MemberRole.TECHNICIAN}


def test_a_withdrawn_invitation_is_worth_nothing(people: People, desk: Desk, letterbox: Letterbox) -> None:
    owner = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    owner.post("/portal/members/invite", {"email": "new@ours.example", "role": "editor"})
    form = shown(owner.get("/portal/members")).xpath("//form[contains(@action, '/withdraw')]/@action")
    owner.post(form[0])
    assert people.browser().get(letterbox.link()).status_code == 404


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"email": "nobody", "role": "editor"}, "That is no e-mail address."),
        ({"email": "owner@ours.example", "role": "editor"}, "is a member already"),
        ({"email": "a@b.example", "role": "admin"}, "Choose a role."),
        ({"email": "a@b.example"}, "Choose a role."),
        ({"email": "a@b.example\r\nBcc: c@d.example", "role": "editor"}, "That is no e-mail address."),
    ],
)
def test_an_invitation_that_cannot_be_says_why(people: People, desk: Desk, form: dict[str, str], words: str) -> None:
    owner = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    answer = owner.post("/portal/members/invite", form)
    assert answer.status_code == 422
    assert words in answer.text


def test_the_last_owner_stays(people: People, desk: Desk) -> None:
    user = people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example")
    owner = people.signed_in(user)
    for way in ("remove", "role"):
        answer = owner.post(f"/portal/members/{user.public_id}/{way}", {"role": "editor"}, follow_redirects=True)
        assert "This is the last owner; make somebody else one first." in answer.text


def test_a_person_of_two_publishers_goes_from_one_to_the_other(people: People, desk: Desk) -> None:
    first, second = desk.publisher(), desk.publisher()
    people.member(first, MemberRole.OWNER, "both@x.example")
    person = people.signed_in(people.member(second, MemberRole.EDITOR, "both@x.example"))
    assert f"<h1>{first.name}</h1>" in person.get("/portal/").text
    person.post("/portal/switch", {"publisher": second.public_id})
    assert f"<h1>{second.name}</h1>" in person.get("/portal/").text
    assert person.post("/portal/members/invite", {"email": "a@b.example", "role": "editor"}).status_code == 403


def test_an_administrator_adds_staff_who_come_in_by_the_letter(people: People, letterbox: Letterbox, house: House) -> None:
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    answer = admin.post("/desk/users", {"email": "lena@desk.example", "name": "Lena Ortiz", "role": "licensing"})
    assert answer.location == "/desk/users"
    link = letterbox.link()
    fresh = people.browser()
    assert fresh.post(link, page=link).location == "/account/"
    assert fresh.get("/desk/letters").status_code == 200
    with house.sessions() as session:
        assert {user.email: user.staff_role for user in session.scalars(select(User))}["lena@desk.example"] is StaffRole.LICENSING


def test_staff_that_is_disabled_is_out_at_once_and_may_come_back(people: People) -> None:
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    user = people.user("lena@desk.example", staff=StaffRole.EDITOR)
    lena = people.signed_in(user)
    admin.post(f"/desk/users/{user.public_id}/disable")
    assert lena.get("/desk/").location.startswith("/sign-in")
    admin.post(f"/desk/users/{user.public_id}/enable")
    assert people.signed_in(user).get("/desk/").status_code == 200


def test_the_last_administrator_stays(people: People) -> None:
    user = people.user("admin@desk.example", staff=StaffRole.ADMIN)
    admin = people.signed_in(user)
    for way in ("disable", "remove", "role"):
        answer = admin.post(f"/desk/users/{user.public_id}/{way}", {"role": "editor"}, follow_redirects=True)
        assert "this is the last administrator" in answer.text


def test_what_members_are_called_is_never_markup(people: People, desk: Desk) -> None:
    publisher = desk.publisher()
    browser = people.signed_in(people.member(publisher, MemberRole.OWNER, "owner@ours.example"))
    browser.post("/account/name", {"name": "<script>fired()</script>"})
    for page in ("/portal/members", "/account/", "/portal/"):
        assert "<script>fired()" not in browser.get(page).text
