"""Letters: every one that was written, what became of it, and another try for those that failed.

One-time links in them are not shown here: their place is held by a mark, since they would sign staff in as somebody else.
"""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from syndicator.domain.accounts import StaffRole
from syndicator.domain.letters import SECRET_MARK, LetterState
from syndicator.errors import Conflict
from syndicator.operations import letters
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PAGE = 50


@desk.get("/letters")
@staff_required(StaffRole.LICENSING)
def letters_page() -> ResponseReturnValue:
    state = request.args.get("state", type=LetterState)
    before = request.args.get("before", type=int)
    with reading(the_house().sessions) as session:
        found = letters.newest_letters(session, state=state, before=before, limit=PAGE + 1)
    older = url_for("desk.letters_page", state=state, before=found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template("desk/letters.html", letters=found[:PAGE], state=state, states=LetterState, older=older)


@desk.get("/letters/<letter_id>")
@staff_required(StaffRole.LICENSING)
def letter_page(letter_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        letter = letters.get_letter(session, letter_id)
    return render_template(
        "desk/letter.html", letter=letter, text=letter.text.replace(SECRET_MARK, "[a link only its reader sees]")
    )


@desk.post("/letters/<letter_id>/again")
@staff_required(StaffRole.LICENSING)
def try_letter_again(letter_id: str) -> ResponseReturnValue:
    house = the_house()
    try:
        with house.sessions.begin() as session:
            letters.try_again(session, letter_id, actor=actor(), at=house.clock())
        flash("The letter is on its way again.", "good")
    except Conflict as error:
        flash(str(error), "bad")
    return redirect(url_for("desk.letter_page", letter_id=letter_id), 303)
