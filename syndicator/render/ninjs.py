"""IPTC ninjs (News in JSON) 3.1, 2.2 and 1.6, valid against IPTC's schemas.

3.1 is made first; 2.2 has the same members in lower case, 1.6 an older shape. The notice stands once, inside the HTML body;
`usageTerms` says in other words that there are terms. A withdrawn story has its status and no body, headline excepted.
"""

from __future__ import annotations

from typing import Any, Literal

from syndicator.domain.stories import Image
from syndicator.render.elements import image_type
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.notice import editors_note, html_with_notice, title_of
from syndicator.render.plain import cleaned, plain_text, present, rfc3339, summary_of
from syndicator.render.rights import ODRL, copyright_notice, usage_terms

NinjsVersion = Literal["3.1", "2.2", "1.6"]


def render_ninjs(entry: Entry, terms: Terms, version: NinjsVersion = "3.1") -> dict[str, Any]:
    """Return the story as a ninjs object of `version`, ready for JSON."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    if version == "1.6":
        return _ninjs_1_6(entry, terms)
    document = _ninjs_3_1(entry, terms)
    return document if version == "3.1" else _as_2_2(document)


def _ninjs_3_1(entry: Entry, terms: Terms) -> dict[str, Any]:
    document: dict[str, Any] = {
        "uri": entry.uri,
        "type": "text",
        "standard": {"name": "ninjs", "version": "3.1", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_3.1.json#"},
        "representationType": "partial" if entry.withdrawn else "full",
        "version": str(entry.version),
        "firstCreated": rfc3339(entry.first_created),
        "versionCreated": rfc3339(entry.updated),
        "contentCreated": rfc3339(entry.published),
        "embargoedUntil": entry.embargoed_until and rfc3339(entry.embargoed_until),
        "expires": entry.expires and rfc3339(entry.expires),
        "pubStatus": entry.status.value,
        "language": entry.language,
        "copyrightHolder": terms.newsroom,
        "copyrightNotice": copyright_notice(entry, terms),
        "usageTerms": usage_terms(entry, terms),
        "rightsInfo": {"langId": ODRL, "linkedRights": terms.license_url},
        "edNote": editors_note(entry),
        "headlines": [{"role": "main", "contentType": "text/plain", "value": title_of(entry)}],
        "altIds": _alternative_ids(entry),
    }
    if not entry.withdrawn:
        document |= {
            "by": ", ".join(entry.authors),
            "descriptions": _described(summary_of(entry), "summary"),
            "bodies": [_body(entry, terms)],
            "subjects": [{"name": label} for label in entry.labels],
            "associations": [_picture(image, number, terms) for number, image in enumerate(entry.images, 1)],
        }
    said: dict[str, Any] = present(document)
    return said


def _ninjs_1_6(entry: Entry, terms: Terms) -> dict[str, Any]:
    document: dict[str, Any] = {
        "uri": entry.uri,
        "type": "text",
        "$standard": {"name": "ninjs", "version": "1.6", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_1.6.json#"},
        "representationtype": "incomplete" if entry.withdrawn else "complete",
        "version": str(entry.version),
        "firstcreated": rfc3339(entry.first_created),
        "versioncreated": rfc3339(entry.updated),
        "contentcreated": rfc3339(entry.published),
        "embargoed": entry.embargoed_until and rfc3339(entry.embargoed_until),
        "expires": entry.expires and rfc3339(entry.expires),
        "pubstatus": entry.status.value,
        "language": entry.language,
        "copyrightholder": terms.newsroom,
        "copyrightnotice": copyright_notice(entry, terms),
        "usageterms": usage_terms(entry, terms),
        "rightsinfo": {"langid": ODRL, "linkedrights": terms.license_url},
        "ednote": editors_note(entry),
        "headline": title_of(entry),
        "altids": {alternative["role"]: alternative["value"] for alternative in _alternative_ids(entry)},
    }
    if not entry.withdrawn:
        document |= {
            "byline": ", ".join(entry.authors),
            "description_text": summary_of(entry),
            "body_html": html_with_notice(entry, terms),
            "wordcount": len(plain_text(entry.body_html).split()),
            "subject": [{"name": label} for label in entry.labels],
            "associations": {f"picture{number}": _picture_1_6(image, terms) for number, image in enumerate(entry.images, 1)},
        }
    said: dict[str, Any] = present(document)
    return said


def _as_2_2(document: dict[str, Any]) -> dict[str, Any]:
    """Turn a 3.1 object into 2.2: members in lower case, and the embargo under its old name."""
    older: dict[str, Any] = _lower(document)
    if "embargoeduntil" in older:
        older["embargoed"] = older.pop("embargoeduntil")
    older["standard"] = {"name": "ninjs", "version": "2.2", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_2.2.json#"}
    return older


def _alternative_ids(entry: Entry) -> list[dict[str, str]]:
    ids = {"id": entry.public_id, "url": entry.url, "canonical_url": entry.original_url}
    return [{"role": role, "value": value} for role, value in ids.items() if value]


def _described(text: str, role: str) -> list[dict[str, str]]:
    return [{"role": role, "contentType": "text/plain", "value": text}] if text else []


def _body(entry: Entry, terms: Terms) -> dict[str, Any]:
    return {
        "role": "main",
        "contentType": "text/html",
        "wordCount": len(plain_text(entry.body_html).split()),
        "value": html_with_notice(entry, terms),
    }


def _picture(image: Image, number: int, terms: Terms) -> dict[str, Any]:
    return {
        "name": f"picture{number}",
        "uri": image.url,
        "type": "picture",
        "pubStatus": "usable",
        "by": image.credit,
        "descriptions": _described(image.caption, "caption"),
        "rightsInfo": {"langId": ODRL, "linkedRights": terms.license_url},
        "renditions": [{"name": "original", "href": image.url, "contentType": image_type(image.url)}],
    }


def _picture_1_6(image: Image, terms: Terms) -> dict[str, Any]:
    return {
        "uri": image.url,
        "type": "picture",
        "pubstatus": "usable",
        "byline": image.credit,
        "description_text": image.caption,
        "rightsinfo": {"langid": ODRL, "linkedrights": terms.license_url},
        "renditions": {"original": {"href": image.url, "mimetype": image_type(image.url)}},
    }


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lower(item) for key, item in value.items()}
    return [_lower(item) for item in value] if isinstance(value, list) else value
