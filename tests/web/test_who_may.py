"""Who may use which route: every route, asked for by everybody, against one table (reliability S8). A new route needs a row.

Letters of a row, in the order of WHO: y yes (whatever the form then says) · s sent to sign in · n no, and says so (403) ·
- not there (404). A row of one letter holds for all. `machine`: a program's route, for which no cookie counts at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from syndicator.domain.accounts import Invitation, MemberRole, Membership, StaffRole, User
from syndicator.domain.publishers import ApiKey, FeedToken, Publisher, PublisherDomain
from syndicator.house import House
from syndicator.operations.inquiries import ask
from syndicator.operations.letters import write_letter
from tests.desk import Desk
from tests.web.belongings import belongings
from tests.web.people import Browser, People

# Nobody; an owner of another publisher; owner, editor and technician of this one; then staff.
WHO = ("anonymous", "stranger", "owner", "editor", "technician", "desk-editor", "desk-licensing", "desk-admin")
PUBLIC = "y"
MACHINE = "machine"
SIGNED_IN = "s yyyy yyy"
MEMBER = "s yyyy ---"
OWNER = "s yynn ---"
OWNERS_OBJECT = "s -ynn ---"  # the object is this publisher's: for the stranger, an owner elsewhere, it is not there
TECHNICIAN = "s yyny ---"
TECHNICIANS_OBJECT = "s -yny ---"
MEMBERS_OBJECT = "s -yyy ---"
STAFF = "s ---- yyy"
LICENSING = "s ---- nyy"
EDITOR = "s ---- yny"
ADMIN = "s ---- nny"

TABLE = {
    # public pages
    "GET /": PUBLIC,
    "GET /latest": PUBLIC,
    "GET /stories/<public_id>": PUBLIC,
    "GET /stories/<public_id>/<slug>": PUBLIC,
    "GET /stories/<public_id>/copy/<kind>": PUBLIC,
    "GET /feeds": PUBLIC,
    "GET /license": PUBLIC,
    "GET /licenses/free-use/<version>": PUBLIC,
    "GET /apply": PUBLIC,
    "POST /apply": PUBLIC,
    "GET /apply/confirm/<token>": "-",
    "POST /apply/confirm/<token>": "-",
    "GET /licensing": PUBLIC,
    "POST /licensing": PUBLIC,
    "GET /licensing/asked": PUBLIC,
    "GET /problems/<name>": PUBLIC,
    "GET /receipts/verify": PUBLIC,
    "GET /b/<token>.gif": PUBLIC,
    "GET /pictures/<public_id>": "-",  # there is no picture of that id
    "GET /assets/<name>": PUBLIC,
    "GET /acknowledge/<token>": "-",
    "POST /acknowledge/<token>": "-",
    # coming in
    "GET /sign-in": PUBLIC,
    "POST /sign-in": PUBLIC,
    "GET /sign-in/code": PUBLIC,
    "POST /sign-in/code": PUBLIC,
    "GET /sign-in/link": PUBLIC,
    "POST /sign-in/link": PUBLIC,
    "GET /sign-in/link/<token>": "-",  # an unknown token
    "POST /sign-in/link/<token>": "-",
    "GET /reset": PUBLIC,
    "POST /reset": PUBLIC,
    "GET /reset/<token>": "-",
    "POST /reset/<token>": "-",
    "GET /invitation/<token>": "-",
    "POST /invitation/<token>": "-",
    "POST /sign-out": PUBLIC,
    # one's own account
    "GET /account/": SIGNED_IN,
    "POST /account/name": SIGNED_IN,
    "GET /account/password": SIGNED_IN,
    "POST /account/password": SIGNED_IN,
    "GET /account/second-factor": SIGNED_IN,
    "POST /account/second-factor": SIGNED_IN,
    "POST /account/second-factor/confirm": SIGNED_IN,
    "POST /account/second-factor/remove": SIGNED_IN,
    "POST /account/sign-ins/<public_id>/end": "s ---- ---",  # somebody else's sign-in
    "GET /account/prove": SIGNED_IN,
    "POST /account/prove": SIGNED_IN,
    # portal
    "GET /portal/": MEMBER,
    "POST /portal/switch": "s -yyy ---",  # to this publisher
    "GET /portal/members": MEMBER,
    "POST /portal/members/invite": OWNER,
    "GET /portal/members/<user_id>": OWNERS_OBJECT,
    "POST /portal/members/<user_id>/role": OWNERS_OBJECT,
    "POST /portal/members/<user_id>/remove": OWNERS_OBJECT,
    "POST /portal/members/invitations/<invitation_id>/withdraw": OWNERS_OBJECT,
    "GET /portal/stories": MEMBER,
    "GET /portal/stories/<public_id>": MEMBER,
    "GET /portal/stories/<public_id>/copy/<kind>": MEMBER,
    "GET /portal/stories/<public_id>/download/<kind>": MEMBER,
    "GET /portal/why": MEMBER,
    "GET /portal/feeds": MEMBER,
    "POST /portal/feeds/<name>/tokens": "s --n- ---",  # the catalogue has no feed of that name
    "GET /portal/keys": TECHNICIAN,
    "POST /portal/keys": TECHNICIAN,
    "GET /portal/keys/<key_id>/revoke": TECHNICIANS_OBJECT,
    "POST /portal/keys/<key_id>/revoke": TECHNICIANS_OBJECT,
    "GET /portal/subscriptions": MEMBER,
    "GET /portal/subscriptions/new/<channel>": TECHNICIAN,
    "POST /portal/subscriptions/new/<channel>": TECHNICIAN,
    "GET /portal/subscriptions/<subscription_id>": MEMBERS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/pause": TECHNICIANS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/resume": TECHNICIANS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/rotate-secret": TECHNICIANS_OBJECT,
    "GET /portal/subscriptions/<subscription_id>/remove": TECHNICIANS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/remove": TECHNICIANS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/test": TECHNICIANS_OBJECT,
    "POST /portal/subscriptions/<subscription_id>/backfill": TECHNICIANS_OBJECT,
    "GET /portal/acknowledgements": MEMBER,
    "POST /portal/acknowledgements/<int:seq>": "s ---- ---",  # nothing of that number was asked of anybody
    "GET /portal/republications": MEMBER,
    "POST /portal/republications": MEMBER,
    "POST /portal/stories/<public_id>/receipt": MEMBER,
    "GET /portal/receipts/<jti>": MEMBERS_OBJECT,
    "GET /portal/use": MEMBER,
    "GET /portal/use/statement": MEMBER,
    "GET /portal/deliveries": MEMBER,
    "GET /portal/deliveries/<uid>": MEMBERS_OBJECT,
    "POST /portal/deliveries/<uid>/replay": TECHNICIANS_OBJECT,
    "GET /portal/application": MEMBER,
    "GET /portal/application/figures/<figure_id>/file": "s -yyy ---",
    "POST /portal/application/sites/<domain>/check": "s -yny ---",
    "POST /portal/application/figures": OWNERS_OBJECT,
    "POST /portal/application/figures/<figure_id>/remove": OWNERS_OBJECT,
    "POST /portal/application": OWNERS_OBJECT,
    "POST /portal/application/withdraw": OWNERS_OBJECT,
    "POST /portal/application/begin": OWNER,
    "GET /portal/terms": MEMBER,
    "POST /portal/terms": OWNER,
    # desk
    "GET /desk/applications": LICENSING,
    "GET /desk/applications/<application_id>": LICENSING,
    "POST /desk/applications/<application_id>/take": LICENSING,
    "POST /desk/applications/<application_id>/note": LICENSING,
    "POST /desk/applications/<application_id>/ask": LICENSING,
    "POST /desk/applications/<application_id>/approve": LICENSING,
    "POST /desk/applications/<application_id>/decline": LICENSING,
    "POST /desk/applications/<application_id>/sites/<domain>/vouch": LICENSING,
    "GET /desk/applications/<application_id>/figures/<figure_id>/file": LICENSING,
    "GET /desk/publishers/<publisher_id>/<any(suspend, reinstate, revoke):move>": LICENSING,
    "POST /desk/publishers/<publisher_id>/<any(suspend, reinstate, revoke):move>": LICENSING,
    "GET /desk/what-if": LICENSING,
    "GET /desk/": STAFF,
    "GET /desk/charts/<name>.svg": "s ---- ---",  # there is no chart of that name
    "GET /desk/publishers": LICENSING,
    "GET /desk/publishers/<publisher_id>/phone-list": LICENSING,
    "POST /desk/publishers/<publisher_id>/phone-list": LICENSING,
    "GET /desk/publishers/<publisher_id>": LICENSING,
    "GET /desk/publishers/<publisher_id>/credentials/<key_id>/revoke": LICENSING,
    "POST /desk/publishers/<publisher_id>/credentials/<key_id>/revoke": LICENSING,
    "GET /desk/publishers/<publisher_id>/agreements/new": LICENSING,
    "POST /desk/publishers/<publisher_id>/agreements/new": LICENSING,
    "GET /desk/publishers/<publisher_id>/agreements/<agreement_id>/term": LICENSING,
    "POST /desk/publishers/<publisher_id>/agreements/<agreement_id>/term": LICENSING,
    "GET /desk/publishers/<publisher_id>/agreements/<agreement_id>/end": LICENSING,
    "POST /desk/publishers/<publisher_id>/agreements/<agreement_id>/end": LICENSING,
    "GET /desk/agreements": LICENSING,
    "GET /desk/agreements/usage": LICENSING,
    "GET /desk/pages": STAFF,
    "GET /desk/inquiries": LICENSING,
    "GET /desk/inquiries/<inquiry_id>": LICENSING,
    "POST /desk/inquiries/<inquiry_id>/reply": LICENSING,
    "POST /desk/inquiries/<inquiry_id>/note": LICENSING,
    "POST /desk/inquiries/<inquiry_id>/take": LICENSING,
    "POST /desk/inquiries/<inquiry_id>/close": LICENSING,
    "POST /desk/inquiries/<inquiry_id>/open": LICENSING,
    "GET /desk/stories": EDITOR,
    "GET /desk/stories/<public_id>": EDITOR,
    "GET /desk/stories/<public_id>/correct": EDITOR,
    "POST /desk/stories/<public_id>/correct": EDITOR,
    "GET /desk/stories/<public_id>/withdraw/<how>": EDITOR,
    "POST /desk/stories/<public_id>/withdraw/<how>": EDITOR,
    "GET /desk/stories/<public_id>/restore": EDITOR,
    "POST /desk/stories/<public_id>/restore": EDITOR,
    "GET /desk/why": STAFF,
    "GET /desk/feeds": EDITOR,
    "GET /desk/sources": EDITOR,
    "POST /desk/sources": EDITOR,
    "POST /desk/sources/<name>/pull": "s ---- -n-",  # there is no source of that name
    "POST /desk/sources/<name>/pause": "s ---- -n-",
    "POST /desk/sources/<name>/resume": "s ---- -n-",
    "GET /desk/sources/<name>/remove": "s ---- -n-",
    "POST /desk/sources/<name>/remove": "s ---- -n-",
    "GET /desk/jobs": EDITOR,
    "POST /desk/jobs/<name>/run": "s ---- -n-",  # there is no job of that name
    "GET /desk/acknowledgements": STAFF,
    "GET /desk/deliveries": STAFF,
    "POST /desk/deliveries/replay": STAFF,
    "GET /desk/deliveries/<uid>": STAFF,
    "POST /desk/deliveries/<uid>/replay": STAFF,
    "GET /desk/audit": ADMIN,
    "GET /desk/exports/<kind>/<form>": "s ---- nn-",  # there is no export of that kind
    "GET /desk/letters": LICENSING,
    "GET /desk/letters/<letter_id>": LICENSING,
    "POST /desk/letters/<letter_id>/again": LICENSING,
    "GET /desk/users": ADMIN,
    "POST /desk/users": ADMIN,
    "GET /desk/users/<user_id>": ADMIN,
    "POST /desk/users/<user_id>/role": ADMIN,
    "POST /desk/users/<user_id>/disable": ADMIN,
    "POST /desk/users/<user_id>/enable": ADMIN,
    "POST /desk/users/<user_id>/reset": ADMIN,
    "POST /desk/users/<user_id>/remove": ADMIN,  # last of the posts, which are asked in order
}
# Whole parts that are programs': who may is said by keys and tokens, and tested with the API, hub and feeds.
MACHINE_PARTS = (
    "/v1/",
    "/f/",
    "/feeds/",
    "/hub",
    "/.well-known/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/u/",
)  # mail systems post to /u/; see test_mail.py
MACHINE_FILES = (".opml", ".xml", ".txt", ".json", ".jsonld")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough: who may is decided before any query that differs."""
    return sqlite_url


