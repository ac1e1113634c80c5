"""Users, roles and members: what may not happen, also not by two at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from syndicator.domain.accounts import LinkPurpose, MemberRole, SignIn, StaffRole, User, address_of
from syndicator.errors import Conflict, NotFound, SyndicatorError
from syndicator.house import House
from syndicator.operations import accounts, links, members, sign_in
from syndicator.operations.sign_in import browser_of
from tests.clocks import HandClock
from tests.desk import Desk

HERE = browser_of("192.0.2.1", "Test/1.0")


def staff(house: House, email: str, role: StaffRole = StaffRole.ADMIN) -> User:
    with house.sessions.begin() as session:
        return accounts.add_staff(session, email=email, role=role, name="", actor="test", at=house.clock())


def both(first: Callable[[], None], second: Callable[[], None]) -> list[BaseException]:
    """Do both at once; returns what they raised."""
    together, raised = Barrier(2, timeout=20), list[BaseException]()

    def run(what: Callable[[], None]) -> None:
        together.wait()
        try:
            what()
        except SyndicatorError as error:
            raised.append(error)

    threads = [Thread(target=run, args=[what]) for what in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_an_email_address_names_one_user_however_it_is_spelled(house: House) -> None:
    user = staff(house, "Lena@Desk.Example")
    with house.sessions.begin() as session:
        assert accounts.user_called(session, " lena@desk.EXAMPLE ", at=house.clock()).id == user.id
        with pytest.raises(Conflict):
            accounts.add_staff(session, email="LENA@desk.example", role=StaffRole.EDITOR, name="", actor="test", at=house.clock())


def test_two_at_once_make_one_user(house: House) -> None:
    def make() -> None:
        with house.sessions.begin() as session:
            accounts.user_called(session, "new@desk.example", at=house.clock())

    assert both(make, make) == []
    with house.sessions() as session:
        assert session.scalars(select(User)).one().email == "new@desk.example"


@pytest.mark.parametrize("change", ["password", "reset", "disable"])
def test_links_that_lie_in_a_mailbox_end_with_the_old_way_in(house: House, change: str) -> None:
    staff(house, "other@desk.example")
    user = staff(house, "lena@desk.example")
    at = house.clock()
    with house.sessions.begin() as session:
        row = session.get_one(User, user.id)
        token = links.make_link(session, house, LinkPurpose.RESET, at=at, user=row).rpartition("/")[2]
        assert links.get_link(session, token, LinkPurpose.RESET, at=at).user_id == user.id
        match change:
            case "password":
                accounts.set_password(session, row, "three blind mice and a lamp", actor="test", at=at)
            case "reset":
                accounts.reset(session, row, actor="test", at=at)
            case _:
                accounts.disable(session, row, actor="test", at=at)
                accounts.enable(session, row, actor="test", at=at)
        session.expire_all()
        with pytest.raises(NotFound):
            links.get_link(session, token, LinkPurpose.RESET, at=at)


def test_two_administrators_cannot_disable_each_other_at_once(house: House) -> None:
    one, two = staff(house, "one@desk.example"), staff(house, "two@desk.example")

    def disable(user: User) -> Callable[[], None]:
        def run() -> None:
            with house.sessions.begin() as session:
                accounts.disable(session, session.get_one(User, user.id), actor="test", at=house.clock())

        return run

    raised = both(disable(one), disable(two))
    assert [type(error) for error in raised] == [Conflict]
    with house.sessions() as session:
        assert session.scalars(select(User).where(User.disabled_at.is_(None))).one()


def test_two_owners_cannot_leave_at_once(house: House, desk: Desk) -> None:
    publisher = desk.publisher()
    with house.sessions.begin() as session:
        users = [accounts.user_called(session, f"{name}@ours.example", at=house.clock()) for name in ("one", "two")]
        for user in users:
            members.add_member(session, publisher, user, MemberRole.OWNER, actor="test", at=house.clock())

    def leave(user: User) -> Callable[[], None]:
        def run() -> None:
            with house.sessions.begin() as session:
                member = members.get_member(session, publisher.id, user.public_id)
                members.remove(session, member, actor="test", at=house.clock())

        return run

    raised = both(leave(users[0]), leave(users[1]))
    assert [type(error) for error in raised] == [Conflict]
    with house.sessions() as session:
        assert len(members.members_of(session, publisher.id)) == 1


def test_a_link_used_by_two_at_once_lets_one_in(house: House) -> None:
    user = staff(house, "lena@desk.example")
    with house.sessions.begin() as session:
        token = links.make_link(session, house, LinkPurpose.SIGN_IN, at=house.clock(), user=session.get_one(User, user.id))

    def use() -> None:
        with house.sessions.begin() as session:
            links.use_link(session, token.rpartition("/")[2], LinkPurpose.SIGN_IN, at=house.clock())

    assert [type(error) for error in both(use, use)] == [NotFound]


def test_a_link_is_good_for_its_own_purpose_only(house: House) -> None:
    user = staff(house, "lena@desk.example")
    with house.sessions.begin() as session:
        link = links.make_link(session, house, LinkPurpose.VERIFY_EMAIL, at=house.clock(), user=session.get_one(User, user.id))
        token = link.rpartition("/")[2]
        for purpose in set(LinkPurpose) - {LinkPurpose.VERIFY_EMAIL}:
            with pytest.raises(NotFound):
                links.use_link(session, token, purpose, at=house.clock())
        assert links.use_link(session, token, LinkPurpose.VERIFY_EMAIL, at=house.clock()).user_id == user.id


@pytest.mark.parametrize("change", ["password", "role", "disable", "reset"])
def test_what_changes_a_way_in_ends_every_sign_in(house: House, change: str) -> None:
    staff(house, "other@desk.example")
    user = staff(house, "lena@desk.example")
    at = house.clock()
    with house.sessions.begin() as session:
        row = session.get_one(User, user.id)
        _, token = sign_in.begin(session, house, row, HERE, at=at)
        match change:
            case "password":
                accounts.set_password(session, row, "three blind mice and a lamp", actor="test", at=at)
            case "role":
                accounts.change_staff_role(session, row, StaffRole.EDITOR, actor="test", at=at)
            case "disable":
                accounts.disable(session, row, actor="test", at=at)
            case _:
                accounts.reset(session, row, actor="test", at=at)
    with house.sessions() as session:
        assert sign_in.find_sign_in(session, token, at=at) is None


def test_a_change_of_role_at_a_publisher_ends_the_members_sign_ins(house: House, desk: Desk) -> None:
    publisher = desk.publisher()
    at = house.clock()
    with house.sessions.begin() as session:
        user = accounts.user_called(session, "tech@ours.example", at=at)
        member = members.add_member(session, publisher, user, MemberRole.TECHNICIAN, actor="test", at=at)
        _, token = sign_in.begin(session, house, user, HERE, at=at)
        members.change_role(session, session.merge(member), MemberRole.OWNER, actor="test", at=at)
    with house.sessions() as session:
        assert sign_in.find_sign_in(session, token, at=at) is None


def test_an_invitation_is_withdrawn_by_its_own_publisher_only(house: House, desk: Desk) -> None:
    ours, theirs = desk.publisher(), desk.publisher()
    with house.sessions.begin() as session:
        invitation, _ = members.invite(
            session, house, ours, email="new@x.example", role=MemberRole.EDITOR, inviter="A", actor="test", at=house.clock()
        )
        with pytest.raises(NotFound):
            members.withdraw_invitation(session, theirs.id, invitation.public_id, actor="test", at=house.clock())
        members.withdraw_invitation(session, ours.id, invitation.public_id, actor="test", at=house.clock())
        with pytest.raises(NotFound):
            members.get_invitation(session, invitation.public_id, at=house.clock())


def test_old_tries_links_and_sign_ins_are_forgotten(house: House, clock: HandClock) -> None:
    user = staff(house, "lena@desk.example")
    with house.sessions.begin() as session:
        sign_in.count_try(session, "lena@desk.example", HERE, at=clock())
        sign_in.begin(session, house, session.get_one(User, user.id), HERE, at=clock())
        links.make_link(session, house, LinkPurpose.RESET, at=clock(), user=session.get_one(User, user.id))
        links.ask_for_link(session, "lena@desk.example", LinkPurpose.RESET, HERE, at=clock())
        links.answer_requests(session, house, at=clock())
    clock.advance(timedelta(days=32))
    with house.sessions.begin() as session:
        assert sign_in.forget_old(session, at=clock()) == 2
        assert links.forget_old(session, at=clock()) == 3  # the one it was asked for too
        assert session.scalars(select(SignIn)).all() == []


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("rubbish" * 20, ("rubbish" * 20)[:64]),
    ],
)
def test_whom_an_address_is_counted_for(text: str, counted: str) -> None:
    assert address_of(text) == counted
