"""The terms in the portal: read them, accept them for the publisher, see who accepted which version."""

from __future__ import annotations

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session
from wtforms import BooleanField, HiddenField, StringField

from syndicator.domain.accounts import MemberRole
from syndicator.domain.publishers import Publisher
from syndicator.domain.terms import LicenseVersion
from syndicator.errors import Conflict, InvalidForm, InvalidRequest
from syndicator.operations import audit, terms
from syndicator.render.notice import notice_html
from syndicator.storage.engine import reading
from syndicator.web.forms import PageForm
from syndicator.web.guard import actor, browser, member_required, mine
from syndicator.web.identity import the_house
from syndicator.web.portal.blueprint import portal


class TermsForm(PageForm):
    version = HiddenField()
    signer = StringField("Your name and position", render_kw={"autocomplete": "name"})
    agree = BooleanField("I may do this for the publisher, and I accept these terms for it.")

    def require_all(self) -> None:
        """Raise InvalidForm that names everything that is missing, so that nobody is sent back twice."""
        faults = {} if self.agree.data else {"agree": "Please tick this, or leave the page."}
        if not (self.signer.data or "").strip():
            faults["signer"] = "Say who signs: your name and position."
        if faults:
            raise InvalidForm(faults)


@portal.get("/terms")
@member_required()
def terms_page() -> ResponseReturnValue:
    return _page(TermsForm(version=the_house().config.license.version)), 200


@portal.post("/terms")
@member_required(MemberRole.OWNER)
def accept_terms() -> ResponseReturnValue:
    form, house, at = TermsForm(), the_house(), the_house().clock()
    try:
        form.require_all()
        with house.sessions.begin() as session:
            publisher = session.get_one(Publisher, mine().publisher_id, with_for_update={"of": Publisher})
            where = browser()
            terms.accept(
                session,
                house.config,
                publisher,
                license_version=form.version.data or "",
                accepted_by=actor(),
                signer=form.signer.data or "",
                at=at,
                address=request.remote_addr or "",
                agent=where.agent,
            )
            audit.record(
                session, actor(), "terms.accept", publisher.public_id, at=at, version=form.version.data, signer=form.signer.data
            )
    except InvalidForm as error:
        form.blame_all(error)
        return _page(form), 422
    except (InvalidRequest, Conflict) as error:
        form.blame(error if isinstance(error, InvalidRequest) else InvalidRequest(str(error), "agree"))
        form.version.data = house.config.license.version
        return _page(form), 422
    flash("Thank you. The terms are accepted.", "good")
    return redirect("/portal/", 303)


def _page(form: TermsForm) -> str:
    house = the_house()
    with reading(house.sessions) as session:
        publisher = session.get_one(Publisher, mine().publisher_id)
        kept = terms.acceptances_of(session, publisher.id)
        signed = _duties_signed(session, publisher)
    return render_template(
        "portal/terms.html",
        publisher=publisher,
        form=form,
        accepted=publisher.terms_version == house.config.license.version,
        acceptances=kept,
        notice=Markup(notice_html(house.terms)),  # noqa: S704 -- the renderer escapes what it is made of
        duties=house.config.license.duties,
        fresh=set(house.config.license.duties) - signed if signed else set(),
        gone=sorted(signed - set(house.config.license.duties)),
        may_accept=mine().role is MemberRole.OWNER,
    )


def _duties_signed(session: Session, publisher: Publisher) -> set[str]:
    """The duties of the version the publisher accepted last, to show what a new one changes; nothing before the first."""
    signed = session.get(LicenseVersion, publisher.terms_version)
    return set(signed.duties) if signed is not None else set()
