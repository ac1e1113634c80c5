"""Applicants for tests: a whole application, from the form to the desk's queue, by the operations that the pages use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syndicator.domain.answers import read_answers
from syndicator.domain.applications import Application
from syndicator.domain.letters import Letter
from syndicator.domain.publishers import Publisher, PublisherDomain
from syndicator.house import House
from syndicator.operations import apply, decide, evidence
from syndicator.operations.evidence import FigureGiven, Upload
from syndicator.operations.sign_in import browser_of

ANSWERS = {
    "organisation": "Courier Media",
    "sites": "courier.example",
    "about_url": "https://courier.example/about",
    "corrections_url": "https://courier.example/corrections",
    "editorial_name": "Lena Ortiz",
    "editorial_email": "desk@courier.example",
    "use": "On the national page, with byline and notice.",
    "passes_on": "no",
    "ai_use": "none",
}
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Applicants:
    """Each call is a transaction of its own."""

    house: House

    def draft(self, **answers: str) -> Application:
        """Fill in the form of a new organisation and follow the letter's link."""
        number = next(_numbers)
        own = {
            "organisation": f"Courier {number}",
            "sites": f"courier{number}.example",
            "editorial_email": f"desk@courier{number}.example",
        }
        read = read_answers(ANSWERS | own | answers)
        house, at = self.house, self.house.clock()
        email = f"lena@courier{number}.example"
        with house.sessions.begin() as session:
            apply.request_application(session, house, email, read, browser_of(f"192.0.2.{number % 250}", "Test"), at=at)
        with house.sessions.begin() as session:
            _, application = apply.confirm(session, self.token(session, email), at=at)
        return application

    def token(self, session: Session, email: str) -> str:
        """The token in the newest letter to `email`."""
        letter = session.scalars(select(Letter).where(Letter.recipient == email).order_by(Letter.id.desc()).limit(1)).one()
        found = re.search(r"syn_link_\w+", self.house.vault.unlock(letter.secret or ""))
        assert found
        return found[0]

    def submitted(self, *, visitors: int = 120_000, proven: bool = True, **answers: str) -> Application:
        application = self.draft(**answers)
        with self.house.sessions.begin() as session:
            mine = apply.changeable_application(session, application.publisher_id)
            if proven:
                self.prove(session, mine.publisher_id)
            self.figure(session, mine, unique_visitors=visitors)
            apply.submit(session, self.house, mine, actor=mine.applicant, at=self.house.clock())
        return self.stored(application)

    def prove(self, session: Session, publisher_id: int) -> None:
        for domain in session.scalars(select(PublisherDomain).where(PublisherDomain.publisher_id == publisher_id)):
            domain.verified_at, domain.verified_by, domain.proof_expires_at = self.house.clock(), "dns", None

    def figure(self, session: Session, application: Application, *, upload: bool = True, **changes: Any) -> None:
        site = application.answers["sites"][0]
        given = {"site": site, "first_month": date(2026, 4, 1), "last_month": date(2026, 6, 1), "unique_visitors": 120_000}
        figure = FigureGiven(**(given | {"page_views": None, "source": "Analytics", "link": ""} | changes))
        file = Upload("report.pdf", PDF + site.encode() + b"\n%%EOF") if upload else None
        actor, at = application.applicant, self.house.clock()
        evidence.add_figure(session, self.house.config, application, figure, file, actor=actor, at=at)

    def stored(self, application: Application) -> Application:
        """The application as it stands now."""
        with self.house.sessions() as session:
            return session.get_one(Application, application.id)

    def approved(self, **changes: Any) -> Publisher:
        """A publisher that has been through it all."""
        application = self.submitted(**changes)
        with self.house.sessions.begin() as session:
            decide.approve(
                session,
                self.house,
                application.public_id,
                version=application.version,
                reason="a large audience",
                letter="Welcome.",
                reviewer="rita@newsroom.example",
                at=self.house.clock(),
            )
            return session.get_one(Publisher, application.publisher_id)
