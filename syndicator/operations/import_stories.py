"""Importing stories by hand: saved pages, copied text, story documents, WordPress exports, from files or addresses.

A bad one leaves the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from syndicator.domain.stories import Source, SourceKind, StoryDraft, label_key
from syndicator.errors import IntakeError, InvalidRequest, SyndicatorError
from syndicator.house import House
from syndicator.intake.apart import Parsed, parse_apart
from syndicator.intake.clean import prepare
from syndicator.intake.document import parse_document, read_json
from syndicator.intake.page import MAX_PAGE_BYTES, read_page
from syndicator.intake.wxr import looks_like_wxr
from syndicator.operations import audit
from syndicator.operations.publish import Outcome, publish_story
from syndicator.operations.sources import site_called
from syndicator.outbound import Outbound
from syndicator.storage.queries import find_story_of, source_called

SOURCE_NAME = "import"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one path or address."""

    location: str
    outcome: Outcome | Literal["readable", "refused"]
    headline: str = ""
    public_id: str = ""
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome == "refused"

    @property
    def words(self) -> str:
        """Say it in one line."""
        said = {"made": "new", "changed": "new version", "unchanged": "nothing new", "readable": "would be taken in"}
        if self.outcome == "refused":
            return self.why if self.why.startswith(self.location) else f"{self.location}: {self.why}"
        return f"{self.location}: {said[self.outcome]}: {self.headline}" + (f" ({self.public_id})" if self.public_id else "")


Progress = Callable[[int, int, Imported], None]  # how many are done, how many there are, the one just done


def import_stories(
    house: House,
    outbound: Outbound,
    locations: Sequence[str],
    *,
    actor: str,
    on_progress: Progress | None = None,
    draft_only: bool = False,
) -> list[Imported]:
    """Take in the story at each path or http(s) address and tell `on_progress` after each; `draft_only` stores nothing."""
    results: list[Imported] = []
    for done, location in enumerate(locations, 1):
        for imported in _import_all(house, outbound, location, actor, draft_only=draft_only):
            results.append(imported)
            if on_progress is not None:
                on_progress(done, len(locations), imported)
    return results


def _import_all(house: House, outbound: Outbound, location: str, actor: str, *, draft_only: bool) -> Iterator[Imported]:
    """Yield what became of each story at `location`; an export holds many."""
    try:
        found = _found_at(house, outbound, location)
    except (SyndicatorError, OSError) as error:
        yield Imported(location, "refused", why=_why(error))
        return
    for draft in found.drafts:
        try:
            yield _import(house, location, found.site, draft, actor, draft_only=draft_only)
        except (SyndicatorError, DataError) as error:
            yield Imported(location, "refused", headline=draft.headline, why=_why(error))
    for problem in found.problems:
        yield Imported(location, "refused", why=problem)


def _why(error: Exception) -> str:
    if isinstance(error, SyndicatorError):
        return str(error)
    return error.strerror if isinstance(error, OSError) and error.strerror else "the database refused it"


def _import(house: House, location: str, site: str, draft: StoryDraft, actor: str, *, draft_only: bool) -> Imported:
    draft = prepare(
        draft,
        notice_texts=house.config.notice_texts,
        language=house.config.site.language,
        max_bytes=house.config.intake.max_story_bytes,
    )
    if draft_only:
        return Imported(location, "readable", draft.headline)
    with house.sessions.begin() as session:
        at, source = house.clock(), _source(session, site)
        if source.next_pull_at is not None and (known := find_story_of(session, source.id, draft.external_id)):
            # The site itself tells us of its changes. An export is older, and spells the same text in another way.
            return Imported(location, "unchanged", draft.headline, known.public_id)
        published = publish_story(session, house, source, draft, at=at)
        if published.outcome != "unchanged":
            audit.record(session, actor, "story.import", published.story.uri, at=at, location=location[:500])
        return Imported(location, published.outcome, draft.headline, published.story.public_id)


def _source(session: Session, site: str) -> Source:
    """Return whose stories they are. An export's belong to the site that is pulled, if one is, so that nothing is there twice."""
    name = site_called(site)
    if not name:
        return source_called(session, SOURCE_NAME, SourceKind.PAGE)
    pulled = session.scalars(select(Source).where(Source.kind == SourceKind.WORDPRESS).order_by(Source.id)).all()
    return next((each for each in pulled if site_called(each.url) == name), None) or source_called(session, name, SourceKind.WXR)


def _found_at(house: House, outbound: Outbound, location: str) -> Parsed:
    intake = house.config.intake
    content, origin = _content_of(outbound, location, intake.max_document_bytes)
    if looks_like_wxr(content):
        return parse_apart("wxr", content, origin, intake.parse_timeout_seconds)
    if len(content) > MAX_PAGE_BYTES:
        raise IntakeError(origin, f"larger than {MAX_PAGE_BYTES} bytes")
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in {b"{", b"["}:
        return Parsed((_document(content, origin),))
    if b"<" not in content[:20_000]:
        return Parsed((read_page(content, origin),))  # plain text needs no parser
    return parse_apart("page", content, origin, intake.parse_timeout_seconds)


def _content_of(outbound: Outbound, location: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the bytes and where they came from in the end."""
    if location.startswith(("http://", "https://")):
        answer = outbound.get(location, max_bytes=max_bytes)
        if answer.status != 200:
            raise IntakeError(location, f"answered {answer.status}")
        return answer.body, answer.url
    try:
        path = Path(location)
        if not path.is_file():
            raise IntakeError(location, "there is no such file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise IntakeError(location, f"larger than {max_bytes} bytes")
        return content, location
    except ValueError as error:  # a path with a NUL in it
        raise IntakeError(location, "there is no such file") from error


def _document(content: bytes, origin: str) -> StoryDraft:
    """Read a story document; its address, or else its heads, are the key by which it is known when it comes again."""
    try:
        values = read_json(content)
        draft = parse_document(values, "document")
    except InvalidRequest as error:
        raise IntakeError(origin, str(error)) from error
    heads = "\n".join(map(label_key, (draft.section, draft.headline)))
    key = draft.canonical_url or "document:" + hashlib.sha256(heads.encode()).hexdigest()[:40]
    return replace(draft, external_id=key[:500])
