"""Agreements at the desk: recorded for a publisher, given another end, ended. Days are of UTC; the last day is included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField, DateField, IntegerField, SelectField, SelectMultipleField, StringField, TextAreaField

from syndicator.domain.accounts import StaffRole
from syndicator.domain.agreements import Agreement, QuotaPeriod
from syndicator.domain.publishers import Publisher
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.operations import agreements
from syndicator.operations.publishers import get_publisher
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house

PERIODS = {period.value: "the whole term" if period is QuotaPeriod.TERM else f"a {period.value}" for period in QuotaPeriod}
YEAR = timedelta(days=364)


class AgreementForm(PageForm):
    title = StringField("Title", description="What people call it, such as the contract's number.", render_kw={"required": True})
    valid_from = DateField("First day")
    valid_until = DateField("Last day")
    feeds = SelectMultipleField("Feeds", validate_choice=False)
    sections = StringField("Sections", description="Separated by commas.")
    stories = StringField("Stories", description="Their ids or addresses, separated by commas.")
    quota = IntegerField("Stories at most", description="Left out, there is no limit.", render_kw={"min": 1})
    quota_period = SelectField("In", choices=PERIODS, default=QuotaPeriod.TERM.value, validate_choice=False)
    territory = StringField("Where the stories may be used", description="In words. It binds, but no machine checks it.")
    fee_note = TextAreaField("What is paid", description="In words.", render_kw={"rows": 2})
    embargo_trusted = BooleanField("May have stories it covers before their embargo ends")


class EndForm(PageForm):
    reason = TextAreaField("Why", description="It is kept in the audit log.", render_kw={"rows": 2, "required": True})


class TermForm(EndForm):
    valid_until = DateField("Last day", render_kw={"required": True})


@desk.get("/publishers/<publisher_id>/agreements/new")
@staff_required(StaffRole.LICENSING)
def new_agreement_page(publisher_id: str) -> ResponseReturnValue:
    today = the_house().clock().date()
    return _new_page(publisher_id, AgreementForm(valid_from=today, valid_until=today + YEAR), 200)


@desk.post("/publishers/<publisher_id>/agreements/new")
@staff_required(StaffRole.LICENSING, lately=True)
def add_agreement(publisher_id: str) -> ResponseReturnValue:
    form, house = AgreementForm(), the_house()
    try:
        with house.sessions.begin() as session:
            made = agreements.add_agreement(
                session,
                house,
                _publisher(session, publisher_id),
                title=form.title.data or "",
                valid_from=_begin(form.valid_from.data, "valid_from"),
                valid_until=_end(form.valid_until.data),
                feeds=form.feeds.data or (),
                sections=_names(form.sections.data),
                stories=_names(form.stories.data),
                territory=form.territory.data or "",
                fee_note=form.fee_note.data or "",
                quota=_quota(form.quota),
                quota_period=_period(form.quota_period.data),
                embargo_trusted=form.embargo_trusted.data,
                actor=actor(),
                at=house.clock(),
            )
            flash(f"“{made.title}” is recorded.", "good")
    except InvalidRequest as error:
        form.blame(InvalidRequest(str(error), "feeds") if error.field == "scope" else error)
        return _new_page(publisher_id, form, 422)
    except NotFound as error:
        form.blame(InvalidRequest(str(error), "stories"))
        return _new_page(publisher_id, form, 422)
    return _back(publisher_id)


@desk.get("/publishers/<publisher_id>/agreements/<agreement_id>/term")
@staff_required(StaffRole.LICENSING)
def term_page(publisher_id: str, agreement_id: str) -> ResponseReturnValue:
    agreement = _read(publisher_id, agreement_id)
    return _change_page(agreement, TermForm(valid_until=(agreement.valid_until - timedelta(seconds=1)).date()), 200)


@desk.post("/publishers/<publisher_id>/agreements/<agreement_id>/term")
@staff_required(StaffRole.LICENSING, lately=True)
def move_term(publisher_id: str, agreement_id: str) -> ResponseReturnValue:
    """Let an agreement last longer or shorter."""
    form = TermForm()

    def move(session: Session, at: datetime) -> str:
        until, reason = _end(form.valid_until.data), form.reason.data or ""
        moved = agreements.move_end(session, agreement_id, valid_until=until, reason=reason, actor=actor(), at=at)
        return f"“{moved.title}” has another end."

    return _change(publisher_id, agreement_id, form, move)


@desk.get("/publishers/<publisher_id>/agreements/<agreement_id>/end")
@staff_required(StaffRole.LICENSING)
def end_page(publisher_id: str, agreement_id: str) -> ResponseReturnValue:
    return _change_page(_read(publisher_id, agreement_id), EndForm(), 200)


@desk.post("/publishers/<publisher_id>/agreements/<agreement_id>/end")
@staff_required(StaffRole.LICENSING, lately=True)
def end_agreement(publisher_id: str, agreement_id: str) -> ResponseReturnValue:
    """End an agreement now; what it opened is refused from this moment on."""
    form = EndForm()

    def end(session: Session, at: datetime) -> str:
        ended = agreements.end_agreement(session, agreement_id, reason=form.reason.data or "", actor=actor(), at=at)
        return f"“{ended.title}” has ended."

    return _change(publisher_id, agreement_id, form, end)


def _change(
    publisher_id: str, agreement_id: str, form: EndForm, change: Callable[[Session, datetime], str]
) -> ResponseReturnValue:
    """Make one change in a transaction and say what was done, or why not."""
    house, agreement = the_house(), _read(publisher_id, agreement_id)
    try:
        with house.sessions.begin() as session:
            words = change(session, house.clock())
        flash(words, "good")
    except InvalidRequest as error:
        form.blame(error)
        return _change_page(agreement, form, 422)
    except Conflict as error:
        flash(str(error), "bad")
    return _back(publisher_id)


def _read(publisher_id: str, agreement_id: str) -> Agreement:
    with reading(the_house().sessions) as session:
        publisher = _publisher(session, publisher_id)
        return agreements.get_agreement(session, agreement_id, publisher_id=publisher.id)


def _publisher(session: Session, public_id: str) -> Publisher:
    publisher = get_publisher(session, public_id)
    if publisher.public_id != public_id:
        raise NotFound(f"there is no publisher {public_id!r}")
    return publisher


def _new_page(publisher_id: str, form: AgreementForm, status: int) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        publisher = _publisher(session, publisher_id)
    form.feeds.choices = [(feed.name, feed.title) for feed in the_house().catalogue]
    return render_template("desk/agreement_new.html", publisher=publisher, form=form), status


def _change_page(agreement: Agreement, form: EndForm, status: int) -> ResponseReturnValue:
    ends = not isinstance(form, TermForm)
    return render_template("desk/agreement_change.html", agreement=agreement, form=form, ends=ends), status


def _back(publisher_id: str) -> ResponseReturnValue:
    return redirect(url_for("desk.publisher_page", publisher_id=publisher_id, _anchor="agreements"), 303)


def _begin(day: date | None, field: str) -> datetime:
    if day is None or not 1970 < day.year < 9000:
        raise InvalidRequest("is needed, as a day such as 2026-07-21", field)
    return datetime.combine(day, time(tzinfo=UTC))


def _end(day: date | None) -> datetime:
    """Return the instant at which the day is over."""
    return _begin(day, "valid_until") + timedelta(days=1)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _quota(field: IntegerField) -> int | None:
    if field.data is None and any(value.strip() for value in field.raw_data or ()):
        raise InvalidRequest("must be a whole number", "quota")
    number: int | None = field.data
    if number is not None and number > 10**9:
        raise InvalidRequest("at most 1,000,000,000", "quota")
    return number


def _period(text: str | None) -> QuotaPeriod:
    try:
        return QuotaPeriod(text or QuotaPeriod.TERM)
    except ValueError as error:
        raise InvalidRequest("choose a period", "quota_period") from error
