"""WordPress channel: one post for each story on a partner's site, by its REST API (WordPress 5.6 or later).

No create there is idempotent, so nothing is created before our own slug was looked for in every state, trashed too; what we are
about to write is noted first, so that an answer that got lost is understood later. A copy the partner changed is left alone
unless it gave leave; a kill takes it off the site all the same. Which right is missing is said in plain words. The example of a
test send is a draft whatever the partner chose, and goes into the trash at once.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from syndicator.channels import Accepted, Answer, Deferred, Outcome, Parcel, Refused
from syndicator.channels.answers import least_wait_seconds, read_answer
from syndicator.channels.options import WordPressOptions
from syndicator.domain.stories import label_key, slug_of
from syndicator.errors import AddressRefused, FetchFailed
from syndicator.outbound import Fetched, Outbound
from syndicator.render.entry import Entry, Terms
from syndicator.render.html import story_parts
from syndicator.render.notice import title_of
from syndicator.render.plain import cleaned, plain_text, summary_of

TEXTS = ("title", "content", "excerpt")
STATES = ("publish", "future", "draft", "pending", "private", "trash")
UNSEEN_SECONDS = 120.0  # a create whose answer got lost may still be at work there; PHP ends it well before
WORDS = {
    "rest_cannot_create": "this WordPress user may not make posts",
    "rest_cannot_publish": "this WordPress user may not publish; an editor's account can, or choose status draft or pending",
    "rest_cannot_edit": "this WordPress user may not edit that post; an editor's account can",
    "rest_cannot_edit_others": "this WordPress user may not edit the posts of others; an editor's account can",
    "rest_cannot_delete": "this WordPress user may not trash that post; an editor's account can",
    "rest_forbidden_context": "this WordPress user may not edit posts",
    "rest_forbidden_status": "this WordPress user may not see drafts; an author's or editor's account can",
    "rest_no_route": "there is no WordPress REST API at this address",
    "application_passwords_disabled": "application passwords are switched off on this WordPress",
    "rest_not_logged_in": "WordPress did not take the user name and application password",
    "incorrect_password": "WordPress did not take the application password",
    "invalid_username": "WordPress knows no such user",
}
# Where SEO plugins keep these hints; WordPress drops what a site has not registered, so they are sent only where it has.
CANONICAL_META = ("_yoast_wpseo_canonical", "rank_math_canonical_url", "syndication_canonical")
NOINDEX_META = ("_yoast_wpseo_meta-robots-noindex", "syndication_noindex")

Post = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What we know of our copy of one story on one site. `seen` is how it looked after our last answered write; `sent` are the
    words of a write that has not been answered yet, empty when every one was."""

    remote_id: int | None = None
    url: str = ""
    version: int = 0
    seen: str = ""
    sent: str = ""
    withdrawn: bool = False
    changed_there: bool = False  # the partner changed it, so that a newer version of ours was not put in


class Copies(Protocol):
    """The memory of what we put where, by delivery."""

    def find(self, delivery_id: int) -> Copy: ...
    def keep(self, delivery_id: int, copy: Copy) -> None: ...


@dataclass(slots=True)
class OneCopy:
    """Copies of one visit that nobody remembers later: an example's."""

    copy: Copy = field(default_factory=Copy)

    def find(self, delivery_id: int) -> Copy:
        return self.copy

    def keep(self, delivery_id: int, copy: Copy) -> None:
        self.copy = copy


class Trouble(Exception):
    """A conversation that cannot go on; `outcome` says why."""

    def __init__(self, outcome: Deferred | Refused, code: str = "") -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.code = code


@dataclass(frozen=True, slots=True)
class Site:
    """One WordPress, and the account we write with. Every answer but success is raised as Trouble."""

    outbound: Outbound
    address: str
    user: str
    password: str
    at: datetime

    def ask(self, method: str, route: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None) -> Any:
        """Call `route` such as /wp/v2/posts, in the form that needs no pretty permalinks, and return the JSON."""
        parts = urlencode({"rest_route": route, **(query or {})})
        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if body is not None else {})
        content = json.dumps(body).encode() if body is not None else None
        where = f"{self.address.rstrip('/')}/?{parts}"
        try:
            answer = self.outbound.request(method, where, headers=headers, body=content, auth=(self.user, self.password))
        except AddressRefused as error:
            raise Trouble(Deferred("address-refused")) from error
        except FetchFailed as error:
            raise Trouble(Deferred(error.why, least_wait_seconds(error.why))) from error
        return self._read(answer)

    def _read(self, answer: Fetched) -> Any:
        try:
            found: Any = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        if 200 <= answer.status < 300:
            if not isinstance(found, dict | list):
                raise Trouble(Deferred("broken-answer"))
            return found
        code = str(found.get("code", "")) if isinstance(found, dict) else ""
        if code == "term_exists" and isinstance(found, dict) and isinstance(found.get("data"), dict):
            return {"id": found["data"].get("term_id")}
        raise Trouble(self._told(answer, code), code)

    def _told(self, answer: Fetched, code: str) -> Deferred | Refused:
        if words := WORDS.get(code):
            return Deferred(words)
        if answer.status in {401, 403}:
            return Deferred(f"WordPress refuses this account ({answer.status})")
        outcome = read_answer(Answer(status=answer.status, headers=answer.headers), self.at)
        if isinstance(outcome, Accepted | Refused):  # 410 is an answer about one post here, and ends nothing
            return Deferred(f"http-{answer.status}")
        return outcome


