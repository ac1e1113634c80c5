"""Where stories appeared: the pages that publishers reported, and what the last look at each found."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from syndicator.operations.republications import republications_of
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import staff_required
from syndicator.web.identity import the_house


@desk.get("/pages")
@staff_required()
def pages_page() -> ResponseReturnValue:
    """The newest pages; `show=faults` leaves those at whose last look something was wrong."""
    show = request.args.get("show", "")
    with reading(the_house().sessions) as session:
        found = republications_of(session)
    if show == "faults":
        found = [each for each in found if each.checked_at and not each.findings.get("fine")]
    return render_template("desk/pages.html", reported=found, show=show)
