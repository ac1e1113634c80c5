"""Eligibility as data: facts and a policy become a checklist that says of every item whether it passes, and why (not).

Pure: no query, no clock, no settings file. People decide; the list is what they decide from. `unknown` means that nothing was
given that could be judged, which is never taken for a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 -- a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


class Requirement(StrEnum):
    """What a policy may require. The names stand in settings and stored decisions, and are never renamed."""

    EMAIL = "email"
    DOMAIN = "domain"
    AUDIENCE = "audience"
    EVIDENCE = "evidence"
    ABOUT_PAGE = "about_page"
    CORRECTIONS_PAGE = "corrections_page"
    CONTACTS = "contacts"
    USE = "use"
    NO_RESALE = "no_resale"

    @property
    def heading(self) -> str:
        return _HEADINGS[self]


_HEADINGS = {
    Requirement.EMAIL: "E-mail address confirmed",
    Requirement.DOMAIN: "Sites proven",
    Requirement.AUDIENCE: "Large audience",
    Requirement.EVIDENCE: "Figures shown",
    Requirement.ABOUT_PAGE: "“About” page",
    Requirement.CORRECTIONS_PAGE: "Corrections page",
    Requirement.CONTACTS: "Contacts",
    Requirement.USE: "Use described",
    Requirement.NO_RESALE: "Not passed on",
}


@dataclass(frozen=True, slots=True)
class Policy:
    minimum_monthly_audience: int
    evidence_max_age_days: int
    require_verified_domain: bool
    required: frozenset[Requirement]
    lost_proof_days: int  # how long a proof that went missing still counts


@dataclass(frozen=True, slots=True)
class DomainFact:
    domain: str
    verified_at: datetime | None
    lost_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """Monthly unique visitors of one site. `shown`: a file or link backs the number."""

    site: str
    last_month: date
    unique_visitors: int
    shown: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Views of a publisher's copies as beacons counted them: a floor, since many sites strip them, and of our stories alone."""

    days: int
    views: int
    stories: int
    hosts: tuple[tuple[str, int], ...]  # the busiest first; `other` is every host that is not the publisher's own

    @property
    def words(self) -> str:
        if not self.views:
            return f"no views in {self.days} days; beacons are left out of many copies, so this says nothing by itself"
        count = f"{self.stories:,} {'story' if self.stories == 1 else 'stories'}"
        where = _listed(f"{host} {views:,}" for host, views in self.hosts)
        return f"{self.views:,} views of {count} in {self.days} days, at least ({where})"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a publisher. None: not asked, or not answered."""

    email_verified: bool | None
    domains: tuple[DomainFact, ...]
    figures: tuple[Figure, ...]
    about_url: str | None
    corrections_url: str | None
    contacts: frozenset[str]
    use: str | None
    passes_on: bool | None
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist. `todo` tells the applicant what would make it pass; empty once it does."""

    requirement: Requirement
    verdict: Verdict
    words: str
    todo: str = ""

    @property
    def heading(self) -> str:
        return self.requirement.heading


@dataclass(frozen=True, slots=True)
class Checklist:
    items: tuple[Item, ...]
    audience: int  # monthly unique visitors that counted
    measured: Measured | None = None  # shown beside what was declared; decides nothing: a few copies are no audience

    @property
    def complete(self) -> bool:
        """Whether every required item passes."""
        return all(item.verdict is Verdict.PASS for item in self.items)

    @property
    def passing(self) -> int:
        return sum(item.verdict is Verdict.PASS for item in self.items)

    @property
    def open(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.verdict is not Verdict.PASS)


def judge(facts: Facts, policy: Policy, at: datetime) -> Checklist:
    """Judge `facts` by `policy` at the instant `at`; only what the policy requires is on the list."""
    counted = counting(facts, policy, at)
    rules = {
        Requirement.EMAIL: _email(facts),
        Requirement.DOMAIN: _domains(facts, policy, at),
        Requirement.AUDIENCE: _audience(facts, counted, policy, at),
        Requirement.EVIDENCE: _evidence(counted),
        Requirement.ABOUT_PAGE: _page(Requirement.ABOUT_PAGE, facts.about_url, "Give the page that says who is behind the site."),
        Requirement.CORRECTIONS_PAGE: _page(
            Requirement.CORRECTIONS_PAGE, facts.corrections_url, "Give the page that says how you correct mistakes."
        ),
        Requirement.CONTACTS: _contacts(facts),
        Requirement.USE: _use(facts),
        Requirement.NO_RESALE: _no_resale(facts),
    }
    required = set(policy.required) - (set() if policy.require_verified_domain else {Requirement.DOMAIN})
    return Checklist(
        tuple(rule for requirement, rule in rules.items() if requirement in required),
        sum(figure.unique_visitors for figure in counted),
        facts.measured,
    )


def counting(facts: Facts, policy: Policy, at: datetime) -> list[Figure]:
    """Return the figures that count: the newest of each site, fresh, and of sites that are proven if the policy asks for that."""
    newest: dict[str, Figure] = {}
    for figure in sorted(facts.figures, key=lambda figure: figure.last_month):
        newest[figure.site] = figure
    proven = {fact.domain for fact in facts.domains if proof_holds(fact, policy, at)}
    return [
        figure
        for figure in newest.values()
        if age_days(figure, at) <= policy.evidence_max_age_days and (not policy.require_verified_domain or figure.site in proven)
    ]