@dataclass(slots=True)
class World:
    """Two publishers with members, staff, and one object of each kind that belongs to the first publisher."""

    people: People
    house: House
    ids: dict[str, str] = field(default_factory=dict)
    browsers: dict[str, Callable[[], Browser]] = field(default_factory=dict)

    def path(self, rule: str) -> str:
        for name, value in self.ids.items():
            rule = rule.replace(f"<{name}>", value).replace(f"<int:{name}>", value)
        return rule.replace("<any(suspend, reinstate, revoke):move>", "suspend")


@pytest.fixture
def world(app: Flask, house: House, desk: Desk) -> World:
    people = People(app, house)
    ours, theirs = desk.publisher(), desk.publisher()
    users = {
        "stranger": people.member(theirs, MemberRole.OWNER, "stranger@other.example"),
        "owner": people.member(ours, MemberRole.OWNER, "owner@ours.example"),
        "editor": people.member(ours, MemberRole.EDITOR, "editor@ours.example"),
        "technician": people.member(ours, MemberRole.TECHNICIAN, "technician@ours.example"),
        **{f"desk-{role}": people.user(f"{role}@desk.example", staff=role) for role in StaffRole},
    }
    colleague = people.user("colleague@desk.example", staff=StaffRole.EDITOR)
    ids = belongings(people, desk, ours, "ours")
    with house.sessions.begin() as session:
        letter = write_letter(session, house, "note", to="a@b.example", at=house.clock(), heading="Hello", words="Hello.")
        inquiry = ask(
            session,
            house,
            name="Ann",
            email="ann@film.example",
            organisation="",
            subject="Film",
            words="May we?",
            address="192.0.2.7",
            at=house.clock(),
        )
    made = World(people, house)
    made.browsers = {name: lambda user=user: people.signed_in(user) for name, user in users.items()}  # type: ignore[misc]
    made.browsers["anonymous"] = people.browser
    made.ids = ids | {
        "staff_id": colleague.public_id,
        "letter_id": letter.public_id,
        "publisher_id": ours.public_id,
        "token": "syn_link_unknown",
        "public_id": ids["story"],
        "channel": "webhook",
        "seq": "999",
        "inquiry_id": inquiry.public_id,
        "how": "takedown",
        "form": "csv",
        "slug": "river-gauges-go-live",
        "kind": "html",
        "version": house.config.license.version,
        "name": "killed",
    }
    return made


