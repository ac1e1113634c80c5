"""Story bodies: any HTML in, the safe subset out, in one canonical spelling.

What stays: p h2 h3 h4 ul ol li blockquote table and inline a em strong b i s sub sup br. Links are absolute http, https, mailto.
Pictures leave the body and are handed back, since each has rights of its own. Embeds of other sites (players, posts, shortcodes)
become one plain link in a paragraph. The writer follows HTML's content model strictly, so that every parser reads the result
alike; nh3 has the last word. Does not know the notice (`clean.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, urljoin, urlsplit

import nh3
from lxml.html import HtmlElement

from syndicator.domain.stories import Image
from syndicator.errors import InvalidRequest
from syndicator.intake.text import fold, parse_html, plain

MAX_DEPTH = 256
MAX_ELEMENTS = 50_000
MAX_URL = 2048
MAX_CONTAINERS = 16  # lists in lists, quotes in quotes; deeper ones are flattened

INLINE = {"a", "em", "strong", "b", "i", "s", "sub", "sup"}
HEADINGS = {"h1": "h2", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h4", "h6": "h4"}
CONTAINERS = {"ul", "ol", "li", "blockquote", "table", "tr", "td", "th"}
_PARENTS = {"li": {"ul", "ol"}, "tr": {"table"}, "td": {"tr"}, "th": {"tr"}}
_HOLDS_TEXT = {"li", "td", "th", "blockquote"}
_TRANSPARENT = {
    "abbr", "acronym", "bdi", "bdo", "big", "center", "cite", "code", "data", "del", "dfn", "font", "ins", "kbd", "label",
    "mark", "q", "ruby", "rb", "rt", "samp", "small", "span", "strike", "time", "tt", "u", "var", "wbr", "html", "body",
    "tbody", "thead", "tfoot",
}  # fmt: skip
_DROPPED = {
    "script", "style", "template", "noscript", "svg", "math", "head", "title", "meta", "link", "base", "input",
    "button", "select", "textarea", "option", "canvas", "audio", "video", "object", "embed", "applet", "map", "frameset",
    "frame", "noframes", "dialog", "colgroup", "col", "source", "track", "param", "nav",
}  # fmt: skip
_EMBEDS = {"iframe", "embed", "object", "video", "audio", "frame"}
_EMBED_QUOTES = re.compile(
    r"\b(twitter-tweet|twitter-video|instagram-media|tiktok-embed|bluesky-embed|fb-post|truthsocial-embed)\b"
)
_SHORTCODE_NAMES = {"embed", "caption", "gallery", "video", "audio", "playlist", "youtube", "tweet", "twitter", "instagram"}
_SHORTCODE = re.compile(r"\[(/?)([A-Za-z][\w-]{0,40})((?:\s[^\[\]]{0,500})?)\]")
_QUOTES = "“”„″«»"

SAFE_TAGS = {"p", "h2", "h3", "h4", "br", "tbody"} | CONTAINERS | INLINE
_nh3 = nh3.Cleaner(
    tags=SAFE_TAGS,
    attributes={"a": {"href"}},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener",
)


def safe_url(address: str, base: str = "") -> str | None:
    """Return `address` absolute and harmless, or None; typographic quotes that a broken editor left at its ends are cut off."""
    address = fold(address).strip().lstrip(_QUOTES + "\"'")
    address = re.split(f'[{_QUOTES}"<>\\s]', address, maxsplit=1)[0]
    try:
        full = urljoin(base, address) if base else address
        parts = urlsplit("https:" + full if full.startswith("//") else full)
        full = parts.geturl()
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        return None
    if parts.scheme == "mailto":
        known = bool(re.fullmatch(r"[^@\s]+@[^@\s]+", parts.path))
        full = f"mailto:{parts.path}"
    full = quote(full, safe="%/:?#[]@!$&'()*+,;=~-._")
    return full if known and len(full) <= MAX_URL and _reads_as_link(full) else None


def _reads_as_link(url: str) -> bool:
    """Ask the sanitiser's own address parser, so that what we write is never taken out again."""
    return "href=" in _nh3.clean(f'<a href="{escape(url)}">x</a>')


def reduce_body(markup: str, base: str, max_bytes: int) -> tuple[str, list[Image]]:
    """Return the safe body and the pictures that stood in it. Raises InvalidRequest for what is too deep or too large."""
    root = parse_html(markup)
    writer = _Writer(base, max_bytes)
    writer.walk(root, depth=0)
    return _nh3.clean(writer.finish()), writer.images


