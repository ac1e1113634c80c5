"""The audit log: looked through, proven whole, taken out; and the other exports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.accounts import StaffRole
from syndicator.errors import NotFound
from syndicator.operations import audit, audit_heads
from syndicator.operations.exports import ExportFormat, ExportKind, export
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import staff_required
from syndicator.web.identity import the_house

PAGE = 100


@desk.get("/audit")
@staff_required(StaffRole.ADMIN)
def audit_page() -> ResponseReturnValue:
    """The newest entries first; who, what, whereof and the days filter. `check` walks the whole chain."""
    asked = {name: request.args.get(name, "").strip() for name in ("actor", "action", "subject", "from", "to")}
    since, last = _day(asked["from"]), _day(asked["to"])
    with reading(the_house().sessions) as session:
        entries = audit.newest_entries(
            session,
            actor=asked["actor"],
            action=asked["action"],
            subject=asked["subject"],
            since=since,
            until=last + timedelta(days=1) if last else None,
            before=request.args.get("before", type=int),
            limit=PAGE + 1,
        )
        faults = audit_heads.prove_log(session, the_house()) if "check" in request.args else None
    filters: dict[str, Any] = {name: value for name, value in asked.items() if value}
    older = url_for("desk.audit_page", before=entries[PAGE - 1].seq, **filters) if len(entries) > PAGE else None
    return render_template(
        "desk/audit.html", entries=entries[:PAGE], asked=asked, older=older, faults=faults, kinds=ExportKind, forms=ExportFormat
    )


@desk.get("/exports/<kind>/<form>")
@staff_required(StaffRole.ADMIN)
def export_file(kind: str, form: str) -> ResponseReturnValue:
    """One export as a file, read from the database as it is sent."""
    if kind not in set(ExportKind) or form not in set(ExportFormat):
        raise NotFound("there is no such export")
    chosen = ExportFormat(form)
    answer = Response(_pieces(ExportKind(kind), chosen), content_type=chosen.content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{kind}.{form}"'
    return answer


def _pieces(kind: ExportKind, form: ExportFormat) -> Iterator[str]:
    sessions = the_house().sessions

    def read() -> Iterator[str]:
        with reading(sessions) as session:
            yield from export(session, kind, form)

    return read()


def _day(text: str) -> datetime | None:
    """Return the beginning (UTC) of the day written as 2026-07-21; what is none asks for nothing."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
