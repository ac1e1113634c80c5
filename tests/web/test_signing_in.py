"""Coming in and going out, as people and attackers do it: passwords, links, codes, cookies, forms (reliability S15-S18, S21)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

import pyotp
import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import func, select

from syndicator.app import create_app
from syndicator.config import Security
from syndicator.delivery.post_office import PostOffice
from syndicator.domain.accounts import MemberRole, SignIn, StaffRole, User
from syndicator.domain.audit import AuditEntry
from syndicator.domain.letters import SECRET_MARK, Letter
from syndicator.errors import TooManyTries
from syndicator.house import House
from syndicator.operations import passwords
from syndicator.operations.sign_in import browser_of, count_try
from tests.clocks import HandClock
from tests.desk import Desk
from tests.web.letterbox import Letterbox
from tests.web.people import PASSWORD, Browser, People, shown


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def people(app: Flask, house: House) -> People:
    return People(app, house)


@pytest.fixture
def letterbox(house: House) -> Letterbox:
    return Letterbox(house)


def sign_in(browser: Browser, email: str, password: str = PASSWORD, **form: str) -> int:
    return browser.post("/sign-in", {"email": email, "password": password, **form}).status_code


def test_a_password_signs_in_and_signing_out_ends_it_on_the_server(people: People) -> None:
    people.user("lena@desk.example", password=PASSWORD, staff=StaffRole.EDITOR)
    browser = people.browser()
    answer = browser.post("/sign-in", {"email": "Lena@Desk.Example", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/desk/")
    assert browser.get("/desk/").status_code == 200
    old = browser.cookie
    browser.post("/sign-out")
    assert browser.cookie is None
    browser.cookie = old or ""
    assert browser.get("/desk/").location.startswith("/sign-in")


def test_the_cookie_is_bound_to_this_host_and_hidden_from_scripts(people: People) -> None:
    people.user("lena@desk.example", password=PASSWORD)
    answer = people.browser().post("/sign-in", {"email": "lena@desk.example", "password": PASSWORD})
    cookie = next(each for each in answer.headers.getlist("Set-Cookie") if each.startswith("__Host-sign-in="))
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_the_hash_of_a_cookie_is_kept_and_each_sign_in_has_a_new_one(people: People, house: House) -> None:
    people.user("lena@desk.example", password=PASSWORD)
    browser = people.browser()
    seen = set()
    for _ in range(2):
        sign_in(browser, "lena@desk.example")
        seen.add(browser.cookie)
        browser.post("/sign-out")
    assert len(seen) == 2
    with house.sessions() as session:
        hashes = set(session.scalars(select(SignIn.token_hash)))
    assert not hashes & seen
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes)


def test_a_wrong_password_and_an_unknown_person_get_the_same_page(people: People) -> None:
    people.user("known@desk.example", password=PASSWORD)
    pages = set()
    for email in ("known@desk.example", "other@desk.example"):
        browser = people.browser()
        answer = browser.post("/sign-in", {"email": email, "password": "wrong wrong wrong"})
        assert answer.status_code == 422
        pages.add(re.sub(r'value="[0-9a-f]{64}"', "", answer.text.replace(email, "")))
    assert len(pages) == 1


def test_an_unknown_person_costs_as_much_hashing_as_a_known_one(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    people.user("known@desk.example", password=PASSWORD)
    people.user("link@desk.example")
    disabled = people.user("gone@desk.example", password=PASSWORD)
    with people.house.sessions.begin() as session:
        session.get_one(User, disabled.id).disabled_at = people.house.clock()
    hashed: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 -- argon2's name
            hashed.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=2, memory_cost=19_456, parallelism=1))
    for email in ("known@desk.example", "link@desk.example", "gone@desk.example", "nobody@desk.example"):
        assert sign_in(people.browser(), email, "wrong wrong wrong") == 422
    assert len(hashed) == 4
    assert len({each.rsplit("$", 2)[0] for each in hashed}) == 1  # the same cost in each


def test_the_eleventh_try_is_not_even_hashed_and_locks_out_nobody_else(people: People, clock: HandClock) -> None:
    people.user("lena@desk.example", password=PASSWORD)
    attacker, owner = people.browser("198.51.100.7"), people.browser("192.0.2.1")
    assert [sign_in(attacker, "lena@desk.example", f"guess number {n}") for n in range(12)] == [422] * 10 + [429] * 2
    assert sign_in(attacker, "LENA@desk.example") == 429  # not even with the right one
    assert sign_in(owner, "lena@desk.example") == 303
    clock.advance(timedelta(minutes=15))
    assert sign_in(attacker, "lena@desk.example") == 303


def test_thousands_of_tries_from_hundreds_of_places_hash_few_and_spare_the_owner(
    people: People, house: House, clock: HandClock
) -> None:
    """Counted at the operation, since so many requests would only take longer; the page asks it before it hashes."""
    people.user("lena@desk.example", password=PASSWORD)
    owner = people.browser("192.0.2.1")
    assert sign_in(owner, "lena@desk.example") == 303
    let_through = 0
    with house.sessions.begin() as session:
        for number in range(2_500):
            place = browser_of(f"198.51.{number % 4}.{number // 4 % 125}", "")
            try:
                count_try(session, "lena@desk.example", place, at=clock())
            except TooManyTries:
                continue
            let_through += 1
    assert let_through <= 200
    assert sign_in(people.browser("203.0.113.9"), "lena@desk.example") == 429  # a stranger to this account
    assert sign_in(people.browser("192.0.2.1"), "lena@desk.example") == 303


def test_a_link_by_letter_signs_in_once_and_only_by_its_button(people: People, letterbox: Letterbox) -> None:
    people.user("lena@desk.example", staff=StaffRole.EDITOR)
    browser = people.browser()
    answer = browser.post("/sign-in/link", {"email": "lena@desk.example", "next": "/desk/letters"})
    assert "a letter with a link is on its way" in answer.text
    link = letterbox.link()
    for _ in range(3):
        assert browser.get(link).status_code == 200  # a mail scanner may look as often as it likes
    assert browser.post(link, page=link).location == "/desk/letters"
    assert browser.get("/desk/").status_code == 200
    assert people.browser().get(link).status_code == 404


def test_who_has_no_account_gets_the_same_answer_and_no_letter(people: People, letterbox: Letterbox) -> None:
    people.user("known@desk.example")
    answers = {
        people.browser().post("/sign-in/link", {"email": email}).text.replace(email, "")
        for email in ("known@desk.example", "nobody@desk.example")
    }
    assert len(answers) == 1
    assert [letter.recipient for letter in letterbox.letters()] == ["known@desk.example"]


def test_a_link_ends_by_itself_and_a_mailbox_is_not_flooded(people: People, letterbox: Letterbox, clock: HandClock) -> None:
    people.user("lena@desk.example")
    for _ in range(9):
        people.browser().post("/sign-in/link", {"email": "lena@desk.example"})
    assert len(letterbox.letters()) == 5
    clock.advance(timedelta(minutes=20))
    assert people.browser().get(letterbox.link()).status_code == 404


def test_staff_reads_letters_without_the_links_in_them(people: People, letterbox: Letterbox, house: House) -> None:
    people.user("lena@desk.example", staff=StaffRole.EDITOR)
    people.browser().post("/sign-in/link", {"email": "lena@desk.example"})
    token = letterbox.link().rpartition("/")[2]
    with house.sessions() as session:
        letter = session.scalars(select(Letter)).one()
    assert SECRET_MARK in letter.text
    assert letter.secret is None  # sent, so nobody needs it any more
    desk = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    page = desk.get(f"/desk/letters/{letter.public_id}").text
    assert token not in page
    assert "[a link only its reader sees]" in page


def test_a_forgotten_password_is_chosen_anew_and_ends_every_sign_in(people: People, letterbox: Letterbox) -> None:
    user = people.user("lena@desk.example", password=PASSWORD)
    before = people.signed_in(user)
    browser = people.browser()
    browser.post("/reset", {"email": "lena@desk.example"})
    link = letterbox.link()
    assert browser.post(link, {"password": "short"}, page=link).status_code == 422  # and the link still holds
    assert browser.post(link, {"password": "a new one, and a long one"}, page=link).location == "/sign-in"
    assert before.get("/account/").location.startswith("/sign-in")
    assert sign_in(people.browser(), "lena@desk.example") == 422
    assert sign_in(people.browser(), "lena@desk.example", "a new one, and a long one") == 303


def test_a_second_factor_is_asked_for_and_each_code_is_taken_once(people: People, house: House, clock: HandClock) -> None:
    user = people.user("lena@desk.example", password=PASSWORD)
    browser, elsewhere = people.signed_in(user), people.signed_in(user)
    browser.post("/account/second-factor")
    page = browser.get("/account/second-factor").text
    secret = re.search(r'data-copy="([A-Z2-7]{32})"', page)
    assert secret
    totp = pyotp.TOTP(secret[1])
    assert browser.post("/account/second-factor/confirm", {"code": "000000"}).status_code == 422
    assert browser.post("/account/second-factor/confirm", {"code": totp.at(clock())}).status_code == 303
    assert elsewhere.get("/account/").location.startswith("/sign-in")  # it had no code

    clock.advance(timedelta(minutes=1))
    fresh = people.browser()
    assert sign_in(fresh, "lena@desk.example", next="/account/password") == 303
    half = fresh.cookie
    assert fresh.get("/account/").location.startswith("/sign-in")  # nothing before the code
    assert fresh.post("/sign-in/code", {"code": "123"}, page="/sign-in/code").status_code == 422
    answer = fresh.post("/sign-in/code", {"code": totp.at(clock()), "next": "/account/"}, page="/sign-in/code")
    assert (answer.status_code, answer.location) == (303, "/account/")
    assert fresh.cookie != half
    assert fresh.get("/account/").status_code == 200

    second = people.browser()
    sign_in(second, "lena@desk.example")
    assert second.post("/sign-in/code", {"code": totp.at(clock())}, page="/sign-in/code").status_code == 422  # replayed
    with house.sessions() as session:
        assert secret[1] not in (session.get_one(User, user.id).totp_secret or "")


def test_codes_are_not_guessed(people: People, house: House, clock: HandClock) -> None:
    user = people.user("lena@desk.example", password=PASSWORD)
    with house.sessions.begin() as session:
        row = session.get_one(User, user.id)
        row.totp_secret, row.totp_since = house.vault.lock(pyotp.random_base32()), clock()
    browser = people.browser()
    sign_in(browser, "lena@desk.example")
    tries = [browser.post("/sign-in/code", {"code": f"{n:06}"}, page="/sign-in/code").status_code for n in range(12)]
    assert tries == [422] * 10 + [429] * 2


def test_staff_without_a_second_factor_gets_no_further_where_one_is_required(house: House, desk: Desk) -> None:
    config = house.config.model_copy(update={"security": Security(require_totp=True)})
    house = House(config, house.catalogue, house.engine, house.sessions, house.vault, house.clock)
    people = People(create_app(config, house), house)
    staff = people.signed_in(people.user("lena@desk.example", staff=StaffRole.EDITOR))
    assert staff.get("/desk/").location == "/account/second-factor"
    member = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    assert member.get("/portal/").status_code == 200


def test_keys_and_roles_ask_again_who_is_there(people: People, desk: Desk, clock: HandClock) -> None:
    publisher = desk.publisher()
    people.user("owner@ours.example", password=PASSWORD)
    owner = people.signed_in(people.member(publisher, MemberRole.OWNER, "owner@ours.example"))
    clock.advance(timedelta(minutes=10))
    form = {"email": "new@ours.example", "role": "editor"}
    assert owner.post("/portal/members/invite", form).location == "/account/prove?send=/portal/members/invite"
    assert owner.get("/account/password").location == "/account/prove?next=/account/password"
    wrong = {"proof-password": "wrong wrong wrong", "next": "/account/password"}
    assert owner.post("/account/prove", wrong).status_code == 422
    assert owner.post("/account/prove", wrong | {"proof-password": PASSWORD}).location == "/account/password"
    assert owner.post("/portal/members/invite", form).location == "/portal/members"


def test_a_form_that_is_held_up_for_a_proof_goes_on_as_it_was_typed(people: People, desk: Desk, clock: HandClock) -> None:
    people.user("owner@ours.example", password=PASSWORD)
    owner = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    clock.advance(timedelta(minutes=10))
    form = {"email": 'new"<i>@ours.example', "role": "editor"}
    held = owner.post("/portal/members/invite", form)
    assert held.status_code == 307  # the browser sends the same form once more, to there
    page = owner.post(held.location, form)
    kept = {each.get("name"): each.get("value") for each in shown(page).xpath("//main//input[@type='hidden']")}
    assert kept.pop("form_token")
    assert kept == form
    refused = owner.post(held.location, kept | {"proof-password": "wrong wrong wrong"})
    assert refused.status_code == 422
    assert kept.items() <= {each.get("name"): each.get("value") for each in shown(refused).xpath("//main//input")}.items()
    proven = owner.post(held.location, kept | {"proof-password": PASSWORD})
    assert (proven.status_code, proven.location) == (307, "/portal/members/invite")
    kept["email"] = "new@ours.example"
    assert owner.post(proven.location, kept | {"proof-password": PASSWORD}).location == "/portal/members"


def test_who_has_no_password_proves_by_a_new_link_that_leads_back(
    people: People, desk: Desk, clock: HandClock, letterbox: Letterbox
) -> None:
    owner = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    clock.advance(timedelta(minutes=10))
    held = owner.post("/portal/keys", {"name": "CMS"})
    page = owner.post(held.location, {"name": "CMS"}, headers={"Referer": "https://wire.example/portal/keys"})
    asking = {each.get("name"): each.get("value") for each in shown(page).xpath("//main//input")}
    assert (asking["email"], asking["next"]) == ("owner@ours.example", "/portal/keys")
    owner.post("/sign-in/link", asking)
    assert owner.post(letterbox.link()).location == "/portal/keys"
    assert owner.post("/portal/keys", {"name": "CMS", "scopes": "both", "days": "90"}).status_code == 201


def test_a_proof_leads_to_no_other_host(people: People, desk: Desk) -> None:
    people.user("owner@ours.example", password=PASSWORD)
    owner = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    for there in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        answer = owner.post("/account/prove", {"proof-password": PASSWORD}, query_string={"send": there, "next": there})
        assert answer.location == "/portal/", there


def test_staff_that_leaves_the_desk_alone_is_signed_out_and_a_partner_is_not(
    people: People, desk: Desk, clock: HandClock, house: House
) -> None:
    staff = people.signed_in(people.user("lena@desk.example", staff=StaffRole.EDITOR))
    member = people.signed_in(people.member(desk.publisher(), MemberRole.OWNER, "owner@ours.example"))
    for _ in range(3):
        clock.advance(timedelta(minutes=29))
        assert staff.get("/desk/").status_code == 200
    clock.advance(timedelta(minutes=30))
    assert staff.get("/desk/").location.startswith("/sign-in")
    assert member.get("/portal/").status_code == 200
    clock.advance(timedelta(hours=house.config.security.session_hours))
    assert member.get("/portal/").location.startswith("/sign-in")


def test_a_person_sees_where_they_are_signed_in_and_ends_one(people: People, clock: HandClock) -> None:
    user = people.user("lena@desk.example")
    here, there = people.signed_in(user), people.signed_in(user)
    with people.house.sessions() as session:
        other = session.scalars(select(SignIn).where(SignIn.user_id == user.id).order_by(SignIn.id.desc())).first()
    assert other is not None
    assert here.get("/account/").text.count("Test/1.0") == 2
    assert here.post(f"/account/sign-ins/{other.public_id}/end").status_code == 303
    assert there.get("/account/").location.startswith("/sign-in")
    assert here.get("/account/").status_code == 200


def test_a_form_from_elsewhere_changes_nothing(people: People, house: House) -> None:
    user = people.user("lena@desk.example")
    browser, other = people.signed_in(user), people.signed_in(people.user("mallory@desk.example"))
    good = browser.token()
    elsewhere = [
        ({"Sec-Fetch-Site": "cross-site"}, good),
        ({"Sec-Fetch-Site": "same-site"}, good),
        ({"Sec-Fetch-Site": "none"}, good),
        ({"Origin": "https://evil.example"}, good),
        ({"Origin": "null"}, good),
        ({"Sec-Fetch-Site": "same-origin"}, other.token()),
        ({"Sec-Fetch-Site": "same-origin"}, ""),
        ({"Sec-Fetch-Site": "same-origin"}, "ä"),
    ]
    for headers, token in elsewhere:
        form = {"form_token": token, "name": "Changed"}
        assert browser.client.post("/account/name", data=form, headers=headers).status_code == 403
    with house.sessions() as session:
        assert session.get_one(User, user.id).name == ""
    form = {"form_token": good, "name": "Changed"}
    assert browser.client.post("/account/name", data=form, headers={"Origin": "https://wire.example"}).status_code == 303


def test_no_page_changes_anything_by_being_looked_at(people: People, house: House, app: Flask) -> None:
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    with house.sessions() as session:
        before = session.scalar(select(func.count()).select_from(AuditEntry))
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments and not rule.rule.startswith(("/v1", "/metrics")):
            admin.get(rule.rule)
    with house.sessions() as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == before


def test_a_page_behind_the_sign_in_that_says_no_rule_is_refused(app: Flask, house: House) -> None:
    for part in ("portal", "desk", "account"):
        app.add_url_rule(f"/{part}/forgotten", f"{part}.forgotten", lambda: "open to everybody")
    people = People(app, house)
    admin = people.signed_in(people.user("admin@desk.example", staff=StaffRole.ADMIN))
    for part in ("portal", "desk", "account"):
        assert admin.get(f"/{part}/forgotten").status_code == 404


def test_signed_in_pages_cannot_be_framed_and_are_kept_by_no_cache(people: People) -> None:
    answer = people.signed_in(people.user("lena@desk.example")).get("/account/")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"


ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "https://evil.example",
    "http:evil.example",
    "https:/evil.example",
    "HTTPS://evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "\x00//evil.example",
    "/%0d%0aLocation:evil\r\nX: y",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "evil.example",
    "www.evil.example/desk",
    "@evil.example",
    "user@evil.example/",
    ".evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "",
    ".",
    "..",
    "/.//evil.example",
    "/..//evil.example",
    "/desk/..//evil.example",
    "/desk//evil.example",
    "/./evil.example",
    "/\u2028/evil.example",
    "/\uff0fevil.example",
    "\uff0f\uff0fevil.example",
    "/\u3002evil.example",
    "/\u00a0/evil.example",
    "/\u200b/evil.example",
    "/\ufeff/evil.example",
    "ftp://evil.example",
    "mailto:a@evil.example",
    "tel:1",
    "blob:https://evil.example",
    "ws://evil.example",
    "about:blank",
    "https://wire.example@evil.example",
    "https://wire.example.evil.example",
    "https://wire.example",  # even our own: a path is all that is needed
    "//wire.example",
    "https:\\\\evil.example",
    "/ /evil.example",
    "/\x0b/evil.example",
    "/\x1f//evil.example",
    "/" + "a" * 600,
]


def test_next_never_leads_off_this_host(people: People) -> None:
    people.user("lena@desk.example", password=PASSWORD)
    browser = people.browser()
    assert len(ELSEWHERE) >= 60
    inside = people.signed_in(people.user("other@desk.example"))
    for place in ELSEWHERE:
        answer = inside.get("/sign-in", query_string={"next": place})
        assert answer.status_code == 400 if "\0" in place else answer.location == "/account/", place
    for place in ELSEWHERE[:3]:
        browser.post("/sign-in", {"email": "lena@desk.example", "password": PASSWORD, "next": place})
    for place in ("/portal/", "/portal/keys?page=2", "/desk/letters?state=failed&before=3"):
        assert inside.get("/sign-in", query_string={"next": place}).location == place


def test_a_password_is_refused_for_being_weak_and_never_for_its_kinds_of_letters(people: People) -> None:
    browser = people.signed_in(people.user("lena.ortiz@desk.example"))
    for weak in ("short", "password1234", "Passw0rdPassw0rd", "aaaaaaaaaaaaaaaa", "qwertyuiop12", "lenaortiz2024", "x" * 129):
        answer = browser.post("/account/password", {"password": weak})
        assert answer.status_code == 422, weak
        assert weak not in answer.text
    for good in ("vier müde Kühe grasen", "tundra-clef-41-osprey", "пять усталых коров", "very long " * 12):
        assert browser.post("/account/password", {"password": good}).status_code == 303, good


def test_letters_leave_by_the_job(people: People, letterbox: Letterbox, house: House) -> None:
    people.user("lena@desk.example")
    people.browser().post("/sign-in/link", {"email": "lena@desk.example"})
    assert PostOffice(house, letterbox).send_owed() == 1
    assert PostOffice(house, letterbox).send_owed() == 0
