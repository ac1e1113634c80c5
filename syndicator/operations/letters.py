"""Writing letters: a template of `syndicator/letters/templates` becomes a row in the caller's transaction; post_office sends it.

A letter NAME is `NAME.txt`, whose first line is the subject, and `NAME.html`. Both get the same values. What a person wrote goes
in as a value (`note.txt` prints `words`) and never becomes a template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

import syndicator
from syndicator.domain.base import new_id
from syndicator.domain.letters import SECRET_MARK, Letter, LetterState
from syndicator.domain.publishers import Publisher
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.operations import audit

if TYPE_CHECKING:  # a process that writes no letter need not hold it
    from jinja2 import Environment

TEMPLATES = Path(syndicator.__file__).parent / "letters" / "templates"
LONGEST_SUBJECT = 180
_EMAIL = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]{1,189}")


def write_letter(
    session: Session,
    house: House,
    kind: str,
    *,
    to: str,
    at: datetime,
    secret: str | None = None,
    publisher: Publisher | None = None,
    about: str = "",
    reply_to: str = "",
    **values: object,
) -> Letter:
    """Write the letter `kind` to `to`; it is owed from the commit on. `about` is the public id of an application or inquiry.

    `secret` is an address only its reader may see: templates print it as `{{ secret }}`, staff sees a mark in its place.
    Raises InvalidRequest for an address that no letter can go to.
    """
    site = house.config.site
    given = {
        **values,
        "to": to,
        "secret": SECRET_MARK,
        "site": site,
        "contact_email": house.config.notice.contact_email,
        "zone": ZoneInfo(site.timezone),
    }
    head, _, text = _templates().get_template(f"{kind}.txt").render(given).lstrip().partition("\n")
    letter = Letter(
        public_id=new_id("let_"),
        message_id=f"<{new_id('', 24)}@{site.authority}>",
        kind=kind,
        recipient=read_email(to),
        reply_to=read_email(reply_to) if reply_to else "",
        subject=one_line(head, LONGEST_SUBJECT),
        text=text.strip() + "\n",
        html=_templates().get_template(f"{kind}.html").render(given | {"subject": one_line(head, LONGEST_SUBJECT)}),
        secret=house.vault.lock(secret) if secret else None,
        publisher_id=publisher.id if publisher else None,
        about=about,
        created_at=at,
        next_attempt_at=at,
    )
    session.add(letter)
    session.flush()
    return letter


def write_note(
    session: Session, house: House, publisher: Publisher, heading: str, words: str, *, at: datetime, about: str = ""
) -> None:
    """Write `words` to `publisher`'s address; answers go to the licensing team. `about`: the publisher itself unless given."""
    write_letter(
        session,
        house,
        "note",
        to=publisher.email,
        at=at,
        publisher=publisher,
        about=about or publisher.public_id,
        reply_to=house.config.notice.contact_email,
        heading=heading,
        words=words,
    )


def read_email(text: str) -> str:
    """Return an e-mail address that is one and nothing else; raises InvalidRequest naming the field `email`."""
    email = text.strip()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InvalidRequest("That is no e-mail address.", "email")
    return email


def one_line(text: str, most: int) -> str:
    """Return `text` as one printable line, so that it cannot begin a header of its own (CWE-93)."""
    return "".join(mark for mark in " ".join(text.split()) if mark.isprintable())[:most]


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["day"] = lambda at, zone: f"{at.astimezone(zone):%B} {at.astimezone(zone).day}, {at.astimezone(zone).year}"
    templates.filters["paragraphs"] = lambda text: [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    return templates


def newest_letters(session: Session, *, state: LetterState | None, before: int | None, limit: int) -> Sequence[Letter]:
    """Return letters, newest first; `before` is the row id of the last one seen."""
    wanted = select(Letter).order_by(Letter.id.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(Letter.state == state)
    if before is not None:
        wanted = wanted.where(Letter.id < before)
    return session.scalars(wanted).all()


def get_letter(session: Session, public_id: str, *, lock: bool = False) -> Letter:
    wanted = select(Letter).where(Letter.public_id == public_id)
    letter = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if letter is None:
        raise NotFound(f"there is no letter {public_id!r}")
    return letter


def try_again(session: Session, public_id: str, *, actor: str, at: datetime) -> Letter:
    """Owe a failed letter anew; raises NotFound, and Conflict for one that has not failed."""
    letter = get_letter(session, public_id, lock=True)
    if letter.state is not LetterState.FAILED:
        raise Conflict(f"this letter has not failed; it is {letter.state.value}")
    letter.state, letter.attempts, letter.next_attempt_at = LetterState.OWED, 0, at
    audit.record(session, actor, "letter.try_again", letter.public_id, at=at)
    return letter