@dataclass(frozen=True, slots=True)
class WordPress:
    """A ConversationChannel. A parcel's only secret is the application password."""

    outbound: Outbound
    copies: Copies

    def party(self, parcel: Parcel) -> str:
        return urlsplit(parcel.endpoint).netloc.lower()

    def deliver(self, parcel: Parcel, at: datetime) -> Outcome:
        options = WordPressOptions.model_validate(parcel.options)
        site = Site(self.outbound, parcel.endpoint, options.user, parcel.secrets[0], at)
        if parcel.entry.example:
            return _show_example(site, options, parcel)
        visit = Visit(site, options, parcel, self.copies)
        try:
            return visit.withdraw() if parcel.entry.withdrawn else visit.bring()
        except Trouble as trouble:
            return trouble.outcome


def check_login(outbound: Outbound, address: str, user: str, password: str, at: datetime) -> str:
    """Try the account; returns what stands in the way in plain words, empty when nothing does."""
    try:
        rights = _rights(Site(outbound, address, user, password, at))
    except Trouble as trouble:
        return trouble.outcome.reason
    return "" if not rights or "edit_posts" in rights else WORDS["rest_cannot_create"]


def _rights(site: Site) -> set[str]:
    """Return what the account may do, in WordPress's words; empty where the site does not say."""
    me = site.ask("GET", "/wp/v2/users/me", {"context": "edit"})
    found = me.get("capabilities") if isinstance(me, dict) else None
    return {str(right) for right, held in found.items() if held} if isinstance(found, dict) else set()


def _show_example(site: Site, options: WordPressOptions, parcel: Parcel) -> Outcome:
    """Make the example as a story is made, but as a draft, and put it into the trash; says what the account may besides.

    Where an answer got lost, the post there may be is looked for by its slug the next time, before another is made.
    """
    copies = OneCopy()
    as_draft = options.model_copy(update={"status": "draft", "on_kill": "trash", "overwrite": True})
    visit = Visit(site, as_draft, parcel, copies)
    try:
        rights = _rights(site)
        if rights and options.status == "publish" and "publish_posts" not in rights:
            return Deferred(WORDS["rest_cannot_publish"])
        outcome = visit.bring()
        if not isinstance(outcome, Accepted):
            return outcome
        post = copies.copy.remote_id
        visit.withdraw()
    except Trouble as trouble:
        if copies.copy.remote_id is None:
            return trouble.outcome
        if trouble.code:
            return replace(trouble.outcome, reason=f"{trouble.outcome.reason}; the example stays there as a draft")
        return Deferred(trouble.outcome.reason, UNSEEN_SECONDS)
    end = "put into the trash" if copies.copy.withdrawn else "left as a draft, since this site keeps no trash"
    return Accepted(f"post {post} was made as a draft and {end}{_may(rights)}")


def _may(rights: set[str]) -> str:
    """Say which rights that a subscription may need the account has, and which not; empty where that is not known."""
    known = {"publish_posts": "publish posts", "manage_categories": "make categories and tags"}
    told = [f"may{'' if right in rights else ' not'} {words}" for right, words in known.items()]
    return f"; the account {' and '.join(told)}" if rights else ""


