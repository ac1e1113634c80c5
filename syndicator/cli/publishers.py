"""Commands about publishers, their keys and feed tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import select

from syndicator.cli.desk import Desk, say
from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import ApiKey, FeedToken, Publisher, PublisherState, Scope
from syndicator.errors import InvalidRequest
from syndicator.operations import eligibility, members
from syndicator.operations import keys as credentials
from syndicator.operations import publishers as deciding
from syndicator.operations.publisher_file import file_of
from syndicator.storage.engine import reading

Reason = Annotated[str, typer.Option(help="The publisher reads it.")]
Who = Annotated[str, typer.Argument(metavar="PUBLISHER", help="Id, domain, e-mail address or name.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Publishers: partners that take stories, or would like to.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_publishers)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("decline")(decline)
    group.command("suspend")(suspend)
    group.command("reinstate")(reinstate)
    group.command("revoke")(revoke)
    group.command("export")(export)
    group.command("check")(check)
    group.command("what-if")(what_if)
    group.command("invite")(invite)
    group.command("phone-list")(phone_list)
    app.add_typer(group, name="publisher")
    keys = typer.Typer(help="API keys.", no_args_is_help=True)
    keys.command("create")(key_create)
    keys.command("list")(key_list)
    keys.command("revoke")(credential_revoke)
    app.add_typer(keys, name="key")
    tokens = typer.Typer(help="Tokens by which feed readers have private feeds.", no_args_is_help=True)
    tokens.command("create")(token_create)
    tokens.command("list")(token_list)
    tokens.command("revoke")(credential_revoke)
    app.add_typer(tokens, name="token")


def add(
    context: typer.Context,
    name: str,
    domain: Annotated[list[str], typer.Option(help="A site of theirs; may be given several times.")],
    email: Annotated[str, typer.Option(help="Where letters go.")],
) -> None:
    """Make the record of a publisher that has yet to be decided about."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        publisher = deciding.add_publisher(
            session, name=name, email=email, domains=domain, actor=desk.actor, at=desk.house.clock()
        )
        record = _record(publisher)
    desk.show(record)


def list_publishers(context: typer.Context) -> None:
    """Show every publisher."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [_record(publisher) for publisher in session.scalars(select(Publisher).order_by(Publisher.id))]
    desk.list(records, empty="there are no publishers yet; make one with `syndicator publisher add NAME --domain D --email E`")


def show(context: typer.Context, publisher: Who) -> None:
    """Show a publisher and every decision about it."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        found = deciding.get_publisher(session, publisher)
        record = _record(found) | {
            "decisions": [f"{d.decided_at:%Y-%m-%d} {d.to_state.value} by {d.actor}: {d.reason}" for d in found.decisions]
        }
    desk.show(record)


def approve(
    context: typer.Context,
    publisher: Who,
    reason: Reason,
    days: Annotated[int | None, typer.Option(min=1, max=3660, help="How long; the policy's term unless given.")] = None,
) -> None:
    """Approve a publisher. By this you vouch that it has accepted the terms in force."""
    _decide(context.obj, publisher, PublisherState.APPROVED, reason, days=days, terms_signed=True)


def decline(context: typer.Context, publisher: Who, reason: Reason) -> None:
    """Decline an application."""
    _decide(context.obj, publisher, PublisherState.DECLINED, reason)


def suspend(context: typer.Context, publisher: Who, reason: Reason) -> None:
    """Suspend an approved publisher; everything refuses at once."""
    _decide(context.obj, publisher, PublisherState.SUSPENDED, reason)


def reinstate(context: typer.Context, publisher: Who, reason: Reason) -> None:
    """Give a suspended publisher its approval back, for what is left of its term."""
    _decide(context.obj, publisher, PublisherState.APPROVED, reason)


def revoke(context: typer.Context, publisher: Who, reason: Reason) -> None:
    """Revoke an approval for good."""
    _decide(context.obj, publisher, PublisherState.REVOKED, reason)


def export(context: typer.Context, publisher: Who) -> None:
    """Print everything that is kept about a publisher as JSON, without what opens a door."""
    desk: Desk = context.obj
    with reading(desk.house.sessions) as session:
        rows = file_of(session, deciding.get_publisher(session, publisher))
    desk.print_json(rows, indent=2)


def phone_list(
    context: typer.Context,
    publisher: Who,
    email: Annotated[str, typer.Option(help="Where reminders go too when a kill is not acknowledged.")] = "",
    contact: Annotated[str, typer.Option(help="A name and a telephone number.")] = "",
) -> None:
    """Say whom to reach in an emergency; what is left out is removed."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = deciding.get_publisher(session, publisher, lock=True)
        deciding.put_on_phone_list(session, found, email=email, contact=contact, actor=desk.actor, at=desk.house.clock())
        record = _record(found)
    desk.show(record)


def check(context: typer.Context, publisher: Who) -> None:
    """Judge a publisher by the policy: each item, its verdict and why."""
    desk: Desk = context.obj
    house = desk.house
    with reading(house.sessions) as session:
        found = deciding.get_publisher(session, publisher)
        policy = eligibility.policy_of(house.config)
        judged = eligibility.checklists(session, policy, [found], at=house.clock())[found.id]
    records = [
        {"item": item.heading, "verdict": item.verdict.value, "why": item.words, "to_do": item.todo} for item in judged.items
    ]
    if judged.measured is not None:
        records.append({"item": "Measured", "verdict": "shown", "why": judged.measured.words, "to_do": ""})
    desk.list(records, empty="the policy requires nothing")


def what_if(
    context: typer.Context,
    minimum: Annotated[int, typer.Option(min=0, help="Monthly unique visitors to be asked for.")],
) -> None:
    """Say which approved publishers would no longer pass under another floor. Changes nothing."""
    desk: Desk = context.obj
    house = desk.house
    with reading(house.sessions) as session:
        fallen = eligibility.what_if(session, house.config, minimum=minimum, at=house.clock())
    records = [
        {
            "id": each.publisher.public_id,
            "name": each.publisher.name,
            "audience": each.audience,
            "approved_until": each.publisher.approved_until,
            "lost": list(each.lost),
        }
        for each in fallen
    ]
    desk.list(records, empty=f"nobody would fall out at {minimum:,} unique visitors a month")


def invite(
    context: typer.Context,
    publisher: Who,
    email: Annotated[str, typer.Argument(help="Who is invited.")],
    role: Annotated[MemberRole, typer.Option(help="What the person may do.")] = MemberRole.OWNER,
) -> None:
    """Invite somebody to look after a publisher in the portal; the link goes by letter and is printed once."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        found = deciding.get_publisher(session, publisher)
        house, at = desk.house, desk.house.clock()
        invitation, link = members.invite(
            session, house, found, email=email, role=role, inviter=house.config.site.name, actor=desk.actor, at=at
        )
        record = {
            "publisher": found.public_id,
            "email": invitation.email,
            "role": invitation.role.value,
            "link": link,
            "token": link.rpartition("/")[2],
        }
    desk.show(record)


