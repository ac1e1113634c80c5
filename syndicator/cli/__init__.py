"""The command line. Each command is a few lines: parse, call one operation, print.

Exit status: 0 done, 1 the thing asked failed, 2 wrong usage or settings (the message names the field).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from syndicator import __version__
from syndicator.cli import agreements, deliveries, feeds, publishers, receipts, records, service, sources, stories, users
from syndicator.cli.desk import Desk, say
from syndicator.errors import ConfigError, SyndicatorError

app = typer.Typer(
    name="syndicator",
    help="Content syndication and licensing for newsrooms.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (service, sources, stories, feeds, publishers, agreements, users, deliveries, receipts, records):
    part.register(app)


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


def main() -> None:
    """Run one command and turn our errors into a message and an exit status."""
    try:
        status = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except ConfigError as error:
        say(str(error), error=True)
        sys.exit(2)
    except SyndicatorError as error:
        say(f"{error} [{error.reason.value}]", error=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
