"""A story as NewsML-G2 2.35 (IPTC), power conformance, valid against IPTC's XSD.

The body is XHTML inside `inlineXML`, with the pictures before it, the notice at its foot, and the canonical address in its head;
a withdrawn story has its status and no content set. QCodes (`stat:`, `ninat:`, `irel:`) are resolved by the catalog named in the
document.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lxml import etree

from syndicator.render.elements import XML, add
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.html import figure
from syndicator.render.notice import editors_note, html_with_notice, title_of
from syndicator.render.plain import cleaned, html_tree, rfc3339, summary_of
from syndicator.render.rights import ODRL, copyright_notice, usage_terms

NAR = "http://iptc.org/std/nar/2006-10-01/"
XHTML = "http://www.w3.org/1999/xhtml"
CATALOG = "http://www.iptc.org/std/catalog/catalog.IPTC-G2-Standards_41.xml"
MEDIA_TYPE = "application/vnd.iptc.g2.newsitem+xml"


def render_newsml(entry: Entry, terms: Terms) -> bytes:
    """Render the story as a NewsML-G2 newsItem, UTF-8; equal stories give equal bytes."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    item = etree.Element(
        _g2("newsItem"),
        {
            "guid": entry.uri,
            "version": str(entry.version),
            "standard": "NewsML-G2",
            "standardversion": "2.35",
            "conformance": "power",
            f"{{{XML}}}lang": entry.language,
        },
        nsmap={None: NAR},  # type: ignore[dict-item]  # a default namespace, which the stubs forgot
    )
    add(item, _g2("catalogRef"), href=CATALOG)
    _add_rights(item, entry, terms)
    _add_item_meta(item, entry, terms)
    _add_content_meta(item, entry)
    if not entry.withdrawn:
        _add_content(item, entry, terms)
    return etree.tostring(item, xml_declaration=True, encoding="UTF-8")


def _add_rights(item: Any, entry: Entry, terms: Terms) -> None:
    rights = add(item, _g2("rightsInfo"))
    holder = add(rights, _g2("copyrightHolder"), uri=terms.base_url)
    add(holder, _g2("name"), terms.newsroom)
    add(rights, _g2("copyrightNotice"), copyright_notice(entry, terms))
    add(rights, _g2("usageTerms"), usage_terms(entry, terms))
    expression = json.dumps({"uid": terms.license_url})
    add(rights, _g2("rightsExpressionData"), expression, langid=ODRL, enctype="application/ld+json")


def _add_item_meta(item: Any, entry: Entry, terms: Terms) -> None:
    """Append itemMeta; the order of its elements is the schema's."""
    meta = add(item, _g2("itemMeta"))
    add(meta, _g2("itemClass"), qcode="ninat:text")
    add(meta, _g2("provider"), uri=terms.base_url)
    add(meta, _g2("versionCreated"), rfc3339(entry.updated))
    add(meta, _g2("firstCreated"), rfc3339(entry.first_created))
    if entry.embargoed_until:
        add(meta, _g2("embargoed"), rfc3339(entry.embargoed_until))
    add(meta, _g2("pubStatus"), qcode=f"stat:{entry.status.value}")
    if note := editors_note(entry):
        add(meta, _g2("edNote"), note)
    if entry.expires:
        add(meta, _g2("expires"), rfc3339(entry.expires))
    add(meta, _g2("link"), rel="irel:seeAlso", href=entry.canonical, contenttype="text/html")


def _add_content_meta(item: Any, entry: Entry) -> None:
    meta = add(item, _g2("contentMeta"))
    add(meta, _g2("contentCreated"), rfc3339(entry.published))
    add(meta, _g2("headline"), title_of(entry))
    if entry.withdrawn:
        return
    for name in entry.authors:
        add(meta, _g2("by"), name)
    for label in entry.labels:
        add(meta, _g2("keyword"), label)
    if summary := summary_of(entry):
        add(meta, _g2("description"), summary)


def _add_content(item: Any, entry: Entry, terms: Terms) -> None:
    contents = add(item, _g2("contentSet"))
    inline = add(contents, _g2("inlineXML"), contenttype="application/xhtml+xml")
    page = etree.SubElement(inline, f"{{{XHTML}}}html", nsmap={None: XHTML})  # type: ignore[dict-item]
    head = add(page, f"{{{XHTML}}}head")
    add(head, f"{{{XHTML}}}title", title_of(entry))
    add(head, f"{{{XHTML}}}link", rel="canonical", href=entry.canonical)
    add(head, f"{{{XHTML}}}link", rel="license", href=terms.license_url)
    _copy(html_tree("\n".join([*map(figure, entry.images), html_with_notice(entry, terms)])), add(page, f"{{{XHTML}}}body"))


def _copy(source: Any, target: Any) -> None:
    """Copy the children of the HTML element `source` as XHTML, without names that XML does not know; no recursion."""
    waiting = [(source, target)]
    while waiting:
        old, new = waiting.pop()
        new.text = old.text
        for child in old:
            tag = child.tag if re.fullmatch(r"[a-z][a-z0-9]*", child.tag) else "span"
            attributes = {name: value for name, value in child.attrib.items() if re.fullmatch(r"[a-z][a-z-]*", name)}
            copy = etree.SubElement(new, f"{{{XHTML}}}{tag}", attributes)
            copy.tail = child.tail
            waiting.append((child, copy))


def _g2(name: str) -> str:
    return f"{{{NAR}}}{name}"
