"""Proof of domains over time: found, looked for again, gone missing, back; one publisher's token is worth nothing to another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from syndicator import config
from syndicator.domain.eligibility import Requirement, Verdict, judge
from syndicator.domain.publishers import Publisher, PublisherDomain, PublisherState
from syndicator.errors import Conflict, NotFound
from syndicator.house import House
from syndicator.operations import apply, decide, prove_domains
from syndicator.operations.eligibility import facts_of, policy_of
from syndicator.outbound import Outbound
from syndicator.proof import Prover
from tests.applicants import Applicants
from tests.clocks import HandClock
from tests.desk import Desk
from tests.name_server import NameServer


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def prover(names: NameServer) -> Prover:
    return Prover(Outbound(config.Outbound(), "test", resolve=lambda _host, _port: []), names.resolver())


def begun(house: House, publisher: Publisher) -> PublisherDomain:
    """Give the publisher's first site a token and ask for a check."""
    with house.sessions.begin() as session:
        domain = prove_domains.get_domain(session, publisher.id, publisher.domains[0].domain)
        prove_domains.give_token(domain, at=house.clock())
        return prove_domains.want_check(session, publisher.id, domain.domain, at=house.clock())


def stored(session: Session, domain: PublisherDomain) -> PublisherDomain:
    return session.get_one(PublisherDomain, domain.id, populate_existing=True)


def record(domain: PublisherDomain) -> str:
    return f"_syndicator-challenge.{domain.domain}"


def verdict(house: House, session: Session, publisher: Publisher) -> Verdict:
    found = session.get_one(Publisher, publisher.id, populate_existing=True)
    for domain in found.domains:
        session.refresh(domain)
    judged = judge(facts_of(session, [found], at=house.clock())[found.id], policy_of(house.config), house.clock())
    return next(item.verdict for item in judged.items if item.requirement is Requirement.DOMAIN)


def test_a_proof_is_found_kept_missed_and_found_again(
    house: House, desk: Desk, clock: HandClock, names: NameServer, prover: Prover
) -> None:
    publisher = desk.publisher()
    domain = begun(house, publisher)
    assert prove_domains.check_due(house, prover) == 1
    with house.sessions() as session:
        missing = stored(session, domain)
        assert missing.verified_at is None
        assert "there is no TXT record" in missing.check_words
        assert (missing.check_wanted_at, missing.check_due_at) == (None, None)
    assert prove_domains.check_due(house, prover) == 0

    names.texts = {record(domain): [domain.proof_token]}
    begun(house, publisher)
    assert prove_domains.check_due(house, prover) == 1
    with house.sessions() as session:
        proven = stored(session, domain)
        assert (proven.verified_at, proven.verified_by, proven.proof_expires_at) == (clock.now, "dns", None)
        assert verdict(house, session, publisher) is Verdict.PASS

    proven_at = clock.now
    clock.advance(timedelta(days=8))
    names.texts = {}
    assert prove_domains.check_due(house, prover) == 1
    with house.sessions() as session:
        lost = stored(session, domain)
        assert (lost.verified_at, lost.lost_at) == (proven_at, clock.now)
        assert session.get_one(Publisher, publisher.id).state is PublisherState.APPROVED  # reported, not punished
        assert verdict(house, session, publisher) is Verdict.PASS
    clock.advance(timedelta(days=31))
    with house.sessions() as session:
        assert verdict(house, session, publisher) is Verdict.FAIL

    names.texts = {record(domain): [domain.proof_token]}
    assert prove_domains.check_due(house, prover) == 1
    with house.sessions() as session:
        assert stored(session, domain).lost_at is None
        assert verdict(house, session, publisher) is Verdict.PASS


