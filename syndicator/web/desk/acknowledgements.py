"""Acknowledged kills at the desk: who has not said to have acted, and whom to call about it."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField

from syndicator.domain.accounts import StaffRole
from syndicator.errors import InvalidRequest
from syndicator.operations.acknowledge import pending_acknowledgements
from syndicator.operations.publishers import get_publisher, put_on_phone_list
from syndicator.storage.engine import reading
from syndicator.web.desk.blueprint import desk
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, staff_required
from syndicator.web.identity import the_house


class PhoneListForm(PageForm):
    contact = StringField("Name and telephone number", description="Whom to call when a kill is not acknowledged.")
    email = StringField("E-mail address", description="Reminders go here too, from the second on.", render_kw={"type": "email"})


@desk.get("/acknowledgements")
@staff_required()
def acknowledgements_page() -> ResponseReturnValue:
    """The longest waiting first."""
    with reading(the_house().sessions) as session:
        return render_template("desk/acknowledgements.html", pending=pending_acknowledgements(session))


@desk.get("/publishers/<publisher_id>/phone-list")
@staff_required(StaffRole.LICENSING)
def phone_list_page(publisher_id: str) -> ResponseReturnValue:
    with reading(the_house().sessions) as session:
        publisher = get_publisher(session, publisher_id)
    form = PhoneListForm(data={"contact": publisher.urgent_contact, "email": publisher.urgent_email})
    return render_template("desk/phone_list.html", publisher=publisher, form=form)


@desk.post("/publishers/<publisher_id>/phone-list")
@staff_required(StaffRole.LICENSING)
def put_on_list(publisher_id: str) -> ResponseReturnValue:
    form, house = PhoneListForm(), the_house()
    try:
        with house.sessions.begin() as session:
            email, contact, at = form.email.data or "", form.contact.data or "", house.clock()
            publisher = get_publisher(session, publisher_id, lock=True)
            put_on_phone_list(session, publisher, email=email, contact=contact, actor=actor(), at=at)
    except InvalidRequest as error:
        form.blame(error)
        with reading(house.sessions) as session:
            publisher = get_publisher(session, publisher_id)
        return render_template("desk/phone_list.html", publisher=publisher, form=form), 422
    flash("Written down.", "good")
    return redirect(url_for("desk.publisher_page", publisher_id=publisher.public_id), 303)
