"""What crawlers are told outside feeds: robots.txt (RFC 9309) with content signals, TDMRep and trust.txt.

All of it, like RSL in `rsl.py`, is written from `Terms.machine_use`, so that the signals cannot contradict each other. None of
them grants or takes away what the license gives to people, and none keeps anybody out: the gate does that.
"""

from __future__ import annotations

from typing import Any

from syndicator.render.entry import Terms
from syndicator.render.odrl import TDM_POLICY_PATH

PRIVATE_PATHS = ("/b/", "/desk/", "/f/", "/portal/", "/v1/")


def robots_txt(terms: Terms) -> str:
    """Write `/robots.txt`: who may fetch, content signals, the proposed Content-Usage, RSL license and sitemap.

    Without search only what people subscribe to by address, and the license, stays open to crawlers.
    """
    use = terms.machine_use
    paths = [f"Disallow: {path}" for path in PRIVATE_PATHS]
    opened = ["Allow: /"] if use.search else ["Allow: /feeds/", "Allow: /license", "Disallow: /"]
    signals = {"search": use.search, "ai-input": use.ai_input, "ai-train": use.ai_train}
    lines = [
        "User-agent: *",
        *opened,
        *paths,
        "Content-Signal: " + ", ".join(f"{name}={'yes' if granted else 'no'}" for name, granted in signals.items()),
        f"Content-Usage: {content_usage(terms)}",
        "",
        f"License: {terms.base_url}/license.xml",
        f"Sitemap: {terms.base_url}/news-sitemap.xml",
    ]
    return "\n".join(lines) + "\n"


def signal_headers(terms: Terms) -> dict[str, str]:
    """Return the headers of a page: its licenses (RFC 8288), the reservation against mining, the proposed Content-Usage."""
    license_links = (
        f'<{terms.license_url}>; rel="license", <{terms.base_url}/license.xml>; rel="license"; type="application/rsl+xml"'
    )
    headers = {"Link": license_links, "Content-Usage": content_usage(terms)}
    if terms.machine_use.ai_train:
        return headers | {"tdm-reservation": "0"}
    return headers | {"tdm-reservation": "1", "tdm-policy": f"{terms.base_url}{TDM_POLICY_PATH}"}


def content_usage(terms: Terms) -> str:
    """Write the preferences of the AIPREF drafts as a dictionary (RFC 9651)."""
    use = terms.machine_use
    return f"train-ai={'y' if use.ai_train else 'n'}, search={'y' if use.search else 'n'}"


def tdmrep_json(terms: Terms) -> list[dict[str, Any]]:
    """Return `/.well-known/tdmrep.json` (TDM Reservation Protocol): text and data mining reserved unless training is allowed."""
    if terms.machine_use.ai_train:
        return [{"location": "/", "tdm-reservation": 0}]
    return [{"location": "/", "tdm-reservation": 1, "tdm-policy": f"{terms.base_url}{TDM_POLICY_PATH}"}]


def trust_txt(terms: Terms) -> str:
    """Write `/trust.txt` (JournalList): whom to ask, and whether models may be trained on the stories."""
    lines = [
        f"# {terms.newsroom}",
        f"contact=mailto:{terms.contact_email}",
        f"disclosure={terms.license_url}",
        f"datatrainingallowed={'yes' if terms.machine_use.ai_train else 'no'}",
    ]
    return "\n".join(lines) + "\n"
