"""Article pages: a saved or fetched HTML page, or the text somebody copied from one.

What a page says about itself (schema.org JSON-LD, then meta elements) is believed first; the body is looked for where newsrooms
put it, and trafilatura finds it elsewhere. Page furniture (sharing, recent posts, author boxes) is not body.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import Any

import lxml.html
from lxml.html import HtmlElement

from syndicator.domain.stories import Image, StoryDraft, label_key
from syndicator.errors import IntakeError
from syndicator.intake.body import safe_url
from syndicator.intake.text import fold, parse_html, text_of_html, visible

MAX_PAGE_BYTES = 8_000_000
MAX_TEXT_CHARACTERS = 1_000_000
SHORTEST_BODY = 40  # characters; less is no article
LONGEST_WRAPPED = 120  # characters of a line that somebody's program broke
_ARTICLE_TYPES = {"Article", "NewsArticle", "BlogPosting", "ReportageNewsArticle", "AnalysisNewsArticle", "OpinionNewsArticle"}
_BODY_CLASSES = (
    *("entry-content", "article-content", "article__content", "article-body", "article__body", "post-content", "story-body"),
    *("story-content", "amp-wp-article-content", "artl-cnt", "post__content", "td-post-content", "wp-block-post-content"),
)
_END_LINE = re.compile(  # what stands below a story
    r"(published by:?(\s+\S+){0,5}|tags?:.*|filed under:?.*|categories:.*|recent posts|related (posts|stories|articles)|"
    r"leave a (comment|reply)|view comments.*|more from .*)",
    re.I,
)
_STRAY_LINE = re.compile(
    r"(share|share this( article| story| post)?|advertisement|read more|related|next|previous|print|tweet)", re.I
)
_FURNITURE_CLASS = re.compile(
    r"(^|[\s_-])(share|sharing|sharedaddy|social|related|recent|newsletter|subscribe|comments?|breadcrumbs?|author-box|byline|"
    r"post-meta|entry-meta|tags|tag-links|promo|advert|ad-slot|outbrain|taboola|jp-relatedposts|sidebar|widget)([\s_-]|$)",
    re.I,
)


def read_page(content: bytes | str, origin: str) -> StoryDraft:
    """Return the story on a page; `origin` is the path or URL it came from. Raises IntakeError when there is none to be found."""
    if len(content) > MAX_PAGE_BYTES:
        raise IntakeError(origin, f"larger than {MAX_PAGE_BYTES} bytes")
    text = visible(_decoded(content, origin) if isinstance(content, bytes) else content)
    if not text.strip():
        raise IntakeError(origin, "the page is empty")
    if re.search(r"<(!doctype|html|head|body|article|div|p|h1|meta)\b", text[:20_000], re.I):
        return _read_html(text, origin)
    return _read_text(text, origin)


def _decoded(content: bytes, origin: str) -> str:
    """Decode as UTF-8, else as the page declares, else as browsers take undeclared Western text."""
    if b"\x00" in content[:1024] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IntakeError(origin, "this is not text")
    declared = re.search(rb"charset=[\"']?([\w-]{1,40})", content[:4096], re.I)
    by_mark = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    for encoding in (by_mark, declared[1].decode() if declared else "cp1252"):
        try:
            return content.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return content.decode("cp1252", errors="replace")


_LINES = ("p", "div", "section", "h2", "h3", "h4", "h5", "h6", "li", "blockquote", "figure", "table", "span")


# --- copied text


def _read_text(text: str, origin: str) -> StoryDraft:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise IntakeError(origin, f"longer than {MAX_TEXT_CHARACTERS} characters")
    blocks = [[line for raw in block.splitlines() if (line := fold(raw).strip())] for block in re.split(r"\n[ \t\r]*\n", text)]
    blocks = [block for block in blocks if block]
    if len(blocks) < 3 and any(len(line) > LONGEST_WRAPPED for block in blocks for line in block):
        blocks = [[line] for block in blocks for line in block]  # copied without blank lines: each line is a paragraph
    section, headline, rest = _heads(blocks)
    article, furniture = _split_furniture(rest)
    byline = _bylines(article, furniture)
    article = [block for block in article if not _names_writer(block, byline)]
    if not headline or not article:
        raise IntakeError(origin, "no headline and body could be told apart")
    paragraphs = [paragraph for block in article for paragraph in _paragraphs(block)]
    words = "\n".join((headline, *paragraphs))
    return StoryDraft(
        external_id=_stable_id(section, headline),
        headline=headline,
        body_html="".join(f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in paragraphs),
        byline=byline,
        section=section,
        tags=_tags_of_text(furniture, words),
    )


def _heads(blocks: list[list[str]]) -> tuple[str, str, list[list[str]]]:
    """Return section, headline and what follows: a short first line above a longer one is the section's name."""
    first, second = (" ".join(block) for block in (*blocks, [""], [""])[:2])
    if 0 < len(first) <= 60 and len(first) < len(second) <= 300 and not re.search(r"[.!?:,;”\"]$", first) and len(blocks) > 2:
        return first, second, blocks[2:]
    return "", first, blocks[1:]