class _Writer:
    """Collects units of text, each with the path of containers it stands in, and joins them at the end."""

    def __init__(self, base: str, max_bytes: int) -> None:
        self.base = base
        self.images: list[Image] = []
        self._room = max_bytes
        self._elements = 0
        self._path: list[tuple[str, int]] = []
        self._leaf = "p"
        self._open: list[tuple[str, str]] = []  # inline elements: name, start tag
        self._run: list[str] = []
        self._units: list[tuple[tuple[tuple[str, int], ...], str, str]] = []  # path, leaf, inline HTML

    def walk(self, node: HtmlElement, depth: int) -> None:
        self._elements += 1
        if depth > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise InvalidRequest(
                f"the body has elements nested deeper than {MAX_DEPTH}, or more than {MAX_ELEMENTS} of them", "body_html"
            )
        tag = node.tag if isinstance(node.tag, str) else ""
        if embed := _embedded_address(node, tag):
            self._embed(embed)
        elif tag == "img":
            self._lift(node, "")
        elif tag == "br":
            self._break()
        elif tag and tag not in _DROPPED and not self._lifted_figure(node, tag):
            self._element(node, tag, depth)

    def _element(self, node: HtmlElement, tag: str, depth: int) -> None:
        if tag in INLINE:
            start = self._start_tag(node, tag)
            if start:
                self._open.append((tag, start))
                self._run.append(start)
            self._children(node, depth)
            if start:
                self._run.append(f"</{tag}>")
                self._open.pop()
        elif tag in _TRANSPARENT:
            self._children(node, depth)
        elif tag in CONTAINERS and self._fits(tag):
            self._flush()
            self._path.append((tag, self._elements))
            before = len(self._units)
            self._children(node, depth)
            self._flush()
            if tag in {"td", "th"} and len(self._units) == before:
                self._units.append((tuple(self._path), "p", ""))  # an empty cell keeps its column
            self._path.pop()
        else:
            self._flush()
            self._leaf = HEADINGS.get(tag, "p")
            self._children(node, depth)
            self._flush()
            self._leaf = "p"

    def _children(self, node: HtmlElement, depth: int) -> None:
        self._text(node.text or "")
        for child in node:
            self.walk(child, depth + 1)
            self._text(child.tail or "")

    def _start_tag(self, node: HtmlElement, tag: str) -> str:
        """Return the start tag to write, or nothing where the element would be in itself or is a link to nowhere."""
        if any(name == tag for name, _ in self._open):
            return ""
        if tag != "a":
            return f"<{tag}>"
        url = safe_url(node.get("href") or "", self.base)
        return _link_start(url) if url else ""

    def _fits(self, tag: str) -> bool:
        inside = self._path[-1][0] if self._path else ""
        if tag in _PARENTS:
            return inside in _PARENTS[tag]
        if tag == "table" and any(name == "table" for name, _ in self._path):
            return False
        return inside not in {"ul", "ol", "table", "tr"} and len(self._path) < MAX_CONTAINERS

    def _text(self, text: str) -> None:
        folded = _without_shortcodes(fold(text))
        if folded:
            self._run.append(escape(folded, quote=False))

    def _break(self) -> None:
        """A line break; the second of two ends the paragraph, as old editors meant it."""
        said = next((piece for piece in reversed(self._run) if piece.strip()), "")
        if said == "<br>" and self._leaf == "p" and not (self._path and self._path[-1][0] in {"li", "td", "th"}):
            self._flush()
        else:
            self._run.append("<br>")

    def _embed(self, url: str) -> None:
        self._flush()
        self._add("p", f"{_link_start(url)}{escape(url, quote=False)}</a>")

    def _lifted_figure(self, node: HtmlElement, tag: str) -> bool:
        """Take out a picture with its caption; a caption without its picture would read as a stray paragraph."""
        if tag != "figure" and not re.search(r"\bwp-caption\b", node.get("class") or ""):
            return False
        pictures = [*node.iter("img")]
        if not pictures or any(True for _ in node.iter("table", "iframe", "blockquote")):
            return False
        captions = [*node.iter("figcaption"), *node.find_class("wp-caption-text")]
        caption = "".join(str(piece) for piece in captions[0].itertext()) if captions else ""
        for picture in pictures:
            self._lift(picture, caption)
        return True

    def _lift(self, node: HtmlElement, caption: str) -> None:
        written = [node.get(name) or "" for name in ("src", "data-src", "data-lazy-src")]
        url = next((url for address in written if (url := safe_url(address, self.base)) and url.startswith("http")), None)
        if url and not _unseen(node):
            self.images.append(Image(url=url, caption=plain(caption, 2000)))

    def _flush(self) -> None:
        """End the paragraph; inline elements still open go on in the next one."""
        self._run.extend(f"</{tag}>" for tag, _ in reversed(self._open))
        html = _tidy("".join(self._run))
        self._run = [start for _, start in self._open]
        for part in _parted(html):
            url = _bare_url(part)
            self._add(self._leaf, f"{_link_start(url)}{escape(url, quote=False)}</a>" if url else part)

    def _add(self, leaf: str, html: str) -> None:
        self._room -= len(html)
        if self._room < 0:
            raise InvalidRequest("the body is too large", "body_html")
        path = list(self._path)
        while path and path[-1][0] not in _HOLDS_TEXT:
            path.pop()  # words between the rows of a table or the items of a list stand outside it
        self._units.append((tuple(path), leaf, html))

    def finish(self) -> str:
        self._flush()
        pieces: list[str] = []
        now: tuple[tuple[str, int], ...] = ()
        bare = False  # whether the last thing written is text directly inside an item or cell
        for path, leaf, html in self._units:
            same = _shared(now, path)
            pieces.extend(_end(tag) for tag, _ in reversed(now[same:]))
            pieces.extend(_start(tag) for tag, _ in path[same:])
            bare = bare and same == len(now) == len(path)
            now = path
            if path and path[-1][0] != "blockquote":
                pieces.append(f"<br>{html}" if bare else html)
                bare = True
            else:
                pieces.append(f"<{leaf}>{html}</{leaf}>")
        pieces.extend(_end(tag) for tag, _ in reversed(now))
        return "".join(pieces)