def test_a_token_is_worth_nothing_to_another_publisher(house: House, desk: Desk, names: NameServer, prover: Prover) -> None:
    owner, other = desk.publisher(approved=False), desk.publisher(approved=False)
    with house.sessions.begin() as session:
        session.add(PublisherDomain(publisher_id=other.id, domain=owner.domains[0].domain))
    mine = begun(house, owner)
    with house.sessions.begin() as session:
        theirs = prove_domains.get_domain(session, other.id, mine.domain)
        prove_domains.give_token(theirs, at=house.clock())
        prove_domains.want_check(session, other.id, mine.domain, at=house.clock())
    names.texts = {record(mine): [mine.proof_token]}
    assert prove_domains.check_due(house, prover) == 2
    with house.sessions() as session:
        assert stored(session, mine).verified_at is not None
        assert stored(session, theirs).verified_at is None
        assert "another site or account" in stored(session, theirs).check_words


def test_a_token_that_is_over_is_replaced_and_no_longer_counts(
    house: House, desk: Desk, clock: HandClock, names: NameServer, prover: Prover
) -> None:
    publisher = desk.publisher(approved=False)
    old = begun(house, publisher).proof_token
    clock.advance(timedelta(days=31))
    with house.sessions.begin() as session, pytest.raises(Conflict, match="too old"):
        prove_domains.want_check(session, publisher.id, publisher.domains[0].domain, at=clock.now)
    domain = begun(house, publisher)
    assert domain.proof_token != old
    names.texts = {record(domain): [old]}
    prove_domains.check_due(house, prover)
    with house.sessions() as session:
        assert stored(session, domain).verified_at is None


def test_a_token_replaced_while_a_check_runs_makes_its_answer_worthless(house: House, desk: Desk, names: NameServer) -> None:
    publisher = desk.publisher(approved=False)
    domain = begun(house, publisher)
    names.texts = {record(domain): [domain.proof_token]}

    def meanwhile(_host: str, _port: int) -> list[str]:
        with house.sessions.begin() as session:
            stored(session, domain).proof_token = prove_domains.new_token()
        return []

    names.texts = {}
    prove_domains.check_due(house, Prover(Outbound(config.Outbound(), "test", resolve=meanwhile), names.resolver()))
    with house.sessions() as session:
        assert stored(session, domain).check_words == ""


def test_another_publishers_site_is_not_found(house: House, desk: Desk) -> None:
    mine, theirs = desk.publisher(), desk.publisher()
    with house.sessions.begin() as session, pytest.raises(NotFound):
        prove_domains.want_check(session, mine.id, theirs.domains[0].domain, at=house.clock())


def test_sites_of_those_who_were_turned_away_are_left_alone(house: House, desk: Desk, prover: Prover) -> None:
    publisher = desk.publisher(approved=False)
    begun(house, publisher)
    desk.move(publisher, PublisherState.DECLINED)
    assert prove_domains.check_due(house, prover) == 0


def test_who_applies_again_after_a_no_is_looked_at_again(house: House, prover: Prover) -> None:
    applicants = Applicants(house)
    application = applicants.submitted(proven=False)
    [site] = application.answers["sites"]
    with house.sessions.begin() as session:
        decide.decline(
            session,
            house,
            application.public_id,
            version=application.version,
            reason="Nothing is proven.",
            letter="[reason]",
            reviewer="rita@newsroom.example",
            at=house.clock(),
        )
        apply.begin_again(session, application.publisher_id, actor=application.applicant, at=house.clock())
        prove_domains.want_check(session, application.publisher_id, site, at=house.clock())
    assert prove_domains.check_due(house, prover) == 1


def test_a_site_that_never_answers_holds_up_no_other(house: House, desk: Desk, names: NameServer) -> None:
    slow, quick = desk.publisher(approved=False), desk.publisher(approved=False)
    answered = threading.Event()

    def resolve(host: str, _port: int) -> list[str]:
        if host.removeprefix("www.") == slow.domains[0].domain:
            assert answered.wait(20)
        else:
            answered.set()
        return []

    for publisher in (slow, quick):
        begun(house, publisher)
    prover = Prover(Outbound(config.Outbound(connect_timeout_seconds=30), "test", resolve=resolve), names.resolver())
    assert prove_domains.check_due(house, prover) == 2
