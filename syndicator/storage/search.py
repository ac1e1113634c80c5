"""Finding stories by their words: FTS5 on SQLite, tsvector on PostgreSQL, both behind the functions here.

Words are all wanted, `"words in quotes"` in that order; anything else in a query is only a gap between words, so nobody can write
the language of either index. Both compare stems of English. What may be found is for `storage/listing.py` to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from sqlalchemy import ColumnElement, Dialect, column, delete, func, insert, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Session

from syndicator.domain.findable import MAX_WORDS, LabelKind, StoryLabel, StoryText, search_key
from syndicator.domain.stories import Story, StoryVersion
from syndicator.errors import InvalidRequest
from syndicator.render.plain import cleaned, plain_text

MAX_QUERY = 200
MAX_PHRASES = 20
EXCERPT_WORDS = 30
HEADLINE_BYTES = 20_000  # of a body that PostgreSQL reads again for an excerpt
START, STOP = "\x02", "\x03"  # stand around what matched until the rest is escaped; no stored text holds them
WEIGHTS = (10, 4, 4, 2, 1)  # headline, byline, labels, summary, body

_PARTS = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")
_FTS5 = table("story_words", column("rowid"), column("story_words"))
_COLUMNS = ("headline", "byline", "labels", "summary", "body")


@dataclass(frozen=True, slots=True)
class Matching:
    """How one database finds words: join on `story_id`, keep what satisfies `condition`, best `rank` first."""

    story_id: ColumnElement[int]
    condition: ColumnElement[bool]
    rank: ColumnElement[float]


@dataclass(frozen=True, slots=True)
class Marked:
    """HTML, escaped, with `<mark>` around what matched."""

    headline: str
    excerpt: str


def read_words(query: str) -> str:
    """Return `query` as quoted phrases that both indexes understand alike. Raises InvalidRequest when it holds no word."""
    if len(query) > MAX_QUERY:
        raise InvalidRequest(f"may have {MAX_QUERY} characters", "q")
    phrases = [" ".join(_WORD.findall(quoted or word)) for quoted, word in _PARTS.findall(query)]
    wanted = [f'"{phrase}"' for phrase in phrases if phrase]
    if not wanted or len(wanted) > MAX_PHRASES:
        raise InvalidRequest(f"needs 1 to {MAX_PHRASES} words or phrases to look for", "q")
    return " ".join(wanted)


def matching(dialect: Dialect, words: str) -> Matching:
    """Return how `dialect` finds `words`, as read_words wrote them."""
    if dialect.name == "sqlite":
        rank = func.bm25(literal_column("story_words"), *WEIGHTS)
        return Matching(_FTS5.c.rowid, _FTS5.c.story_words.match(words), rank)
    asked, indexed = _asked(words), literal_column("story_texts.search_words", TSVECTOR)
    return Matching(StoryText.__table__.c.story_id, indexed.op("@@", is_comparison=True)(asked), -func.ts_rank(indexed, asked))


def mark(session: Session, story_ids: Sequence[int], words: str) -> dict[int, Marked]:
    """Return what matched `words` in each of the stories, of which there are few."""
    if not story_ids:
        return {}
    found = matching(session.get_bind().dialect, words)
    if session.get_bind().dialect.name == "sqlite":
        index: ColumnElement[str] = literal_column("story_words")
        headline: Any = func.highlight(index, 0, START, STOP)
        excerpt: Any = func.snippet(index, 4, START, STOP, "…", EXCERPT_WORDS)
    else:
        shape = f"StartSel={START}, StopSel={STOP}"
        headline = func.ts_headline("english", StoryText.headline, _asked(words), f"{shape}, HighlightAll=true")
        beginning = func.left(StoryText.body, HEADLINE_BYTES)
        excerpt = func.ts_headline("english", beginning, _asked(words), f"{shape}, MaxWords={EXCERPT_WORDS}, MinWords=15")
    wanted = select(found.story_id, headline, excerpt).where(found.story_id.in_(story_ids), found.condition)
    return {story_id: Marked(_marked(title), _marked(part)) for story_id, title, part in session.execute(wanted)}


def put_findable(session: Session, story: Story, version: StoryVersion) -> None:
    """Let `story` be found by what `version` says, and by nothing that an earlier one said."""
    forget(session, story.id)
    labels = {
        (kind, key)
        for kind, names in (
            (LabelKind.SECTION, [version.section]),
            (LabelKind.TAG, version.tags),
            (LabelKind.AUTHOR, version.byline),
        )
        for name in names
        if (key := search_key(name))
    }
    rows = [{"kind": kind, "key": key, "published_at": story.published_at, "story_id": story.id} for kind, key in sorted(labels)]
    if rows:
        session.execute(insert(StoryLabel), rows)
    words = {
        "headline": cleaned(version.headline),
        "byline": cleaned("\n".join(version.byline)),
        "labels": cleaned("\n".join([version.section, *version.tags])),
        "summary": cleaned(version.summary),
        "body": plain_text(version.body_html)[:MAX_WORDS],
    }
    session.execute(insert(StoryText).values(story_id=story.id, **words))
    if session.get_bind().dialect.name == "sqlite":
        session.execute(
            _tell_fts5("INSERT INTO story_words (rowid, {names}) VALUES (:story_id, {values})"), words | {"story_id": story.id}
        )


def forget(session: Session, story_id: int) -> None:
    """Let the story be found by nothing."""
    session.execute(delete(StoryLabel).where(StoryLabel.story_id == story_id))
    gone = delete(StoryText).where(StoryText.story_id == story_id).returning(*StoryText.__table__.columns)
    old = session.execute(gone).mappings().one_or_none()
    if old is not None and session.get_bind().dialect.name == "sqlite":
        # An index without a copy of the words has to be told which ones to take out.
        deletion = "INSERT INTO story_words (story_words, rowid, {names}) VALUES ('delete', :story_id, {values})"
        session.execute(_tell_fts5(deletion), dict(old))


def _tell_fts5(statement: str) -> Any:
    return text(statement.format(names=", ".join(_COLUMNS), values=", ".join(f":{name}" for name in _COLUMNS)))


def _asked(words: str) -> ColumnElement[Any]:
    return func.websearch_to_tsquery("english", words)


def _marked(found: str) -> str:
    return escape(found).replace(START, "<mark>").replace(STOP, "</mark>")