def _shared(one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _start(tag: str) -> str:
    return "<table><tbody>" if tag == "table" else f"<{tag}>"


def _end(tag: str) -> str:
    return "</tbody></table>" if tag == "table" else f"</{tag}>"


def _link_start(url: str) -> str:
    return f'<a href="{escape(url)}" rel="noopener">'


def _tidy(html: str) -> str:
    """Drop empty inline elements and breaks and spaces at the ends."""
    before = None
    while html != before:
        before = html
        html = re.sub(r"<(em|strong|b|i|s|sub|sup|a)(?: [^>]*)?>((?:\s|<br>)*)</\1>", r"\2", html)
    html = re.sub(r" ?<br> ?", "<br>", re.sub(r"  +", " ", html))
    start, end = 0, len(html)
    while html.startswith(("<br>", " "), start, end):
        start += 1 if html[start] == " " else 4
    while html.endswith(("<br>", " "), start, end):
        end -= 1 if html[end - 1] == " " else 4
    return html[start:end]


def _parted(html: str) -> list[str]:
    """Part a paragraph at its line breaks where a pasted address has a line to itself, as editors leave it above more words."""
    lines = html.split("<br>")
    whole = all(line.count("<") == 2 * line.count("</") for line in lines)  # no element reaches over a break
    if len(lines) == 1 or not whole or not any(map(_bare_url, lines)):
        return [html] if html else []
    parts: list[list[str]] = [[]]
    for line in lines:
        if _bare_url(line):
            parts += [[line], []]
        else:
            parts[-1].append(line)
    return [part for each in parts if (part := _tidy("<br>".join(each)))]


def _bare_url(html: str) -> str | None:
    """Return the address when a paragraph is nothing else, as pasted embeds are; broken attributes behind it do not count."""
    if len(html) > MAX_URL * 2 or "<" in html or not re.match(r"(?:https?:)?//", html):
        return None
    address, _, rest = html.replace("&amp;", "&").partition(" ")
    mangled = re.match(r"(?:target|rel|class|data-\w+)=", rest) and len(rest) <= 300
    return safe_url(address) if not rest or mangled else None


def _without_shortcodes(text: str) -> str:
    """Take out an editor's [shortcodes]; an address inside one stays. Ordinary words in brackets are prose."""
    return _SHORTCODE.sub(_plain_shortcode, text) if "[" in text else text


def _plain_shortcode(found: re.Match[str]) -> str:
    closing, name, rest = found.groups()
    if not (closing or name.lower() in _SHORTCODE_NAMES or re.match(r"\s+[\w-]+=", rest)):
        return found.group()
    address = re.search(rf"https?://[^\s{_QUOTES}\"'<>\]]+", rest)
    return f" {address.group()} " if address else " "


def _embedded_address(node: HtmlElement, tag: str) -> str | None:
    """Return the address of what another site would have shown here, or None for what is ordinary text."""
    if tag in _EMBEDS and not _unseen(node):
        own = [node.get(name) or "" for name in ("src", "data-src", "data")]
        return _first_link([*own, *(source.get("src") or "" for source in node.iter("source"))])
    if tag in {"blockquote", "div"} and _EMBED_QUOTES.search(node.get("class") or ""):
        stated = [node.get(name) or "" for name in ("cite", "data-instgrm-permalink", "data-href")]
        return _first_link([*stated, *reversed([link.get("href") or "" for link in node.iter("a")])])
    if tag == "a" and any(quote in (node.get("href") or "") for quote in _QUOTES) and not "".join(_texts(node)).strip():
        return _first_link([node.get("href") or ""])
    return None


def _unseen(node: HtmlElement) -> bool:
    """Whether a reader was never to see it: what counts readers, not what shows something."""
    tiny = any((node.get(side) or "").strip() in {"0", "1", "0px", "1px"} for side in ("width", "height"))
    return tiny or re.search(r"display:\s*none|visibility:\s*hidden", node.get("style") or "") is not None


def _texts(node: HtmlElement) -> Iterator[str]:
    return (str(piece) for piece in node.itertext())


def _first_link(addresses: list[str]) -> str | None:
    urls = (safe_url("https:" + address if address.startswith("//") else address) for address in addresses)
    return next((url for url in urls if url and url.startswith("http")), None)
