"""The checklist: facts and policy in, a verdict with its reason out, and no number or wording left to chance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syndicator.domain.eligibility import DomainFact, Facts, Figure, Measured, Policy, Requirement, Verdict, age_days, judge

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
POLICY = Policy(100_000, 180, require_verified_domain=True, required=frozenset(Requirement), lost_proof_days=30)
FIGURE = Figure("courier.example", date(2026, 6, 1), 120_000, shown=True)
FACTS = Facts(
    email_verified=True,
    domains=(DomainFact("courier.example", AT - timedelta(days=3)),),
    figures=(FIGURE,),
    about_url="https://courier.example/about",
    corrections_url="https://courier.example/corrections",
    contacts=frozenset({"editorial"}),
    use="On the national page.",
    passes_on=False,
)


def verdict(requirement: Requirement, facts: Facts, policy: Policy = POLICY, at: datetime = AT) -> Verdict:
    [item] = [item for item in judge(facts, policy, at).items if item.requirement is requirement]
    assert item.words
    assert bool(item.todo) == (item.verdict is not Verdict.PASS)
    return item.verdict


def test_a_publisher_of_which_everything_is_known_and_good_passes_every_item() -> None:
    judged = judge(FACTS, POLICY, AT)
    assert judged.complete
    assert (judged.passing, judged.audience) == (len(Requirement), 120_000)


@pytest.mark.parametrize(
    ("changes", "requirement", "expected"),
    [
        ({"email_verified": None}, Requirement.EMAIL, Verdict.UNKNOWN),
        ({"email_verified": False}, Requirement.EMAIL, Verdict.FAIL),
        ({"domains": ()}, Requirement.DOMAIN, Verdict.UNKNOWN),
        ({"domains": (DomainFact("courier.example", None),)}, Requirement.DOMAIN, Verdict.FAIL),
        ({"figures": ()}, Requirement.AUDIENCE, Verdict.UNKNOWN),
        ({"figures": (replace(FIGURE, unique_visitors=99_999),)}, Requirement.AUDIENCE, Verdict.FAIL),
        ({"figures": (replace(FIGURE, unique_visitors=100_000),)}, Requirement.AUDIENCE, Verdict.PASS),
        ({"figures": (replace(FIGURE, last_month=date(2025, 12, 1)),)}, Requirement.AUDIENCE, Verdict.UNKNOWN),
        ({"figures": (replace(FIGURE, site="other.example"),)}, Requirement.AUDIENCE, Verdict.UNKNOWN),
        ({"figures": (replace(FIGURE, shown=False),)}, Requirement.EVIDENCE, Verdict.FAIL),
        ({"figures": ()}, Requirement.EVIDENCE, Verdict.UNKNOWN),
        ({"about_url": None}, Requirement.ABOUT_PAGE, Verdict.UNKNOWN),
        ({"corrections_url": ""}, Requirement.CORRECTIONS_PAGE, Verdict.UNKNOWN),
        ({"contacts": frozenset({"technical"})}, Requirement.CONTACTS, Verdict.UNKNOWN),
        ({"use": None}, Requirement.USE, Verdict.UNKNOWN),
        ({"passes_on": None}, Requirement.NO_RESALE, Verdict.UNKNOWN),
        ({"passes_on": True}, Requirement.NO_RESALE, Verdict.FAIL),
    ],
)
def test_each_item_says_whether_it_fails_or_is_unknown(
    changes: dict[str, object], requirement: Requirement, expected: Verdict
) -> None:
    facts = replace(FACTS, **changes)  # type: ignore[arg-type]
    assert verdict(requirement, facts) is expected
    assert judge(facts, POLICY, AT).complete == (expected is Verdict.PASS)


def test_figures_of_several_sites_add_up_and_the_newest_of_each_counts() -> None:
    other = DomainFact("gazette.example", AT)
    older = Figure("courier.example", date(2026, 3, 1), 900_000, shown=True)
    facts = replace(
        FACTS,
        domains=(*FACTS.domains, other),
        figures=(FIGURE, older, Figure("gazette.example", date(2026, 5, 1), 5, shown=True)),
    )
    assert judge(facts, POLICY, AT).audience == 120_005


def test_a_proof_that_went_missing_counts_for_its_days_and_no_longer() -> None:
    lost = replace(FACTS, domains=(DomainFact("courier.example", AT, lost_at=AT),))
    assert verdict(Requirement.DOMAIN, lost, at=AT + timedelta(days=29)) is Verdict.PASS
    assert verdict(Requirement.DOMAIN, lost, at=AT + timedelta(days=30)) is Verdict.FAIL


def test_a_policy_without_proof_counts_figures_of_unproven_sites() -> None:
    policy = replace(POLICY, require_verified_domain=False)
    judged = judge(replace(FACTS, domains=(DomainFact("courier.example", None),)), policy, AT)
    assert judged.complete
    assert Requirement.DOMAIN not in {item.requirement for item in judged.items}


def test_only_what_the_policy_requires_is_asked() -> None:
    policy = replace(POLICY, required=frozenset({Requirement.AUDIENCE}))
    assert [item.requirement for item in judge(FACTS, policy, AT).items] == [Requirement.AUDIENCE]


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(0, 4000))
def test_age_counts_from_the_end_of_the_month(day: date, days: int) -> None:
    figure = replace(FIGURE, last_month=day.replace(day=1))
    first_of_next = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    at = datetime(first_of_next.year, first_of_next.month, 1, tzinfo=UTC) + timedelta(days=days)
    assert age_days(figure, at) == days


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_a_higher_floor_never_lets_anybody_in(visitors: int, floor: int, more: int) -> None:
    facts = replace(FACTS, figures=(replace(FIGURE, unique_visitors=visitors),))
    low, high = (replace(POLICY, minimum_monthly_audience=each) for each in (floor, floor + more))
    assert judge(facts, low, AT).complete or not judge(facts, high, AT).complete


@given(st.integers(0, 10**9), st.integers(0, 200_000))
def test_what_beacons_measured_is_shown_and_decides_nothing(views: int, visitors: int) -> None:
    facts = replace(FACTS, figures=(replace(FIGURE, unique_visitors=visitors),))
    measured = Measured(days=30, views=views, stories=1, hosts=(("courier.example", views),))
    plain, judged = judge(facts, POLICY, AT), judge(replace(facts, measured=measured), POLICY, AT)
    assert (judged.items, judged.audience, judged.complete) == (plain.items, plain.audience, plain.complete)
    assert judged.measured is not None
    assert (f"{views:,} views of 1 story" if views else "no views") in judged.measured.words
