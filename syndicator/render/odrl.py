"""The license as ODRL 2.2 policies in JSON-LD: an Offer to publishers, and one about text and data mining (TDMRep).

An Offer grants nothing by itself; the right exists only for an approved publisher. ODRL has no word for a large audience, so the
operand is our own, named in the profile that every policy refers to.
"""

from __future__ import annotations

from typing import Any

from syndicator.render.entry import Terms

CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
TDM_CONTEXT = "http://www.w3.org/ns/tdmrep.jsonld"
OFFER_PATH = "/policies/license.json"
TDM_POLICY_PATH = "/policies/tdm.json"


def license_offer(terms: Terms, minimum_audience: int) -> dict[str, Any]:
    """Return the free-use license as an Offer to publishers of at least `minimum_audience` monthly unique visitors."""
    profile = f"{terms.base_url}/license"
    stories = f"{terms.base_url}/stories/"
    return {
        "@context": CONTEXT,
        "@type": "Offer",
        "uid": terms.license_url,
        "profile": profile,
        "conflict": "prohibit",
        "assigner": terms.base_url,
        "permission": [
            {
                "target": stories,
                "action": ["reproduce", "distribute", "display"],
                "assignee": {
                    "@type": "PartyCollection",
                    "source": terms.apply_url,
                    "refinement": [
                        {
                            "leftOperand": f"{profile}#monthlyUniqueVisitors",
                            "operator": "gteq",
                            "rightOperand": {
                                "@value": str(minimum_audience),
                                "@type": "http://www.w3.org/2001/XMLSchema#integer",
                            },
                        }
                    ],
                },
                "duty": [
                    {"action": "attribute", "attributedParty": terms.base_url},
                    {"action": "include", "target": f"{profile}#notice-{terms.notice_version}"},
                ],
            }
        ],
        "prohibition": [{"target": stories, "action": ["sell", "grantUse"]}],
    }


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
