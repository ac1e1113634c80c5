"""Importing stories by hand: saved pages, copied text, story documents, from files or addresses. A bad one leaves the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DataError

from syndicator.domain.stories import SourceKind, StoryDraft, label_key
from syndicator.errors import IntakeError, InvalidRequest, SyndicatorError
from syndicator.house import House
from syndicator.intake.apart import parse_apart
from syndicator.intake.clean import prepare
from syndicator.intake.document import parse_document, read_json
from syndicator.intake.page import MAX_PAGE_BYTES, read_page
from syndicator.operations import audit
from syndicator.operations.publish import Outcome, publish_story
from syndicator.outbound import Outbound
from syndicator.storage.queries import source_called

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
    for location in locations:
        try:
            results.append(_import(house, outbound, location, actor, draft_only=draft_only))
        except SyndicatorError as error:
            results.append(Imported(location, "refused", why=str(error)))
        except (DataError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "the database refused it"
            results.append(Imported(location, "refused", why=why))
        if on_progress is not None:
            on_progress(len(results), len(locations), results[-1])
    return results


def _import(house: House, outbound: Outbound, location: str, actor: str, *, draft_only: bool) -> Imported:
    draft = prepare(
        _draft_at(house, outbound, location),
        notice_texts=house.config.notice_texts,
        language=house.config.site.language,
        max_bytes=house.config.intake.max_story_bytes,
    )
    if draft_only:
        return Imported(location, "readable", draft.headline)
    with house.sessions.begin() as session:
        at = house.clock()
        published = publish_story(session, house, source_called(session, SOURCE_NAME, SourceKind.PAGE), draft, at=at)
        if published.outcome != "unchanged":
            audit.record(session, actor, "story.import", published.story.uri, at=at, location=location[:500])
        return Imported(location, published.outcome, draft.headline, published.story.public_id)


def _draft_at(house: House, outbound: Outbound, location: str) -> StoryDraft:
    content, origin = _content_of(outbound, location)
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in {b"{", b"["}:
        return _document(content, origin)
    if b"<" not in content[:20_000]:
        return read_page(content, origin)  # plain text needs no parser
    return parse_apart("page", content, origin, house.config.intake.parse_timeout_seconds).drafts[0]


def _content_of(outbound: Outbound, location: str) -> tuple[bytes, str]:
    """Return the bytes and where they came from in the end."""
    if location.startswith(("http://", "https://")):
        answer = outbound.get(location, max_bytes=MAX_PAGE_BYTES)
        if answer.status != 200:
            raise IntakeError(location, f"answered {answer.status}")
        return answer.body, answer.url
    try:
        path = Path(location)
        if not path.is_file():
            raise IntakeError(location, "there is no such file")
        with path.open("rb") as file:
            return file.read(MAX_PAGE_BYTES + 1), location
    except ValueError as error:  # a path with a NUL in it
        raise IntakeError(location, "there is no such file") from error


def _document(content: bytes, origin: str) -> StoryDraft:
    """Read a story document; its address, or else its heads, are the key by which it is known when it comes again."""
    try:
        if len(content) > MAX_PAGE_BYTES:
            raise InvalidRequest(f"larger than {MAX_PAGE_BYTES} bytes")
        values = read_json(content)
        draft = parse_document(values, "document")
    except InvalidRequest as error:
        raise IntakeError(origin, str(error)) from error
    heads = "\n".join(map(label_key, (draft.section, draft.headline)))
    key = draft.canonical_url or "document:" + hashlib.sha256(heads.encode()).hexdigest()[:40]
    return replace(draft, external_id=key[:500])