def routes(app: Flask) -> list[str]:
    """Every route of the application as `METHOD rule`, but those of programs and those that only follow from another."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(MACHINE_PARTS) or rule.rule.endswith(MACHINE_FILES):
            continue
        found += [f"{method} {rule.rule}" for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]
    return found


def judged(answer: TestResponse) -> str:
    if answer.status_code in {303, 302} and answer.location.startswith("/sign-in?next="):
        return "s"
    return {403: "n", 404: "-"}.get(answer.status_code, "y")


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    assert sorted(TABLE) == sorted(set(routes(app)))


@pytest.mark.parametrize("who", WHO)
def test_every_route_lets_in_whom_the_table_says(world: World, who: str) -> None:
    wrong, browser = [], world.browsers[who]()
    for route, row in sorted(TABLE.items(), key=lambda each: each[0].startswith("POST")):  # stable: rows keep their order
        letters = row.replace(" ", "")
        expected = letters if len(letters) == 1 else letters[WHO.index(who)]
        method, rule = route.split(" ", 1)
        if method == "POST":
            browser = world.browsers[who]()  # what was sent before may have ended the sign-in
        path = world.path(rule.replace("user_id", "staff_id") if rule.startswith("/desk/users/") else rule)
        if rule.startswith("/assets/"):
            path = browser.get("/sign-in", follow_redirects=True).text.partition('href="/assets/')[2].partition('"')[0]
            path = f"/assets/{path}"
        answer = browser.get(path) if method == "GET" else browser.post(path, {"publisher": world.ids["publisher"]})
        assert answer.status_code < 500, route
        if judged(answer) != expected:
            wrong.append(f"{route}: {judged(answer)} ({answer.status_code}), not {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", WHO)
def test_no_form_is_taken_without_its_token(world: World, who: str) -> None:
    browser = world.browsers[who]()
    for route in TABLE:
        method, rule = route.split(" ", 1)
        if method == "POST":
            answer = browser.client.post(world.path(rule), headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 403, route


# What a member may change about themselves or the moment changes by itself; everything else is somebody else's to change.
OWN_COLUMNS = {"users.name", "users.password_hash", "users.totp_secret", "users.totp_step", "users.totp_since"}


def test_no_form_takes_a_field_that_is_not_its_own(world: World, house: House) -> None:
    """Reliability S9: every column of what says who may do what, sent with every form, as a member with little to say."""
    foreign = {column.key: "admin" for table in GUARDED_TABLES for column in table.columns}
    foreign |= {"role": "owner", "state": "approved", "staff_role": "admin", "publisher_id": "1", "approved_until": "2099-01-01"}
    before = guarded_rows(house)
    browser = world.browsers["editor"]()
    for route in TABLE:
        method, rule = route.split(" ", 1)
        if method == "POST" and rule != "/sign-out":
            answer = browser.post(world.path(rule), {**foreign, "name": "Tessa", "password": "three blind mice and a lamp"})
            assert answer.status_code < 500, route
    assert guarded_rows(house) == before


GUARDED_TABLES = [each.__table__ for each in (User, Membership, Publisher, PublisherDomain, Invitation, ApiKey, FeedToken)]


def guarded_rows(house: House) -> list[tuple[object, ...]]:
    with house.sessions() as session:
        return [
            tuple(value for column, value in zip(table.columns, row, strict=True) if str(column) not in OWN_COLUMNS)
            for table in GUARDED_TABLES
            for row in session.execute(select(table).order_by("id"))
        ]