def key_create(
    context: typer.Context,
    publisher: Annotated[str | None, typer.Option(help="For this publisher …")] = None,
    newsroom: Annotated[bool, typer.Option("--newsroom", help="… or for our own newsroom's systems.")] = False,
    scopes: Annotated[str, typer.Option(help="Comma-separated; what its holder usually has unless given.")] = "",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="Until it expires.")] = None,
) -> None:
    """Make an API key. It is shown this once."""
    desk: Desk = context.obj
    house, at = desk.house, desk.house.clock()
    if newsroom == bool(publisher):
        raise typer.BadParameter("say either --publisher or --newsroom")
    with house.sessions.begin() as session:
        key, secret = credentials.create_key(
            session,
            deciding.get_publisher(session, publisher) if publisher else None,
            actor=desk.actor,
            at=at,
            scopes=_read_scopes(scopes),
            name=name,
            expires_at=at + timedelta(days=days) if days else None,
        )
    desk.show({"id": key.public_id, "key": secret, "scopes": key.scopes, "expires": key.expires_at})


def key_list(context: typer.Context) -> None:
    """Show every API key; the keys themselves are not kept."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [
            {
                "id": key.public_id,
                "prefix": f"{key.prefix}…",
                "holder": key.publisher.name if key.publisher else "newsroom",
                "scopes": key.scopes,
                "last_used": key.last_used_at,
                "from": key.last_used_from,
                "expires": key.expires_at,
                "revoked": key.revoked_at,
            }
            for key in session.scalars(select(ApiKey).order_by(ApiKey.id))
        ]
    desk.list(records, empty="there are no keys yet")


def token_create(
    context: typer.Context,
    publisher: Annotated[str, typer.Option(help="Id, domain, e-mail address or name.")],
    feed: Annotated[str, typer.Option(help="A private feed of the catalogue.")],
) -> None:
    """Make a feed token. It is shown this once."""
    desk: Desk = context.obj
    house = desk.house
    with house.sessions.begin() as session:
        token, secret = credentials.create_token(
            session, house.catalogue, deciding.get_publisher(session, publisher), feed, actor=desk.actor, at=house.clock()
        )
    base = house.config.site.base_url
    desk.show({"id": token.public_id, "token": secret, "url": f"{base}/f/{secret}/{feed}.rss"})


def token_list(context: typer.Context) -> None:
    """Show every feed token; the tokens themselves are not kept."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        records = [
            {
                "id": token.public_id,
                "prefix": f"{token.prefix}…",
                "holder": token.publisher.name,
                "feed": token.feed,
                "last_used": token.last_used_at,
                "from": token.last_used_from,
                "revoked": token.revoked_at,
            }
            for token in session.scalars(select(FeedToken).order_by(FeedToken.id))
        ]
    desk.list(records, empty="there are no feed tokens yet")


def credential_revoke(context: typer.Context, reference: Annotated[str, typer.Argument(help="Its id or prefix.")]) -> None:
    """Revoke it; it is refused from this moment."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        revoked = credentials.revoke(session, reference, actor=desk.actor, at=desk.house.clock())
    say(f"{revoked.public_id} is revoked")


def _decide(
    desk: Desk,
    publisher: str,
    state: PublisherState,
    reason: str,
    *,
    days: int | None = None,
    terms_signed: bool = False,
) -> None:
    house = desk.house
    with house.sessions.begin() as session:
        deciding.decide(
            session,
            house,
            publisher,
            state,
            reason=reason,
            actor=desk.actor,
            at=house.clock(),
            days=days,
            terms_signed=terms_signed,
        )
        record = _record(deciding.get_publisher(session, publisher))
    desk.show(record)


def _read_scopes(text: str) -> tuple[Scope, ...] | None:
    if not text:
        return None
    try:
        return tuple(Scope(word.strip()) for word in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"{error}; there are {', '.join(Scope)}", "scopes") from error


def _record(publisher: Publisher) -> dict[str, object]:
    return {
        "id": publisher.public_id,
        "name": publisher.name,
        "state": publisher.state.value,
        "reason": publisher.state_reason,
        "approved_until": publisher.approved_until,
        "email": publisher.email,
        "in_an_emergency": f"{publisher.urgent_contact} {publisher.urgent_email}".strip(),
        "domains": [domain.domain for domain in publisher.domains],
    }
