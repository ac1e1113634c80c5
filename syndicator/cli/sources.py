"""Commands about where stories come from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from sqlalchemy import select

from syndicator.cli.desk import Desk, say
from syndicator.domain.stories import Source, SourceKind
from syndicator.operations import sources as keeping
from syndicator.operations.pull import pull_source


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Where stories come from.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_sources)
    group.command("pull")(pull)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("remove")(remove)
    app.add_typer(group, name="source")


def add(
    context: typer.Context,
    kind: SourceKind,
    url: str,
    name: Annotated[str, typer.Option(help="How it is called here; the host unless given.")] = "",
    section: Annotated[str, typer.Option(help="Section of stories that name none.")] = "",
    every: Annotated[int | None, typer.Option(help="Seconds between pulls.")] = None,
    credentials: Annotated[str, typer.Option(help="USER:APPLICATION-PASSWORD, kept encrypted.")] = "",
) -> None:
    """Pull stories from URL, a WordPress site or a feed, from now on."""
    desk: Desk = context.obj
    house = desk.house
    with house.sessions.begin() as session:
        source = keeping.add_source(
            session,
            house,
            desk.outbound,
            kind=kind,
            url=url,
            name=name,
            section=section,
            every_seconds=every,
            credentials=credentials,
            actor=desk.actor,
            at=house.clock(),
        )
    desk.show(_record(source))


def list_sources(context: typer.Context) -> None:
    """Show every source and how its last pull went."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        sources = session.scalars(select(Source).order_by(Source.name)).all()
    desk.list(map(_record, sources), empty="there are no sources yet; add one with `syndicator source add wordpress https://…`")


def pull(context: typer.Context, name: Annotated[str | None, typer.Argument()] = None) -> int:
    """Pull NAME now, or every source."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        wanted = [keeping.get_source(session, name)] if name else keeping.pulled_sources(session)
    reports = []
    for source in wanted:
        report = pull_source(desk.house, desk.outbound, source.id)
        say(f"{source.name}: {report.words}", error=report.failed or desk.as_json)
        reports.append(report)
    if desk.as_json:
        desk.list(map(asdict, reports), empty="")
    return 1 if any(report.failed for report in reports) else 0


def pause(context: typer.Context, name: str) -> None:
    """Stop pulling NAME."""
    _set_paused(context.obj, name, paused=True)


def resume(context: typer.Context, name: str) -> None:
    """Pull NAME again."""
    _set_paused(context.obj, name, paused=False)


def remove(context: typer.Context, name: str) -> None:
    """Stop pulling NAME for good. Its stories stay; its name is free again."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        keeping.remove_source(session, name, actor=desk.actor, at=desk.house.clock())
    say(f"{name} removed; its stories stay")


def _set_paused(desk: Desk, name: str, *, paused: bool) -> None:
    with desk.house.sessions.begin() as session:
        keeping.set_paused(session, name, paused=paused, actor=desk.actor, at=desk.house.clock())
    say(f"{name} is {'paused' if paused else 'pulled again'}")


def _record(source: Source) -> dict[str, object]:
    return {
        "name": source.name,
        "kind": source.kind.value,
        "url": source.url,
        "every_seconds": source.every_seconds,
        "paused": source.paused,
        "last_success": source.last_success_at,
        "failures": source.failures,
        "last_error": source.last_error,
    }
