"""The command line. Each command is a few lines: parse, call one operation, print.

Exit status: 0 done, 1 the thing asked failed, 2 wrong usage or settings (the message names the field).
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from syndicator import __version__
from syndicator.cli.desk import Desk, say
from syndicator.errors import ConfigError, SyndicatorError

PARTS = {  # the modules beside this one, and the commands that each registers
    "service": ("serve", "web", "worker", "scheduler", "mirror", "demo"),
    "upkeep": ("init", "doctor", "db", "job"),
    "sources": ("source",),
    "stories": ("story",),
    "feeds": ("feed",),
    "publishers": ("publisher", "key", "token"),
    "agreements": ("agreement",),
    "users": ("user",),
    "deliveries": ("subscription", "delivery"),
    "receipts": ("receipt",),
    "records": ("export", "audit"),
}
PART_OF = {command: part for part, commands in PARTS.items() for command in commands}


class Commands(TyperGroup):
    """Loads the part that a command is in, and no other: it starts sooner, and a worker holds only what it sends with."""

    def list_commands(self, ctx: Any) -> list[str]:  # Any: typer has a click of its own, whose types are private
        return [*PART_OF, *self.commands.keys() - PART_OF.keys()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in PART_OF and cmd_name not in self.commands:
            self.commands.update(get_group(part_named(PART_OF[cmd_name])).commands)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Make the number that a command returns its exit status."""
        returned = super().invoke(ctx)
        if isinstance(returned, int) and returned:
            raise typer.Exit(returned)
        return returned


def part_named(name: str) -> typer.Typer:
    """Return the commands of the module `name`."""
    part = typer.Typer()
    import_module(f"syndicator.cli.{name}").register(part)
    return part


app = typer.Typer(
    name="syndicator",
    cls=Commands,
    help="Content syndication and licensing for newsrooms.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def settings(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="SYNDICATOR_CONFIG", help="The settings file; ./config.toml if there is one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print records as JSON.")] = False,
) -> None:
    """Remember what every command needs; nothing is opened before a command asks for it."""
    context.obj = Desk(config_path=config, as_json=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    say(__version__)


def _with_field(words: str, field: str | None) -> str:
    return words if field is None or words.startswith(field) else f"{field}: {words}"


def main() -> None:
    """Run one command and turn our errors into a message and an exit status; wrong usage the framework tells, and ends in 2."""
    try:
        app()
    except ConfigError as error:
        say(str(error), error=True)
        sys.exit(2)
    except SyndicatorError as error:
        field = getattr(error, "field", None)
        say(f"{_with_field(str(error), field)} [{error.reason.value}]", error=True)
        sys.exit(2 if field else 1)
