"""RSL 1.0 (Really Simple Licensing): what machines may do, as a document of its own and inside RSS items.

Only what `Terms.machine_use` grants is permitted, all other AI use is prohibited. The human right to republish is not RSL's
matter: `standard` points at the license, `custom` to where an agreement is asked for. Element order follows the published reading
of the specification.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from syndicator.render.elements import add
from syndicator.render.entry import MachineUse, Terms
from syndicator.render.plain import cleaned

RSL = "https://rslstandard.org/rsl"
MAX_AGE_DAYS = 7


def rsl_xml(terms: Terms) -> bytes:
    """Render `/license.xml`: one answer for every page of the site."""
    terms = cleaned(terms)
    root = etree.Element(f"{{{RSL}}}rsl", {"max-age": str(MAX_AGE_DAYS)}, nsmap={None: RSL})  # type: ignore[dict-item]  # a default namespace, which the stubs forgot
    content = add_rsl_content(root, "/", terms)
    add(content, f"{{{RSL}}}copyright", terms.newsroom, type="organization", contactEmail=terms.contact_email)
    add(content, f"{{{RSL}}}terms", terms.license_url)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def add_rsl_content(parent: Any, url: str, terms: Terms) -> Any:
    """Append the machine-readable terms of what lies at `url`, which must be of our own origin, and return the element."""
    content = add(parent, f"{{{RSL}}}content", url=url)
    license_ = add(content, f"{{{RSL}}}license")
    permitted, prohibited = usage_tokens(terms.machine_use)
    if permitted:
        add(license_, f"{{{RSL}}}permits", permitted, type="usage")
    if prohibited:
        add(license_, f"{{{RSL}}}prohibits", prohibited, type="usage")
    payment = add(license_, f"{{{RSL}}}payment", type="attribution" if terms.free else "purchase")
    add(payment, f"{{{RSL}}}{'standard' if terms.free else 'custom'}", terms.license_url)
    add(license_, f"{{{RSL}}}legal", f"mailto:{terms.contact_email}", type="contact")
    return content


def usage_tokens(use: MachineUse) -> tuple[str, str]:
    """Return what is permitted and what is prohibited, as RSL's space-separated usage tokens.

    An index made for assistants goes with their use as input, so that three settings decide all four kinds.
    """
    granted = {"search": use.search, "ai-train": use.ai_train, "ai-input": use.ai_input, "ai-index": use.ai_input}
    permitted = [token for token, yes in granted.items() if yes]
    prohibited = [token for token, yes in granted.items() if not yes]
    return " ".join(permitted), " ".join(prohibited)