@dataclass(slots=True)
class Visit:
    """One conversation about one story. What is known of the copy is kept before and after each write."""

    site: Site
    options: WordPressOptions
    parcel: Parcel
    copies: Copies

    def bring(self) -> Outcome:
        """Make the post, or bring the one there is up to date."""
        copy = self.copies.find(self.parcel.delivery_id)
        post = self._find(copy)
        if post is None and copy.seen and not copy.withdrawn:
            self._keep(replace(copy, changed_there=True))
            return Refused("the partner deleted its copy; it is not made again")
        if post is None:
            return self._create(copy)
        if not self._ours(copy, post) and not self.options.overwrite:
            self._keep(replace(copy, remote_id=post["id"], url=_url(post), changed_there=True))
            return Refused("the partner changed its copy; it is not overwritten without leave (option overwrite)")
        gone = copy.withdrawn or post.get("status") == "trash"
        status = {"status": self.options.status} if gone else {}  # else the partner's editors have decided
        return self._write(copy, post["id"], self._texts() | self._labels() | status)

    def withdraw(self) -> Outcome:
        """Take the story off the site, whatever was done to the copy; one of ours says why from now on."""
        copy = self.copies.find(self.parcel.delivery_id)
        post = self._find(copy)
        if post is None and copy.sent and not copy.withdrawn:
            self._keep(replace(copy, withdrawn=True))
            return Deferred("a post made before may still appear", UNSEEN_SECONDS)
        if post is None or post.get("status") == "trash":
            self._keep(replace(copy, withdrawn=True, sent=""))
            return Accepted()
        if self.options.on_kill == "trash" and self._trash(post["id"]):
            self._keep(replace(copy, remote_id=post["id"], withdrawn=True, sent=""))
            return Accepted()
        told = self._texts() if self._ours(copy, post) else {}
        return self._write(replace(copy, withdrawn=True), post["id"], {**told, "status": "draft"})

    def _find(self, copy: Copy) -> Post | None:
        """Return our post as its editor sees it, by number or else by slug, in every state there is."""
        if copy.remote_id is not None:
            try:
                return _post(self.site.ask("GET", f"/wp/v2/posts/{copy.remote_id}", {"context": "edit"}))
            except Trouble as trouble:
                if trouble.code != "rest_post_invalid_id":
                    raise
        slug = slug_for(self.parcel.entry)
        query = {
            "slug": f"{slug},{slug}__trashed",
            "status": ",".join(STATES),
            "context": "edit",
            "orderby": "id",
            "order": "asc",
        }
        found = self.site.ask("GET", "/wp/v2/posts", query)
        return _post(found[0]) if found else None

    def _create(self, copy: Copy) -> Outcome:
        fields = self._texts() | self._labels() | {"slug": slug_for(self.parcel.entry), "status": self.options.status}
        self._keep(replace(copy, sent=_words(fields), version=self.parcel.entry.version))
        try:
            post = _post(self.site.ask("POST", "/wp/v2/posts", {"context": "edit"}, fields))
        except Trouble as trouble:
            if trouble.code or not isinstance(trouble.outcome, Deferred):
                raise
            wait = max(trouble.outcome.retry_after_seconds or 0.0, UNSEEN_SECONDS)
            return replace(trouble.outcome, retry_after_seconds=wait)
        return self._done(copy, post)

    def _write(self, copy: Copy, number: int, fields: Mapping[str, Any]) -> Outcome:
        self._keep(replace(copy, remote_id=number, sent=_words(fields)))
        return self._done(copy, _post(self.site.ask("POST", f"/wp/v2/posts/{number}", {"context": "edit"}, fields)))

    def _done(self, copy: Copy, post: Post) -> Outcome:
        """Note how the post looks now; hints that this site keeps in meta are put there in one more write."""
        meta = self._hints(post)
        if meta:
            post = _post(self.site.ask("POST", f"/wp/v2/posts/{post['id']}", {"context": "edit"}, {"meta": meta}))
        withdrawn = self.parcel.entry.withdrawn
        self._keep(
            Copy(
                remote_id=post["id"],
                url=_url(post),
                version=self.parcel.entry.version,
                seen=looks(post),
                withdrawn=withdrawn,
            )
        )
        return Accepted()

    def _ours(self, copy: Copy, post: Post) -> bool:
        """Whether the post stands as we left it. One in the trash that we did not put there is the partner's wish."""
        if copy.withdrawn:
            return True
        words = _words({name: _raw(post, name) for name in TEXTS})
        known = words in {copy.sent, _words(self._texts())} or copy.seen == looks(post)
        return known and post.get("status") != "trash"

    def _trash(self, number: int) -> bool:
        """Put the post into the trash; False where the site keeps none, so that it must become a draft instead."""
        try:
            self.site.ask("DELETE", f"/wp/v2/posts/{number}")
        except Trouble as trouble:
            if trouble.code not in {"rest_already_trashed", "rest_trash_not_supported"}:
                raise
            return trouble.code == "rest_already_trashed"
        return True

    def _texts(self) -> dict[str, Any]:
        entry = cleaned(self.parcel.entry)
        summary = "" if entry.withdrawn else summary_of(entry)
        content = content_for(entry, self.parcel.terms, self.options)
        return {"title": title_of(entry), "content": content, "excerpt": summary}

    def _labels(self) -> dict[str, Any]:
        entry = self.parcel.entry
        tags = [tag for tag in entry.labels if label_key(tag) != label_key(entry.section)] if self.options.tags else []
        found = {"categories": self._categories(), "tags": self._terms("tags", tags)}
        return {name: numbers for name, numbers in found.items() if numbers}

    def _categories(self) -> list[int]:
        entry, mapped = self.parcel.entry, {label_key(label): there for label, there in self.options.categories.items()}
        wanted = [mapped[label_key(label)] for label in entry.labels if label_key(label) in mapped]
        wanted = wanted or [self.options.default_category or entry.section]
        numbers = [each for each in wanted if isinstance(each, int)]
        return numbers + self._terms("categories", [each for each in wanted if isinstance(each, str) and each])

    def _terms(self, taxonomy: str, names: Sequence[str]) -> list[int]:
        """Return the numbers of terms by name, making those that are missing where that is wished and allowed."""
        slugs = {name: slug_of(name) for name in names}
        known: dict[str, Any] = {}
        if any(slugs.values()):  # names with an ampersand are stored escaped, so only slugs are found
            query = {"slug": ",".join(filter(None, slugs.values())), "per_page": "100"}
            known = {str(term["slug"]): term["id"] for term in self.site.ask("GET", f"/wp/v2/{taxonomy}", query)}
        made = [known.get(slug) or self._make_term(taxonomy, name, slug) for name, slug in slugs.items()]
        return [number for number in made if isinstance(number, int)]

    def _make_term(self, taxonomy: str, name: str, slug: str) -> int | None:
        """Make a term; an account that may not (an author's) leaves the story without it."""
        if not self.options.new_terms:
            return None
        try:
            made = self.site.ask("POST", f"/wp/v2/{taxonomy}", None, {"name": name} | ({"slug": slug} if slug else {}))
        except Trouble as trouble:
            if trouble.code == "rest_cannot_create":
                return None
            raise
        number = made.get("id")
        return number if isinstance(number, int) else None

    def _hints(self, post: Post) -> dict[str, str]:
        """The meta fields that this site has registered and that do not say yet what they should."""
        entry = self.parcel.entry
        wanted = dict.fromkeys(CANONICAL_META, entry.original_url or entry.url)
        if self.options.noindex or self.parcel.terms.noindex:
            wanted |= dict.fromkeys(NOINDEX_META, "1")
        meta = post.get("meta")
        return {key: value for key, value in wanted.items() if isinstance(meta, dict) and meta.get(key, value) != value}

    def _keep(self, copy: Copy) -> None:
        self.copies.keep(self.parcel.delivery_id, copy)


