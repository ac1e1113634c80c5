"""A story as schema.org NewsArticle (release 30.0) in JSON-LD.

`describe_jsonld` goes into the `<script>` of a page that shows the story, and so has no body: the page's own text carries the
notice. `render_jsonld` stands alone, with the body and the notice in `articleBody`.
"""

from __future__ import annotations

import json
from typing import Any

from syndicator.domain.stories import Image
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.notice import embargo, text_with_notice, title_of
from syndicator.render.plain import cleaned, one_line, present, rfc3339, summary_of
from syndicator.render.rights import copyright_notice

# What would end a script element, open a comment in it, or end a line in older JavaScript.
_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def render_jsonld(entry: Entry, terms: Terms) -> dict[str, Any]:
    """Return the whole story, body and notice included, as one JSON-LD object."""
    return describe_jsonld(entry, terms) | {"articleBody": text_with_notice(entry, terms)}


def describe_jsonld(entry: Entry, terms: Terms) -> dict[str, Any]:
    """Return what is to be known about the story, without its body, as one JSON-LD object."""
    entry, terms = cleaned(entry), cleaned(terms_beside(entry, terms))
    newsroom = {"@type": "NewsMediaOrganization", "name": terms.newsroom, "url": terms.base_url, "email": terms.contact_email}
    known: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "@id": entry.uri,
        "url": entry.url,
        "mainEntityOfPage": entry.url,
        "headline": title_of(entry),
        "datePublished": rfc3339(entry.published),
        "dateModified": rfc3339(entry.updated),
        "inLanguage": entry.language,
        "version": str(entry.version),
        "publisher": newsroom,
        "license": terms.license_url,
        "acquireLicensePage": terms.apply_url,
        "isAccessibleForFree": terms.free,
        "copyrightNotice": copyright_notice(entry, terms),
        "copyrightYear": entry.published.year,
        "copyrightHolder": newsroom,
        "creativeWorkStatus": entry.status.value,
        "conditionsOfAccess": embargo(entry),
    }
    if not entry.withdrawn:
        known |= _content(entry, terms)
    said: dict[str, Any] = present(known)
    return said


def script_json(value: Any) -> str:
    """Write `value` as JSON that may stand inside a `<script>` element whatever it contains."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_UNSAFE)


def _content(entry: Entry, terms: Terms) -> dict[str, Any]:
    correction = one_line(entry.correction_note)
    return {
        "description": summary_of(entry),
        "articleSection": one_line(entry.section),
        "keywords": list(entry.labels),
        "author": [{"@type": "Person", "name": name} for name in entry.authors],
        "creditText": " / ".join((*entry.authors, terms.newsroom)),
        "image": [_image(image, terms) for image in entry.images],
        "sameAs": entry.original_url,
        "expires": rfc3339(entry.expires) if entry.expires else None,
        "correction": {"@type": "CorrectionComment", "text": correction} if correction else None,
    }


def _image(image: Image, terms: Terms) -> dict[str, Any]:
    return {
        "@type": "ImageObject",
        "contentUrl": image.url,
        "caption": image.caption,
        "creditText": image.credit,
        "license": terms.license_url,
        "acquireLicensePage": terms.apply_url,
    }
