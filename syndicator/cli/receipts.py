"""Commands about receipts: checking one that somebody shows, and changing the key that signs."""

from __future__ import annotations

from typing import Annotated

import typer

from syndicator.cli.desk import Desk, say
from syndicator.operations import audit
from syndicator.operations.receipts import check_shown
from syndicator.signing import Signer


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Receipts: signed proof that a publisher may use a story.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("rotate-key")(rotate_key)
    app.add_typer(group, name="receipt")


def verify(context: typer.Context, receipt: Annotated[str, typer.Argument(help="The token, or its id (rcpt_…).")]) -> int:
    """Say whether a receipt is ours and still holds."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        verdict = check_shown(session, desk.house, receipt, at=desk.house.clock())
        known = verdict.receipt
        record: dict[str, object] = {"valid": verdict.valid, "reason": verdict.reason.value, "words": verdict.words}
        if known is not None:
            record |= {"publisher": known.publisher.name, "story": known.story.uri, "version": known.version_number}
    desk.show(record)
    return 0 if verdict.valid else 1


def rotate_key(context: typer.Context) -> None:
    """Sign receipts with a new key from now on; what the former one signed can still be checked."""
    desk: Desk = context.obj
    with desk.house.sessions.begin() as session:
        kid = Signer(desk.config.data_dir).rotate()
        audit.record(session, desk.actor, "receipt-key.rotate", kid, at=desk.house.clock())
    say(f"receipts are signed with key {kid} from now on")
