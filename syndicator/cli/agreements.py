"""Commands about agreements: what one publisher may have beyond the free-use license, and what was taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from syndicator.cli.desk import Desk, say
from syndicator.domain.agreements import Agreement, QuotaPeriod
from syndicator.errors import InvalidRequest
from syndicator.operations import agreements as agreeing
from syndicator.operations.publishers import get_publisher
from syndicator.operations.takes import usage, usage_rows
from syndicator.render.spreadsheet import csv_text

Who = Annotated[str, typer.Argument(metavar="PUBLISHER", help="Id, domain, e-mail address or name.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, UTC.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Agreements: paid or special licenses with one publisher.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_agreements)
    group.command("end")(end)
    group.command("usage")(show_usage)
    app.add_typer(group, name="agreement")


def add(
    context: typer.Context,
    publisher: Who,
    title: Annotated[str, typer.Option(help="What people call it, such as the contract's number.")],
    days: Annotated[int, typer.Option(min=1, max=36_600, help="How long it lasts from its first day.")] = 365,
    start: Day = None,
    feed: Annotated[list[str] | None, typer.Option(help="A feed it covers; may be given several times.")] = None,
    section: Annotated[list[str] | None, typer.Option(help="A section it covers.")] = None,
    story: Annotated[list[str] | None, typer.Option(help="A story it covers.")] = None,
    territory: Annotated[str, typer.Option(help="Where the stories may be used, in words.")] = "",
    fee: Annotated[str, typer.Option(help="What is paid, in words.")] = "",
    quota: Annotated[str, typer.Option(help="Such as 20/month; day, week, month, year or term. No limit unless given.")] = "",
    embargo_trusted: Annotated[bool, typer.Option("--embargo-trusted", help="May have stories it covers under embargo.")] = False,
) -> None:
    """Record an agreement. Without feeds, sections and stories it covers everything that is offered."""
    desk: Desk = context.obj
    house, at = desk.house, desk.house.clock()
    valid_from = start.replace(tzinfo=UTC) if start else at
    number, period = _read_quota(quota)
    with house.sessions.begin() as session:
        agreement = agreeing.add_agreement(
            session,
            house,
            get_publisher(session, publisher),
            title=title,
            valid_from=valid_from,
            valid_until=valid_from + timedelta(days=days),
            feeds=feed or (),
            sections=section or (),
            stories=story or (),
            territory=territory,
            fee_note=fee,
            quota=number,
            quota_period=period,
            embargo_trusted=embargo_trusted,
            actor=desk.actor,
            at=at,
        )
        record = _record(agreement)
    desk.show(record)


def list_agreements(
    context: typer.Context, publisher: Annotated[str | None, typer.Option(help="Only those with this publisher.")] = None
) -> None:
    """Show agreements, the newest first."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        holder = get_publisher(session, publisher).id if publisher else None
        records = [_record(agreement) for agreement in agreeing.agreements_of(session, holder)]
    desk.list(records, empty="there are no agreements; record one with `syndicator agreement add PUBLISHER --title T`")


def end(context: typer.Context, agreement: str, reason: Annotated[str, typer.Option(help="Why it ends.")]) -> None:
    """End an agreement; everything refuses at once."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        ended = agreeing.end_agreement(session, agreement, reason=reason, actor=desk.actor, at=desk.house.clock())
    say(f"{ended.public_id} has ended")


def show_usage(
    context: typer.Context,
    publisher: Annotated[str | None, typer.Option(help="Only what this publisher took.")] = None,
    since: Day = None,
    until: Day = None,
    csv: Annotated[Path | None, typer.Option(help="Write the statement to this file, as CSV.")] = None,
) -> None:
    """Show which stories were first taken, by whom, when and how; the last 30 days unless told otherwise."""
    desk: Desk = context.obj
    ends = until.replace(tzinfo=UTC) if until else desk.house.clock() + timedelta(seconds=1)
    begins = since.replace(tzinfo=UTC) if since else ends - timedelta(days=30)
    with desk.house.sessions() as session:
        holder = get_publisher(session, publisher).id if publisher else None
        uses = usage(session, desk.house.catalogue, since=begins, until=ends, publisher_id=holder)
    if csv is not None:
        csv.write_text(csv_text(usage_rows(uses)), encoding="utf-8", newline="")
        say(f"{len(uses)} lines written to {csv}")
        return
    header, *lines = usage_rows(uses)
    desk.list([dict(zip(header, line, strict=True)) for line in lines], empty="nothing was taken in this time")


def _read_quota(text: str) -> tuple[int | None, QuotaPeriod]:
    if not text:
        return None, QuotaPeriod.TERM
    number, _, period = text.partition("/")
    if not number.isascii() or not number.isdigit() or len(number) > 9 or (period or "term") not in set(QuotaPeriod):
        raise InvalidRequest(f"{text!r} is no quota; write it as 20/month, with one of {', '.join(QuotaPeriod)}", "quota")
    return int(number), QuotaPeriod(period or "term")


def _record(agreement: Agreement) -> dict[str, object]:
    return {
        "id": agreement.public_id,
        "publisher": agreement.publisher.name,
        "title": agreement.title,
        "scope": [*agreement.feeds, *agreement.sections, *agreement.stories] or ["everything"],
        "from": agreement.valid_from,
        "until": agreement.valid_until,
        "quota": f"{agreement.quota}/{agreement.quota_period.value}" if agreement.quota else None,
        "territory": agreement.territory,
        "fee": agreement.fee_note,
        "embargo_trusted": agreement.embargo_trusted,
        "ended": agreement.ended_at,
    }