def slug_for(entry: Entry) -> str:
    """Return the slug by which we know our post again; it never changes, unlike the headline."""
    return f"wire-{entry.public_id.replace('_', '-').lower()}"


def content_for(entry: Entry, terms: Terms, options: WordPressOptions) -> str:
    """Return the post's body: byline, cleared pictures, story, the link to the original, the notice once.

    Plain elements only: WordPress takes scripts from an editor, and takes markup apart for others.
    """
    shown = cleaned(replace(entry, images=entry.images if options.images else ()))
    return "\n".join(story_parts(shown, cleaned(terms), byline_too=options.byline, origin_rel="canonical"))


def looks(post: Post) -> str:
    """Return a mark of how the post looks to its editor: any change of title, text or summary changes it."""
    return hashlib.sha256(json.dumps([_raw(post, name) for name in TEXTS]).encode()).hexdigest()


def _words(fields: Mapping[str, Any]) -> str:
    """Return a mark of the words alone: WordPress writes markup and entities its own way for accounts it does not trust."""
    told = [" ".join(html.unescape(plain_text(str(fields.get(name, "")))).split()) for name in TEXTS]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _raw(post: Post, name: str) -> str:
    value = post.get(name)
    return str(value.get("raw", "")) if isinstance(value, dict) else ""


def _url(post: Post) -> str:
    return str(post.get("link", ""))[:2048]


def _post(found: Any) -> Post:
    if not isinstance(found, dict) or not isinstance(found.get("id"), int):
        raise Trouble(Deferred("broken-answer"))
    return found