def _split_furniture(blocks: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Return the article's blocks, and the lines of furniture: above and within it single lines, below it everything."""
    article: list[list[str]] = []
    furniture: list[str] = []
    seen = ended = False  # a paragraph was seen; the story is over
    for block in blocks:
        kept = []
        for line in block:
            ended = ended or (seen and _is_line(_END_LINE, line))
            seen = seen or len(line) > 80
            if ended or _is_line(_END_LINE, line) or _is_line(_STRAY_LINE, line):
                furniture.append(line)
            else:
                kept.append(line)
        article.extend([kept] if kept else [])
    return article, furniture


def _is_line(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= 200 and pattern.fullmatch(line) is not None


def _bylines(article: list[list[str]], furniture: list[str]) -> tuple[str, ...]:
    for at, line in enumerate(furniture):
        if found := re.fullmatch(r"published by:?\s*(.*)", line, re.I):
            return _names(found[1] or next(iter(furniture[at + 1 :]), ""))
    for block in article[:2]:
        if len(block) == 1 and (found := re.fullmatch(r"by:?\s+(.{3,150})", block[0], re.I)):
            return _names(found[1])
    return ()


def _names(text: str) -> tuple[str, ...]:
    names = re.split(r",| and | & |\|", re.sub(r"^by\s+", "", fold(text).strip(), flags=re.I))
    return tuple(name.strip() for name in names if name.strip())


def _names_writer(block: list[str], byline: tuple[str, ...]) -> bool:
    return len(block) == 1 and bool(byline) and _names(block[0]) == byline


def _paragraphs(block: list[str]) -> Iterator[str]:
    """Join the lines of a wrapped paragraph; a pasted address is a paragraph of its own."""
    words: list[str] = []
    for line in block:
        if re.match(r"https?://", line):
            yield from [" ".join(words)] if words else []
            words = []
            yield line
        else:
            words.append(line)
    yield from [" ".join(words)] if words else []


def _tags_of_text(furniture: list[str], words: str) -> tuple[str, ...]:
    for at, line in enumerate(furniture):
        if found := re.fullmatch(r"tags?:\s*(.*)", line, re.I):
            listed = found[1] or next(iter(furniture[at + 1 :]), "")
            return tuple(tag for piece in re.split(r"[,;|·•#]", listed) for tag in split_joined(piece.strip(), words))
    return ()


def split_joined(label: str, words: str) -> list[str]:
    """Split tags that were run together (`IraqISIS`), preferring pieces that the story itself says.

    A piece that stands in `words` costs little, another one much, and most one that hides a small letter before a capital.
    """
    label = label[:500]
    words = words[:200_000]
    starts = [found.start() for found in re.finditer(r"(?<=\w)(?=[A-Z])", label)]
    cuts = [0, *starts[:40], len(label)]
    best: list[tuple[int, list[str]]] = [(0, [])]
    for end_at in range(1, len(cuts)):
        choices = []
        for start_at in range(end_at):
            piece = label[cuts[start_at] : cuts[end_at]].strip()
            choices.append((best[start_at][0] + _cost(piece, words), [*best[start_at][1], piece]))
        best.append(min(choices, key=lambda choice: (choice[0], len(choice[1]))))
    return [piece for piece in best[-1][1] if piece]


def _cost(piece: str, words: str) -> int:
    if piece and piece in words and re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", words):
        return 1
    return 10 + 15 * len(re.findall(r"[a-z](?=[A-Z])", piece)) + (100 if len(piece) < 3 else 0)


# --- HTML pages


def _read_html(markup: str, origin: str) -> StoryDraft:
    root = lxml.html.document_fromstring(
        markup.encode(), parser=lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    )
    meta = _meta(root)
    article = _json_ld(root)
    base = origin if origin.startswith(("http://", "https://")) else ""
    canonical = _canonical(root, meta, article, base)
    headline = _headline(root, meta, article)
    if not headline:
        raise IntakeError(origin, "the page has no headline")
    section = _first(_strings(article.get("articleSection"))) or _first(meta.get("article:section")) or _linked(root, "category")
    byline = _authors(article) or _names(_first(meta.get("author")) or _linked(root, "author"))
    body = _body(root, markup, headline, byline)
    if not body:
        raise IntakeError(origin, "no article was found on the page")
    words = f"{headline}\n{text_of_html(body)}"
    listed = _tags(root, meta, article)
    tags = [tag for label in listed for tag in (split_joined(label, words) if len(listed) == 1 else [label])]
    return StoryDraft(
        external_id=canonical if 0 < len(canonical) <= 500 else _stable_id(section, canonical or headline),
        headline=headline,
        body_html=body,
        summary=text_of_html(_first(_strings(article.get("description"))) or _first(meta.get("og:description")) or ""),
        byline=byline,
        section=section,
        tags=tuple(tags),
        language=_first(_strings(article.get("inLanguage"))) or root.get("lang") or "",
        canonical_url=canonical,
        published_at=_instant(_first(_strings(article.get("datePublished"))) or _first(meta.get("article:published_time"))),
        images=tuple(Image(url=url) for url in (meta.get("og:image") or [])[:1] if safe_url(url, canonical)),
    )


def _meta(root: HtmlElement) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in root.iter("meta"):
        name = (node.get("property") or node.get("name") or "").lower()
        if name and (value := fold(node.get("content") or "").strip()):
            found.setdefault(name, []).append(value)
    return found


def _json_ld(root: HtmlElement) -> dict[str, Any]:
    """Return the page's article as it describes itself (schema.org in JSON-LD), or nothing. People it refers to are put in."""
    things: list[dict[str, Any]] = []
    for script in root.iter("script"):
        if "ld+json" in (script.get("type") or ""):
            try:
                waiting = [json.loads(script.text or "")]
            except (ValueError, RecursionError):
                continue
            while waiting and len(things) < 500:
                thing = waiting.pop()
                if isinstance(thing, list):
                    waiting.extend(thing)
                elif isinstance(thing, dict):
                    things.append(thing)
                    waiting.append(thing.get("@graph"))
    named = {thing["@id"]: thing for thing in things if isinstance(thing.get("@id"), str) and "name" in thing}
    for thing in things:
        if _ARTICLE_TYPES & set(_strings(thing.get("@type"))):
            people = thing.get("author") if isinstance(thing.get("author"), list) else [thing.get("author")]
            full = [named.get(str(each.get("@id")), each) if isinstance(each, dict) else each for each in people or []]
            return thing | {"author": full}
    return {}


def _strings(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each.strip()]


def _first(values: list[str] | None) -> str:
    return text_of_html(values[0]) if values else ""


def _canonical(root: HtmlElement, meta: dict[str, list[str]], article: dict[str, Any], base: str) -> str:
    page = article.get("mainEntityOfPage")
    stated = [
        *(link.get("href") or "" for link in root.iter("link") if "canonical" in (link.get("rel") or "").lower().split()),
        *meta.get("og:url", []),
        *_strings(article.get("url")),
        *_strings(page.get("@id") if isinstance(page, dict) else page),
        base,
    ]
    urls = (safe_url(address, base) for address in stated if address)
    return next((url for url in urls if url and url.startswith("http")), "")


def _headline(root: HtmlElement, meta: dict[str, list[str]], article: dict[str, Any]) -> str:
    inside = [_text(node) for article_node in [*root.iter("article")][:1] for node in article_node.iter("h1")]
    title = re.split(r"\s[|–—-]\s", root.findtext(".//title") or "")[0]
    stated = [_first(_strings(article.get("headline"))), *inside, _first(meta.get("og:title"))]
    return next((each for each in [*stated, *(_text(node) for node in root.iter("h1")), fold(title).strip()] if each), "")


def _linked(root: HtmlElement, relation: str) -> str:
    return next((_text(node) for node in root.iter("a") if relation in (node.get("rel") or "").lower().split()), "")


def _authors(article: dict[str, Any]) -> tuple[str, ...]:
    people = [each.get("name") if isinstance(each, dict) else each for each in article.get("author") or []]
    return tuple(text_of_html(name) for person in people for name in _strings(person))


def _tags(root: HtmlElement, meta: dict[str, list[str]], article: dict[str, Any]) -> list[str]:
    linked = [_text(node) for node in root.iter("a") if "tag" in (node.get("rel") or "").lower().split()]
    keywords = [word for text in _strings(article.get("keywords")) for word in text.split(",")]
    found = meta.get("article:tag") or linked or keywords or _tags_line(root)
    return [label for each in found if (label := text_of_html(each))]


def _tags_line(root: HtmlElement) -> list[str]:
    for node in root.iter("p", "div", "span", "li"):
        if len(node) < 20 and (found := re.fullmatch(r"tags?:\s*(\S.{0,300})", _text(node), re.I)):
            links = [_text(link) for link in node.iter("a")]
            return links or re.split(r"[,;|]", found[1])
    return []


def _body(root: HtmlElement, markup: str, headline: str, byline: tuple[str, ...]) -> str:
    for node in _body_candidates(root):
        body = _without_furniture(node, headline, byline)
        if len(text_of_html(body)) >= SHORTEST_BODY:
            return body
    import trafilatura

    found = trafilatura.extract(markup, output_format="html", include_links=True, include_comments=False, favor_precision=True)
    body = _without_furniture(parse_html(found), headline, byline) if found else ""
    return body if len(text_of_html(body)) >= SHORTEST_BODY else ""


def _body_candidates(root: HtmlElement) -> Iterator[HtmlElement]:
    yield from (node for node in root.iter() if isinstance(node.tag, str) and "articleBody" in (node.get("itemprop") or ""))
    for name in _BODY_CLASSES:
        yield from root.find_class(name)[:1]
    yield from [*root.iter("article")][:1]


def _without_furniture(node: HtmlElement, headline: str, byline: tuple[str, ...]) -> str:
    """Return the HTML of a body without what only belongs to the page around it."""
    copy: HtmlElement = lxml.html.document_fromstring(lxml.html.tostring(node, encoding="utf-8"), parser=_utf8())
    around = {copy, copy.body, *copy.body[:1]}  # the body itself may be called anything
    doomed = [each for each in copy.iter() if each not in around and isinstance(each.tag, str) and _is_furniture(each)]
    for each in doomed:
        if each.getparent() is not None:
            each.drop_tree()
    _cut_furniture_lines(copy)
    lines = {label_key(headline), *map(label_key, byline), *(f"by {label_key(name)}" for name in byline)}
    for each in [*copy.iter("p", "div", "h1", "h2", "span")]:
        if each.getparent() is not None and label_key(_text(each)) in lines:
            each.drop_tree()
    return str(lxml.html.tostring(copy, encoding="unicode"))


def _is_furniture(node: HtmlElement) -> bool:
    if node.tag in {"aside", "nav", "footer", "form", "button", "h1"}:
        return True
    return node.tag in {"div", "section", "ul", "p", "span"} and bool(_FURNITURE_CLASS.search(node.get("class") or ""))


def _cut_furniture_lines(root: HtmlElement) -> None:
    """Drop lines that only a page says, and everything below the first that ends a story, such as `Recent Posts`."""
    seen = ended = False
    for node in [*root.iter(*_LINES)]:
        if node.getparent() is None or any(True for _ in node.iterdescendants(*_LINES)):
            continue
        line = _text(node)
        ended = ended or (seen and _is_line(_END_LINE, line))
        seen = seen or len(line) > 80
        if ended or _is_line(_END_LINE, line) or _is_line(_STRAY_LINE, line):
            node.drop_tree()


def _utf8() -> lxml.html.HTMLParser:
    return lxml.html.HTMLParser(huge_tree=True, encoding="utf-8")


def _text(node: HtmlElement) -> str:
    return fold("".join(str(piece) for piece in node.itertext())).strip()


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None  # a zone is never guessed


def _stable_id(*parts: str) -> str:
    """Return a key that stays when the body is corrected; without an address of its own a story is known by its heads."""
    return "page:" + hashlib.sha256("\n".join(map(label_key, parts)).encode()).hexdigest()[:40]