def proof_holds(fact: DomainFact, policy: Policy, at: datetime) -> bool:
    """Whether a domain counts as proven: found once, and not missing for too long."""
    return fact.verified_at is not None and (fact.lost_at is None or at < fact.lost_at + timedelta(days=policy.lost_proof_days))


def age_days(figure: Figure, at: datetime) -> int:
    """Return how many days ago the last month of `figure` ended; 0 for a month that has not ended."""
    year, month = figure.last_month.year, figure.last_month.month
    ended = date(year + month // 12, month % 12 + 1, 1)
    return max((at.date() - ended).days, 0)


def _email(facts: Facts) -> Item:
    if facts.email_verified is None:
        return Item(Requirement.EMAIL, Verdict.UNKNOWN, "Nobody has an account.", "Open the link in the letter we sent.")
    if not facts.email_verified:
        return Item(Requirement.EMAIL, Verdict.FAIL, "Not confirmed.", "Open the link in the letter we sent.")
    return Item(Requirement.EMAIL, Verdict.PASS, "A member has confirmed the address.")


def _domains(facts: Facts, policy: Policy, at: datetime) -> Item:
    if not facts.domains:
        return Item(Requirement.DOMAIN, Verdict.UNKNOWN, "No site is named.", "Name the sites on which the stories will appear.")
    missing = [fact.domain for fact in facts.domains if not proof_holds(fact, policy, at)]
    if missing:
        todo = "Prove that the sites are yours, or take out those that are not."
        return Item(Requirement.DOMAIN, Verdict.FAIL, f"Not proven: {_listed(missing)}.", todo)
    lost = [fact.domain for fact in facts.domains if fact.lost_at is not None]
    if lost:
        return Item(Requirement.DOMAIN, Verdict.PASS, f"Proven; the proof of {_listed(lost)} has gone missing since.")
    return Item(Requirement.DOMAIN, Verdict.PASS, f"Proven: {_listed([fact.domain for fact in facts.domains])}.")


def _audience(facts: Facts, counted: Sequence[Figure], policy: Policy, at: datetime) -> Item:
    minimum = policy.minimum_monthly_audience
    total = sum(figure.unique_visitors for figure in counted)
    if total >= minimum:
        return Item(Requirement.AUDIENCE, Verdict.PASS, f"{total:,} unique visitors a month; {minimum:,} are asked for.")
    if not facts.figures:
        return Item(Requirement.AUDIENCE, Verdict.UNKNOWN, "No figures are given.", "Give the figures of your sites.")
    if not counted:
        stale = all(age_days(figure, at) > policy.evidence_max_age_days for figure in facts.figures)
        if stale:
            days = policy.evidence_max_age_days
            return Item(Requirement.AUDIENCE, Verdict.UNKNOWN, f"All figures are older than {days} days.", "Give newer figures.")
        return Item(
            Requirement.AUDIENCE, Verdict.UNKNOWN, "No figure is of a proven site.", "Prove the sites that the figures are of."
        )
    words = f"{total:,} unique visitors a month count; {minimum:,} are asked for."
    return Item(Requirement.AUDIENCE, Verdict.FAIL, words, "Give the figures of your other sites, if there are any.")


def _evidence(counted: Sequence[Figure]) -> Item:
    bare = [figure.site for figure in counted if not figure.shown]
    if not counted:
        return Item(
            Requirement.EVIDENCE, Verdict.UNKNOWN, "No figure counts yet.", "Give figures with a file or link that shows them."
        )
    if bare:
        todo = "Add a report, screenshot or public link for each figure."
        return Item(Requirement.EVIDENCE, Verdict.FAIL, f"Nothing shows the figures of {_listed(bare)}.", todo)
    return Item(Requirement.EVIDENCE, Verdict.PASS, "Each figure that counts has a file or link.")


def _page(requirement: Requirement, url: str | None, todo: str) -> Item:
    if not url:
        return Item(requirement, Verdict.UNKNOWN, "Not given.", todo)
    return Item(requirement, Verdict.PASS, url)


def _contacts(facts: Facts) -> Item:
    if "editorial" not in facts.contacts:
        todo = "Name somebody whom a correction or kill reaches at once."
        return Item(Requirement.CONTACTS, Verdict.UNKNOWN, "No editorial contact is named.", todo)
    return Item(Requirement.CONTACTS, Verdict.PASS, f"Named: {_listed(sorted(facts.contacts))}.")


def _use(facts: Facts) -> Item:
    if not facts.use:
        return Item(Requirement.USE, Verdict.UNKNOWN, "Not described.", "Say where and how the stories will appear.")
    return Item(Requirement.USE, Verdict.PASS, "Described.")


def _no_resale(facts: Facts) -> Item:
    if facts.passes_on is None:
        return Item(
            Requirement.NO_RESALE, Verdict.UNKNOWN, "Not answered.", "Say whether anybody else gets the stories from you."
        )
    if facts.passes_on:
        todo = "The license does not allow it; write to us about another one."
        return Item(Requirement.NO_RESALE, Verdict.FAIL, "The stories would be passed on to others.", todo)
    return Item(Requirement.NO_RESALE, Verdict.PASS, "Nobody else gets the stories from them.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
