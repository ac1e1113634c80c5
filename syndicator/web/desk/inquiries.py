"""The inbox of licensing inquiries: the thread, who has it, an answer by letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import RadioField, TextAreaField

from syndicator.domain.accounts import StaffRole
from syndicator.domain.inquiries import InquiryState, Said
from syndicator.errors import Conflict, InvalidRequest
from syndicator.operations import inquiries
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, me, staff_required
from syndicator.web.identity import the_house

PAGE = 50


class ReplyForm(PageForm):
    words = TextAreaField("Your answer", render_kw={"rows": 8, "required": True})


class NoteForm(PageForm):
    said = RadioField("What it is", choices={"noted": "A note for the desk alone", "asked": "What they wrote back by mail"})
    words = TextAreaField("Words", render_kw={"rows": 4, "required": True})


@desk.get("/inquiries")
@staff_required(StaffRole.LICENSING)
def inquiries_page() -> ResponseReturnValue:
    """The newest first; `state` and `owner` (me, nobody) filter."""
    state, owner = request.args.get("state", type=InquiryState), request.args.get("owner")
    whose = {"me": me().user.email, "nobody": ""}.get(owner or "")
    with reading(the_house().sessions) as session:
        before = request.args.get("before", type=int)
        found = inquiries.inquiries(session, state=state, owner=whose, before=before, limit=PAGE + 1)
    asked: dict[str, Any] = {"state": state, "owner": owner}
    older = url_for("desk.inquiries_page", before=found[PAGE - 1].id, **asked) if len(found) > PAGE else None
    return render_template("desk/inquiries.html", inquiries=found[:PAGE], states=InquiryState, asked=asked, older=older)


@desk.get("/inquiries/<inquiry_id>")
@staff_required(StaffRole.LICENSING)
def inquiry_page(inquiry_id: str) -> ResponseReturnValue:
    return _page(inquiry_id, ReplyForm(), NoteForm(prefix="note-", said="noted"), 200)


@desk.post("/inquiries/<inquiry_id>/reply")
@staff_required(StaffRole.LICENSING)
def reply_to_inquiry(inquiry_id: str) -> ResponseReturnValue:
    form, house = ReplyForm(), the_house()
    try:
        with house.sessions.begin() as session:
            inquiries.reply(session, house, inquiry_id, words=form.words.data or "", actor=actor(), at=house.clock())
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "words"))
        return _page(inquiry_id, form, NoteForm(prefix="note-", said="noted"), 422)
    flash("The answer is on its way.", "good")
    return redirect(url_for("desk.inquiry_page", inquiry_id=inquiry_id), 303)


@desk.post("/inquiries/<inquiry_id>/note")
@staff_required(StaffRole.LICENSING)
def note_inquiry(inquiry_id: str) -> ResponseReturnValue:
    form, house = NoteForm(prefix="note-"), the_house()
    said = Said.ASKED if form.said.data == Said.ASKED else Said.NOTED
    try:
        with house.sessions.begin() as session:
            inquiries.note(session, inquiry_id, said=said, words=form.words.data or "", actor=actor(), at=house.clock())
    except InvalidRequest as error:
        form.blame(error)
        return _page(inquiry_id, ReplyForm(), form, 422)
    flash("It stands in the thread.", "good")
    return redirect(url_for("desk.inquiry_page", inquiry_id=inquiry_id), 303)


@desk.post("/inquiries/<inquiry_id>/take")
@staff_required(StaffRole.LICENSING)
def take_inquiry(inquiry_id: str) -> ResponseReturnValue:
    return _do(inquiry_id, lambda session: inquiries.take(session, inquiry_id, actor=actor(), at=the_house().clock()))


@desk.post("/inquiries/<inquiry_id>/close")
@staff_required(StaffRole.LICENSING)
def close_inquiry(inquiry_id: str) -> ResponseReturnValue:
    return _change(inquiry_id, InquiryState.CLOSED)


@desk.post("/inquiries/<inquiry_id>/open")
@staff_required(StaffRole.LICENSING)
def open_inquiry(inquiry_id: str) -> ResponseReturnValue:
    return _change(inquiry_id, InquiryState.OPEN)


def _change(inquiry_id: str, state: InquiryState) -> ResponseReturnValue:
    return _do(
        inquiry_id,
        lambda session: inquiries.change_state(session, inquiry_id, state, actor=actor(), at=the_house().clock()),
    )


def _do(inquiry_id: str, change: Callable[[Session], object]) -> ResponseReturnValue:
    with the_house().sessions.begin() as session:
        change(session)
    return redirect(url_for("desk.inquiry_page", inquiry_id=inquiry_id), 303)


def _page(inquiry_id: str, reply: ReplyForm, note: NoteForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        inquiry = inquiries.get_inquiry(session, inquiry_id)
    return render_template("desk/inquiry.html", inquiry=inquiry, reply=reply, note=note), status
