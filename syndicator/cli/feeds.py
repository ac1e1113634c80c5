"""Commands about feeds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from syndicator.cli.desk import Desk, say
from syndicator.operations.render_feeds import RENDERERS, read_feed, render_stale
from syndicator.storage.engine import reading


class Format(StrEnum):
    RSS = "rss"
    ATOM = "atom"
    JSON = "json"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The feed catalogue.", no_args_is_help=True)
    group.command("list")(list_feeds)
    group.command("check")(check)
    group.command("render")(render)
    app.add_typer(group, name="feed")


def list_feeds(context: typer.Context) -> None:
    """Show the catalogue."""
    desk: Desk = context.obj
    base = desk.config.site.base_url
    desk.list(
        [
            {
                "name": feed.name,
                "access": feed.access,
                "content": feed.content,
                "limit": feed.limit,
                "url": f"{base}/feeds/{feed.name}.rss",
                "title": feed.title,
            }
            for feed in desk.house.catalogue
        ],
        empty="the catalogue is empty",
    )


def check(context: typer.Context) -> None:
    """Read every feed file and render every document that is not up to date."""
    desk: Desk = context.obj
    rendered = render_stale(desk.house, everything=True)
    say(f"{len(rendered)} feeds read and rendered: {', '.join(rendered)}")


def render(context: typer.Context, name: str, fmt: Annotated[Format, typer.Option("--format")] = Format.ATOM) -> None:
    """Print a feed's document as it would be rendered now."""
    desk: Desk = context.obj
    house = desk.house
    with reading(house.sessions) as session:
        feed = read_feed(session, house, house.catalogue.get(name), at=house.clock())
    typer.echo(RENDERERS[fmt.value](feed).decode())
