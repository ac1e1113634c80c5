"""WordPress as a source, by its REST API (`wp/v2/posts`).

The cursor holds the API's root, the newest modification read, and the newest ids with theirs. Posts modified since are read in
order of id, which is stable over pages, on from the last page read whole; an hourly sweep over ids finds what that misses:
scheduled and backdated posts, and posts that vanished, among the newest and among a share of all that we still offer. What
vanished is asked for by its id and reported, never killed. A page that is broken, short or preceded by a PHP notice leaves the
cursor where it was; so does a password that no longer counts, since WordPress then answers as it would anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from syndicator.domain.stories import Image, Rights, StoryDraft
from syndicator.errors import InvalidRequest
from syndicator.intake.document import read_json
from syndicator.intake.pulling import Auth, Get, Gone, Pull, SourceFailed, ask
from syndicator.intake.text import letters, text_of_html, why_unread
from syndicator.outbound import Fetched

PAGE_SIZE = 100  # the most WordPress gives
MAX_PAGES = 20  # in one pull; the next one goes on from there
SWEEP_PAGES = 10  # the newest thousand ids are watched
SWEEP_EVERY = timedelta(hours=1)
OVERLAP = timedelta(seconds=2)  # modified_after excludes its own second, and clocks of one site's servers differ
MAX_RECHECKS = 20  # vanished posts asked for by id in one pull
EMBED = "author,wp:featuredmedia,wp:term"
AGENCIES = re.compile(
    r"\b(ap|associated press|afp|agence france|getty|reuters|epa|upi|shutterstock|alamy|istock|bloomberg|zuma|imago|dpa|tass|"
    r"xinhua|anadolu|nurphoto|sipa|polaris|redux|corbis|adobe stock|pool)\b",
    re.I,
)


# The next of our stories on offer after a place: places and numbers; none behind the last, and then it begins anew.
Offered = Callable[[int], Sequence[tuple[int, str]]]


@dataclass(slots=True)
class _Reading:
    """What one pull has read so far."""

    site: _Site
    known: dict[str, str]  # id: modified_gmt, of the newest posts
    drafts: dict[str, StoryDraft] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)  # how the cursor moves if the rest cannot be read

    def take(self, post: dict[str, Any], newsroom: str) -> None:
        """Read one post; one that cannot be read is a problem and leaves the others."""
        number = str(post["id"])
        was_known = number in self.known
        self.known[number] = str(post.get("modified_gmt") or "")
        if hidden := _hidden(post):
            if was_known:
                self.gone.append(Gone(number, hidden))
            return
        try:
            self.drafts[number] = read_post(post, newsroom)
        except (InvalidRequest, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            self.problems.append(f"post {number}: {why_unread(error)}")


@dataclass(frozen=True, slots=True)
class _Site:
    """One API: how to ask it for posts."""

    get: Get
    root: str
    auth: Auth
    at: datetime

    def ask(self, path: str, **query: str | int) -> Fetched:
        url = f"{self.root}wp/v2/{path}"
        return ask(self.get, f"{url}{'&' if '?' in url else '?'}{urlencode(query)}", self.at, auth=self.auth)

    def posts(self, page: int, **query: str | int) -> tuple[list[dict[str, Any]], int | None]:
        """Return one page of posts, and how many there are in all if the site says so. Raises SourceFailed."""
        answer = self.ask("posts", page=page, per_page=PAGE_SIZE, **query)
        if answer.status == 400 and page > 1 and b"rest_post_invalid_page_number" in answer.body[:2000]:
            return [], None  # behind the last page
        if answer.status != 200:
            raise SourceFailed(answer.url, f"answered {answer.status}")
        posts = _decoded(answer)
        if not isinstance(posts, list) or not all(isinstance(post, dict) and isinstance(post.get("id"), int) for post in posts):
            raise SourceFailed(answer.url, "the answer is not a list of posts")
        total = answer.headers.get("x-wp-total", "")
        if not total.isdigit():
            return posts, None
        if len(posts) < min(PAGE_SIZE, int(total) - (page - 1) * PAGE_SIZE):
            raise SourceFailed(answer.url, "the answer holds fewer posts than it says")
        return posts, int(total)

    def require_signed_in(self) -> None:
        """Raise SourceFailed when WordPress does not know us by our password: what a stranger is not shown has not vanished."""
        if self.auth is not None and (status := self.ask("users/me", _fields="id").status) != 200:
            raise SourceFailed(self.root, f"does not accept the user name and password (answered {status})")


def pull(
    get: Get,
    address: str,
    cursor: dict[str, Any],
    *,
    auth: Auth,
    newsroom: str,
    at: datetime,
    offered: Offered = lambda _after: (),
) -> Pull:
    """Return what changed at `address` since `cursor`; `newsroom` is whose pictures are cleared. Of `offered`, our own stories,
    each sweep asks after a share.

    Raises SourceFailed when no API was found; when not everything could be read, the Pull says so in `failure`.
    """
    root = str(cursor.get("api") or discover(get, address, auth, at))
    reading = _Reading(_Site(get, root, auth if _same_site(root, address) else None, at), dict(cursor.get("known") or {}))
    moved = dict(cursor) | {"api": root}
    failure = None
    try:
        reading.site.require_signed_in()
        moved |= _read_modified(reading, cursor, newsroom, at)
        if _sweep_due(moved, at):
            share = offered(int(cursor.get("offered_after") or 0))
            _sweep(reading, newsroom, [number for _, number in share])
            moved |= {"swept_at": at.isoformat(), "offered_after": share[-1][0] if share else 0}
    except SourceFailed as error:
        failure = error
        moved |= reading.progress
        if not reading.drafts:
            del moved["api"]  # look for it anew next time
    else:
        newest = sorted(reading.known, key=int, reverse=True)[: SWEEP_PAGES * PAGE_SIZE]
        moved["known"] = {number: reading.known[number] for number in newest}
    return Pull(
        drafts=tuple(reading.drafts.values()),
        cursor=moved,
        problems=tuple(reading.problems),
        gone=tuple(reading.gone),
        failure=failure,
    )


def _read_modified(reading: _Reading, cursor: dict[str, Any], newsroom: str, at: datetime) -> dict[str, Any]:
    """Read every post modified since the cursor, and return how it moves; raises SourceFailed, and then it must not."""
    after = _instant(cursor.get("modified"))
    query: dict[str, str | int] = {"orderby": "id", "order": "asc", "_embed": EMBED}
    if after:
        query["modified_after"] = f"{after - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    page = first = int(cursor.get("page") or 1)
    newest, seen, totals = _instant(cursor.get("newest")) or after, set[int](), set[int]()
    while page < first + MAX_PAGES:
        posts, total = reading.site.posts(page, **query)
        totals |= {total} if total is not None else set()
        for post in posts:
            seen.add(post["id"])
            modified = _instant(post.get("modified_gmt"))
            newest = max(filter(None, (newest, modified)), default=None)
            reading.take(post, newsroom)
        if _is_last(page, posts, total):
            if first == 1 and totals and {len(seen)} != totals:
                reading.progress = {}
                raise SourceFailed(reading.site.root, "posts moved while they were read; they will be read again")
            reading.progress = {}
            return {"modified": _text(newest and min(newest, at)), "page": 1, "newest": None}
        page += 1
        reading.progress = {"page": page, "newest": _text(newest)}
    return reading.progress


def _is_last(page: int, posts: list[dict[str, Any]], total: int | None) -> bool:
    return len(posts) < PAGE_SIZE or (total is not None and page * PAGE_SIZE >= total)


def _sweep_due(cursor: dict[str, Any], at: datetime) -> bool:
    swept = _instant(cursor.get("swept_at"))
    return cursor.get("page") == 1 and (swept is None or not swept <= at < swept + SWEEP_EVERY)


def _sweep(reading: _Reading, newsroom: str, offered: Sequence[str]) -> None:
    """Compare the newest ids with those we know; read what differs, and ask for what is missing by its id."""
    listed: dict[str, str] = {}
    for page in range(1, SWEEP_PAGES + 1):
        posts, total = reading.site.posts(page, orderby="id", order="desc", _fields="id,modified_gmt")
        listed |= {str(post["id"]): str(post.get("modified_gmt") or "") for post in posts}
        if _is_last(page, posts, total):
            oldest = 0
            break
    else:
        oldest = min(map(int, listed))
    missed = [number for number, modified in listed.items() if reading.known.get(number) != modified]
    for start in range(0, len(missed), PAGE_SIZE):
        wanted = ",".join(missed[start : start + PAGE_SIZE])
        for post in reading.site.posts(1, include=wanted, orderby="id", order="asc", _embed=EMBED)[0]:
            reading.take(post, newsroom)
    vanished = [number for number in reading.known if number not in listed and int(number) >= oldest]
    vanished += [number for number in _unlisted(reading.site, offered, listed) if number not in vanished]
    for number in vanished[:MAX_RECHECKS]:
        if why := _why_gone(reading.site, number):
            reading.gone.append(Gone(number, why))
            reading.known.pop(number, None)


def _unlisted(site: _Site, offered: Sequence[str], listed: Collection[str]) -> list[str]:
    """Return those of the posts `offered` that the site no longer lists, asked for by number."""
    numbers = [number for number in offered if number.isascii() and number.isdigit() and number not in listed]
    missing: list[str] = []
    for start in range(0, len(numbers), PAGE_SIZE):
        asked = numbers[start : start + PAGE_SIZE]
        shown = {str(post["id"]) for post in site.posts(1, include=",".join(asked), _fields="id,modified_gmt")[0]}
        missing.extend(number for number in asked if number not in shown)
    return missing


def _why_gone(site: _Site, number: str) -> str:
    """Ask for a post that is no longer listed. Only the answer of WordPress itself counts: an outage or a block says nothing."""
    answer = site.ask(f"posts/{number}", _fields="id,status,modified_gmt")
    try:
        said = _decoded(answer)
        code, status = said.get("code"), said.get("status")
    except (SourceFailed, AttributeError):
        return ""
    if answer.status == 200 and isinstance(status, str) and status != "publish":
        return "no longer published at its source"  # we are signed in, and may see it
    if answer.status == 404 and code == "rest_post_invalid_id":
        return "deleted at its source"
    if answer.status in {401, 403} and code in {"rest_forbidden", "rest_cannot_read"}:
        return "no longer public at its source"
    return ""


def still_gone(
    get: Get, address: str, cursor: dict[str, Any], numbers: Sequence[str], *, auth: Auth, at: datetime
) -> dict[str, str]:
    """Ask for each post once more and return those that WordPress itself says are gone, with the reason.

    Raises SourceFailed unless the site knows us and lists posts as ever, since a closed API refuses all alike.
    """
    root = str(cursor.get("api") or discover(get, address, auth, at))
    site = _Site(get, root, auth if _same_site(root, address) else None, at)
    site.require_signed_in()
    if not site.posts(1, orderby="id", order="desc", _fields="id,modified_gmt")[0]:
        raise SourceFailed(root, "the site lists no posts at all")
    return {number: why for number in numbers if (why := _why_gone(site, number))}


def discover(get: Get, address: str, auth: Auth, at: datetime) -> str:
    """Find the API's root: the home page's Link header or element, /wp-json/, or ?rest_route=. Raises SourceFailed."""
    base = address if address.endswith("/") else f"{address}/"
    candidates = [base] if "/wp-json/" in base else []
    if not candidates:
        home = ask(get, address, at, auth=auth)
        stated = re.search(r'<([^<>]{1,2000})>\s*;\s*rel="?https://api\.w\.org/"?', home.headers.get("link", ""))
        element = re.search(rb"""<link[^<>]{0,300}rel=["']https://api\.w\.org/["'][^<>]{0,2000}>""", home.body[:500_000])
        href = re.search(rb"""href=["']([^"'<>]{1,2000})""", element[0]) if element else None
        found = [stated[1] if stated else "", href[1].decode("utf-8", "replace") if href else ""]
        candidates = [urljoin(home.url, text_of_html(each)) for each in found if each]
        candidates += [urljoin(base, "wp-json/"), f"{base}?rest_route=/"]
    for root in dict.fromkeys(candidates):
        try:
            answer = ask(get, root, at, auth=auth if _same_site(root, address) else None)
            if answer.status == 200 and "wp/v2" in _decoded(answer).get("namespaces", []):
                return root if root.endswith("/") else f"{root}/"
        except (SourceFailed, AttributeError, TypeError):
            continue
    raise SourceFailed(address, "no WordPress API was found there; its feed may be open instead")


def _same_site(root: str, address: str) -> bool:
    """Whether the API is where we were told to go, so that it may have the password; http may have become https."""
    there, told = urlsplit(root), urlsplit(address)
    return there[:2] == told[:2] or (there.scheme == "https" and told.scheme == "http" and there.netloc == told.netloc)


def read_post(post: dict[str, Any], newsroom: str) -> StoryDraft:
    """Return the draft in one post with its embedded author, terms and picture; raises what a malformed one makes it raise."""
    embedded = post.get("_embedded") or {}
    terms = [term for group in embedded.get("wp:term") or [] if isinstance(group, list) for term in group if "code" not in term]
    categories = [text_of_html(term["name"]) for term in terms if term.get("taxonomy") == "category"]
    return StoryDraft(
        external_id=str(post["id"]),
        headline=text_of_html(_rendered(post, "title")),
        body_html=_rendered(post, "content"),
        summary=re.sub(r"\s*\[?(…|\.\.\.)\]?\s*$", "…", text_of_html((post.get("excerpt") or {}).get("rendered") or "")),
        byline=tuple(_authors(post, embedded)),
        section=next((name for name in categories if name.lower() != "uncategorized"), ""),
        tags=tuple(text_of_html(term["name"]) for term in terms if term.get("taxonomy") == "post_tag"),
        canonical_url=str(post.get("link") or ""),
        published_at=_instant(post.get("date_gmt")),
        images=tuple(_pictures(embedded, newsroom)),
    )


def _rendered(post: dict[str, Any], part: str) -> str:
    """Return a part that every post has, as WordPress renders it. Raises InvalidRequest where it is none."""
    words = post[part].get("rendered") if isinstance(post.get(part), dict) else None
    if not isinstance(words, str):
        raise InvalidRequest(f"it has no {part} that is text", part)
    return words


def _authors(post: dict[str, Any], embedded: dict[str, Any]) -> list[str]:
    names = [each.get("name") for each in embedded.get("author") or [] if isinstance(each, dict) and "code" not in each]
    stated = (post.get("yoast_head_json") or {}).get("author")
    return [text_of_html(name) for name in names or [stated] if isinstance(name, str)]


def _pictures(embedded: dict[str, Any], newsroom: str) -> Iterator[Image]:
    for media in embedded.get("wp:featuredmedia") or []:
        if not isinstance(media, dict) or not media.get("source_url"):
            continue  # an error object: the picture was deleted or is private
        caption = text_of_html((media.get("caption") or {}).get("rendered") or "")
        details = media.get("media_details")
        meta = details.get("image_meta") if isinstance(details, dict) else None
        credit = text_of_html(str(meta.get("credit") or "")) if isinstance(meta, dict) else ""
        rights = Rights.FREE if cleared(credit or caption, newsroom) else Rights.NONE
        yield Image(url=str(media["source_url"]), caption=caption, credit=credit, rights=rights)


def cleared(credit: str, newsroom: str) -> bool:
    """Say whether a credit names our own newsroom, by name or initials, and no agency. Anything else is not ours to give."""
    initials = "".join(word[0] for word in re.findall(r"[A-Z]\w+", newsroom))
    by_initials = len(initials) >= 3 and re.search(rf"\b{initials}\b", credit) is not None
    by_name = letters(newsroom) != "" and letters(newsroom) in letters(credit)
    return (by_initials or by_name) and not AGENCIES.search(credit)


def _hidden(post: dict[str, Any]) -> str:
    """Say why a post that is listed is nevertheless not for readers; empty when it is."""
    if post.get("status", "publish") != "publish":
        return "no longer published at its source"
    protected = any(
        (post.get(part) or {}).get("protected") for part in ("content", "excerpt") if isinstance(post.get(part), dict)
    )
    return "behind a password at its source" if protected else ""


def _decoded(answer: Fetched) -> Any:
    try:
        return read_json(answer.body)
    except InvalidRequest as error:
        raise SourceFailed(answer.url, "the answer is not JSON") from error


def _instant(text: object) -> datetime | None:
    """Read a time in UTC; WordPress leaves out its zone. None for a draft's missing or zero time, and before there was a web."""
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment and moment.year > 1970 else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
