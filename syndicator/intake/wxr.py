"""WordPress exports (WXR 1.0 to 1.2): RSS with WordPress' own elements, read as a stream in the parse child.

Only posts that are published and have no password become stories. Drafts, private and scheduled posts, pages, comments, e-mail
addresses and login names never do: they are not even kept in memory longer than the element they stand in.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from syndicator.domain.stories import Image, StoryDraft
from syndicator.errors import IntakeError
from syndicator.intake.archives import unpacked
from syndicator.intake.text import text_of_html

WORDPRESS = "http://wordpress.org/export/"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
MAX_POSTS = 20_000
_BLOCK = re.compile(r"\s*<(?:p|div|h[1-6]|ul|ol|table|blockquote|pre|figure|section|!--)\b", re.I)


@dataclass(slots=True)
class _Export:
    """What has been read so far."""

    site: str = ""
    names: dict[str, str] = field(default_factory=dict)  # display name by login
    pictures: dict[str, Image] = field(default_factory=dict)  # by attachment id
    posts: list[tuple[StoryDraft, str]] = field(default_factory=list)  # with the id of its picture
    problems: list[str] = field(default_factory=list)


def looks_like_wxr(content: bytes) -> bool:
    """Say whether `content` begins as an export does, or is packed."""
    return content.startswith((b"PK\x03\x04", b"\x1f\x8b")) or WORDPRESS.encode() in content[:4096]


def read_wxr(content: bytes, origin: str) -> tuple[str, tuple[StoryDraft, ...], tuple[str, ...]]:
    """Return the site's address, its published posts as drafts, and what could not be read. Raises IntakeError."""
    export = _Export()
    for document in unpacked(content, origin):
        _read(document, origin, export)
    if not export.site and not export.posts:
        raise IntakeError(origin, "this is no WordPress export")
    drafts = tuple(_with_picture(draft, export.pictures.get(picture)) for draft, picture in export.posts)
    return export.site, drafts, tuple(export.problems)


def _read(document: bytes, origin: str, export: _Export) -> None:
    try:
        for _, element in etree.iterparse(
            io.BytesIO(document), events=("end",), resolve_entities=False, no_network=True, load_dtd=False, recover=False
        ):
            if element.getroottree().docinfo.doctype:
                raise IntakeError(origin, "document types and entities are refused")
            name = etree.QName(element).localname if isinstance(element.tag, str) else ""
            if name == "item":
                _take_item(element, export)
            elif name == "author" and _is_wordpress(element):
                _take_author(element, export)
            elif name == "base_blog_url" or (name == "base_site_url" and not export.site):  # the latter is a whole network's
                export.site = (element.text or "").strip()[:2048]
            if name in {"item", "author"}:
                _forget(element)
            if len(export.posts) > MAX_POSTS:
                raise IntakeError(origin, f"more than {MAX_POSTS} posts")
    except etree.XMLSyntaxError as error:
        raise IntakeError(origin, "this is not well-formed XML, or larger than it may be") from error


def _take_item(item: Any, export: _Export) -> None:
    own = {
        etree.QName(child).localname: child.text or "" for child in item if isinstance(child.tag, str) and _is_wordpress(child)
    }
    if own.get("post_type") == "attachment" and own.get("attachment_url"):
        caption = text_of_html(next(_texts(item, "encoded", excerpt=True), ""))
        export.pictures[own.get("post_id", "")] = Image(url=own["attachment_url"].strip(), caption=caption)
        return
    if own.get("post_type") != "post" or own.get("status") != "publish" or own.get("post_password", "").strip():
        return
    number = own.get("post_id", "").strip()
    if not number.isascii() or not number.isdigit():
        export.problems.append("a post without a number was left out")
        return
    export.posts.append((_draft(item, number, own, export.names), _thumbnail(item)))


def _draft(item: Any, number: str, own: dict[str, str], names: dict[str, str]) -> StoryDraft:
    labels = [(child.get("domain") or "", text_of_html(child.text or "")) for child in item.findall("category")]
    categories = [label for domain, label in labels if domain == "category" and label.lower() != "uncategorized"]
    return StoryDraft(
        external_id=number,
        headline=text_of_html(item.findtext("title") or ""),
        body_html=paragraphs(item.findtext(CONTENT) or ""),
        summary=text_of_html(next(_texts(item, "encoded", excerpt=True), "")),
        byline=tuple(name for name in [names.get((item.findtext(CREATOR) or "").strip(), "")] if name),
        section=categories[0] if categories else "",
        tags=tuple(label for domain, label in labels if domain == "post_tag"),
        canonical_url=(item.findtext("link") or "").strip(),
        published_at=_instant(own.get("post_date_gmt", "")),
    )


def _take_author(author: Any, export: _Export) -> None:
    own = {etree.QName(child).localname: (child.text or "").strip() for child in author if isinstance(child.tag, str)}
    name = text_of_html(own.get("author_display_name", ""))
    if own.get("author_login") and name and "@" not in name:  # an address is nobody's byline
        export.names[own["author_login"]] = name


def _thumbnail(item: Any) -> str:
    for meta in item:
        if isinstance(meta.tag, str) and etree.QName(meta).localname == "postmeta" and _is_wordpress(meta):
            pair = {etree.QName(child).localname: child.text or "" for child in meta if isinstance(child.tag, str)}
            if pair.get("meta_key") == "_thumbnail_id":
                return pair.get("meta_value", "").strip()
    return ""


def _with_picture(draft: StoryDraft, picture: Image | None) -> StoryDraft:
    return replace(draft, images=(picture,)) if picture else draft


def paragraphs(text: str) -> str:
    """Return stored WordPress text as HTML: blank lines part paragraphs unless the text has blocks of its own."""
    if _BLOCK.search(text[:2000]) and ("<p" in text or "<!-- wp:" in text):
        return text
    pieces = [piece.strip() for piece in re.split(r"\n[^\S\n]*\n", text.replace("\r\n", "\n"))]
    lines = (piece if _BLOCK.match(piece) else f"<p>{piece.replace(chr(10), '<br>')}</p>" for piece in pieces if piece)
    return "\n".join(lines)


def _texts(item: Any, name: str, *, excerpt: bool) -> Iterator[str]:
    for child in item:
        if isinstance(child.tag, str):
            tag = etree.QName(child)
            if tag.localname == name and (tag.namespace or "").endswith("/excerpt/") is excerpt:
                yield child.text or ""


def _is_wordpress(element: Any) -> bool:
    return (etree.QName(element).namespace or "").startswith(WORDPRESS)


def _forget(element: Any) -> None:
    """Free what has been read; the element stays, emptied, so that its parent is not disturbed."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.year > 1970 else None
