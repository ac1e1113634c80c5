"""Commands about staff: who has a place at the desk. A link to sign in is printed once, for a machine that sends no mail yet."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy.orm import Session

from syndicator.cli.desk import Desk, say
from syndicator.domain.accounts import LinkPurpose, StaffRole, User
from syndicator.operations import accounts
from syndicator.operations.links import lasting, make_link

Who = Annotated[str, typer.Argument(metavar="USER", help="E-mail address or id.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Staff: who has a place at the desk.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_users)
    group.command("disable")(disable)
    group.command("reset")(reset)
    app.add_typer(group, name="user")


def add(
    context: typer.Context,
    email: str,
    role: Annotated[StaffRole, typer.Option(help="What the person may do.")],
    name: Annotated[str, typer.Option(help="What the person is called.")] = "",
) -> None:
    """Give somebody a place at the desk; prints a link that signs in once."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        record = add_with_link(desk, session, email=email, role=role, name=name)
    desk.show(record)


def list_users(context: typer.Context) -> None:
    """Show who has a place at the desk."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [_record(user) for user in accounts.staff_users(session)]
    desk.list(records, empty="nobody has a place at the desk yet; give one with `syndicator user add EMAIL --role admin`")


def disable(context: typer.Context, user: Who) -> None:
    """Let somebody in no more; every sign-in of theirs ends at once."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = accounts.get_user(session, user, lock=True)
        accounts.disable(session, found, actor=desk.actor, at=desk.house.clock())
    say(f"{found.email} is disabled")


def reset(context: typer.Context, user: Who) -> None:
    """Forget password and second factor of somebody who lost them; prints a link that signs in once."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = accounts.get_user(session, user, lock=True)
        accounts.reset(session, found, actor=desk.actor, at=desk.house.clock())
        link = make_link(session, desk.house, LinkPurpose.SIGN_IN, at=desk.house.clock(), user=found, next_path="/account/")
    desk.show(_record(found) | _shown_once(link))


def add_with_link(desk: Desk, session: Session, *, email: str, role: StaffRole, name: str) -> dict[str, object]:
    """Make a staff user and return its record with the link, which is never seen again."""
    at = desk.house.clock()
    user = accounts.user_called(session, email, at=at, name=name)
    link = make_link(session, desk.house, LinkPurpose.SIGN_IN, at=at, user=user, next_path="/account/")
    accounts.add_staff(session, email=email, role=role, name=name, actor=desk.actor, at=at)
    return _record(user) | _shown_once(link)


def _shown_once(link: str) -> dict[str, object]:
    return {"link": link, "link_holds": lasting(LinkPurpose.SIGN_IN), "token": link.rpartition("/")[2]}


def _record(user: User) -> dict[str, object]:
    return {
        "id": user.public_id,
        "email": user.email,
        "name": user.name,
        "role": user.staff_role.value if user.staff_role else "",
        "second_factor": "on" if user.second_factor else "off",
        "state": "disabled" if user.disabled_at else "active",
    }
