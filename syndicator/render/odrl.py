"""The license as ODRL 2.2 policies in JSON-LD: an Offer to publishers, and one about text and data mining (TDMRep).

An Offer grants nothing by itself; the right exists only for an approved publisher. ODRL has no word for a large audience, so the
operand is our own, named in the profile that every policy refers to. What else it has no word for is said in words, as Dublin
Core terms (`dct:`), which its context knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syndicator.render.entry import Terms
from syndicator.render.plain import rfc3339

CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
TDM_CONTEXT = "http://www.w3.org/ns/tdmrep.jsonld"
OFFER_PATH = "/policies/license.json"
TDM_POLICY_PATH = "/policies/tdm.json"
USES = ("reproduce", "distribute", "display")
NEVER = ("sell", "grantUse")


def license_offer(terms: Terms, duties: Sequence[str], minimum_audience: int | None = None) -> dict[str, Any]:
    """Return the free-use license as an Offer to approved publishers, of at least `minimum_audience` monthly unique visitors."""
    profile = f"{terms.base_url}/license"
    stories = f"{terms.base_url}/stories/"
    publishers: dict[str, Any] = {"@type": "PartyCollection", "source": terms.apply_url}
    if minimum_audience is not None:
        large = _constraint(f"{profile}#monthlyUniqueVisitors", "gteq", str(minimum_audience), "integer")
        publishers["refinement"] = [large]
    return {
        "@context": CONTEXT,
        "@type": "Offer",
        "uid": terms.license_url,
        "profile": profile,
        "conflict": "prohibit",
        "dct:title": f"{terms.license_title}, version {terms.license_version}",
        "dct:description": "\n".join(duties),
        "assigner": terms.base_url,
        "permission": [{"target": stories, "action": list(USES), "assignee": publishers, "duty": _duties(terms)}],
        "prohibition": [{"target": stories, "action": list(NEVER)}],
        "obligation": [_removal(stories, terms)],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What one publisher holds: the free-use license by its approval, or an agreement of its own."""

    uid: str  # absolute address of the policy
    title: str
    holder: str  # the publisher's id with us, as a URN
    holder_name: str
    targets: tuple[str, ...]  # addresses of what may be used
    valid_from: datetime
    valid_until: datetime
    territory: str = ""
    fee_note: str = ""
    stories: int | None = None  # at most so many
    period: str = ""


def agreement(terms: Terms, granted: Granted) -> dict[str, Any]:
    """Return what was granted to one publisher as an Agreement. What ODRL has no word for is said in words."""
    profile = f"{terms.base_url}/license"
    when = [
        _constraint("dateTime", "gteq", rfc3339(granted.valid_from), "dateTime"),
        _constraint("dateTime", "lt", rfc3339(granted.valid_until), "dateTime"),
    ]
    if granted.stories is not None:
        counted = _constraint("count", "lteq", str(granted.stories), "integer")
        when.append(counted | {"unit": {"@id": f"{profile}#stories-per-{granted.period}"}})
    said = {"dct:description": granted.fee_note, "dct:coverage": granted.territory}
    return {
        "@context": CONTEXT,
        "@type": "Agreement",
        "uid": granted.uid,
        "profile": profile,
        "conflict": "prohibit",
        "dct:title": granted.title,
        **{name: text for name, text in said.items() if text},
        "assigner": terms.base_url,
        "assignee": {"uid": granted.holder, "vcard:fn": granted.holder_name},
        "permission": [
            {"target": target, "action": list(USES), "constraint": when, "duty": _duties(terms)} for target in granted.targets
        ],
        "prohibition": [{"target": target, "action": list(NEVER)} for target in granted.targets],
        "obligation": [_removal(target, terms) for target in granted.targets],
    }


def _constraint(operand: str, operator: str, value: str, kind: str) -> dict[str, Any]:
    typed = {"@value": value, "@type": f"http://www.w3.org/2001/XMLSchema#{kind}"}
    return {"leftOperand": operand, "operator": operator, "rightOperand": typed}


def _removal(target: str, terms: Terms) -> dict[str, Any]:
    """Return the duty to delete what was killed or taken down."""
    withdrawn = {"leftOperand": "event", "operator": "gt", "rightOperand": {"@id": f"{terms.base_url}/license#withdrawal"}}
    return {"target": target, "action": "delete", "constraint": [withdrawn]}


def _duties(terms: Terms) -> list[dict[str, Any]]:
    return [
        {"action": "attribute", "attributedParty": terms.base_url},
        {"action": "include", "target": f"{terms.base_url}/license#notice-{terms.notice_version}"},
    ]


def tdm_policy(terms: Terms) -> dict[str, Any]:
    """Return the policy that `tdmrep.json` points at: mining only with our consent, and whom to ask for it."""
    return {
        "@context": [CONTEXT, TDM_CONTEXT],
        "@type": "Offer",
        "uid": f"{terms.base_url}{TDM_POLICY_PATH}",
        "profile": "http://www.w3.org/ns/tdmrep",
        "assigner": {
            "uid": terms.base_url,
            "vcard:fn": terms.newsroom,
            "vcard:hasEmail": f"mailto:{terms.contact_email}",
            "vcard:hasURL": terms.apply_url,
        },
        "permission": [
            {"target": f"{terms.base_url}/", "action": "tdm:mine", "duty": [{"action": "obtainConsent"}]},
        ],
    }
