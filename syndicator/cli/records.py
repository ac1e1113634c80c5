"""Commands that take records out: exports, and the proof that the audit log is whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from syndicator.cli.desk import Desk, say
from syndicator.operations import audit_heads
from syndicator.operations.exports import ExportFormat, ExportKind
from syndicator.operations.exports import export as export_records
from syndicator.storage.engine import reading


def register(app: typer.Typer) -> None:
    app.command()(export)
    group = typer.Typer(help="The audit log.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("head")(head)
    app.add_typer(group, name="audit")


def export(
    context: typer.Context,
    kind: ExportKind,
    form: Annotated[ExportFormat, typer.Option("--format", help="JSON lines, or CSV that is safe in a spreadsheet.")],
) -> None:
    """Write every row to standard output, the oldest first."""
    desk: Desk = context.obj
    with reading(desk.house.sessions) as session:
        for piece in export_records(session, kind, form):
            sys.stdout.write(piece)
    sys.stdout.flush()


def head(context: typer.Context) -> None:
    """Print the log's newest entry by number and hash, sealed: kept elsewhere, it shows later whether the log was rewritten."""
    desk: Desk = context.obj
    with reading(desk.house.sessions) as session:
        say(audit_heads.newest_head(session, desk.house.vault))


def verify(
    context: typer.Context,
    heads: Annotated[typer.FileText | None, typer.Option(help="Lines of `audit head` that were kept elsewhere.")] = None,
) -> int:
    """Walk the audit log; fail and say where if an entry is missing, has been altered, or is not the one noted in its time."""
    desk: Desk = context.obj
    with reading(desk.house.sessions) as session:
        faults = audit_heads.prove_log(session, desk.house, elsewhere=heads.read().splitlines() if heads else ())
    for fault in faults:
        say(fault, error=True)
    if not faults:
        say("the audit log is whole")
    return 1 if faults else 0
