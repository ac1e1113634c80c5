"""What stories are found by: labels (section, tags, authors) and words. Kept in step in the story's own transaction.

The full-text part differs between databases and cannot be said in a model: `WORDS_INDEX` has it as statements, which run after
the table is made, in tests as in the migration. What they make is listed in `MADE_BY_STATEMENT`, since no model knows it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, ForeignKey, Index, String, Table, Text, event, text
from sqlalchemy.orm import Mapped, mapped_column

from syndicator.domain.base import Base, choice
from syndicator.domain.stories import label_key

MAX_KEY = 200
MAX_WORDS = 100_000  # characters of one story's body that are searched; PostgreSQL refuses to index a megabyte


class LabelKind(StrEnum):
    SECTION = "section"
    TAG = "tag"
    AUTHOR = "author"


class StoryLabel(Base):
    """A section, tag or author of a story as it stands now, in the order in which stories are listed."""

    __tablename__ = "story_labels"
    __table_args__ = (Index("ix_story_labels_story", "story_id"),)

    kind: Mapped[LabelKind] = mapped_column(choice(LabelKind), primary_key=True)
    key: Mapped[str] = mapped_column(String(MAX_KEY), primary_key=True)
    published_at: Mapped[datetime] = mapped_column(primary_key=True)  # the story's, which is fixed once it is out
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), primary_key=True)


class StoryText(Base):
    """The words of a story's current version, without markup."""

    __tablename__ = "story_texts"

    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), primary_key=True)
    headline: Mapped[str] = mapped_column(Text)
    byline: Mapped[str] = mapped_column(Text)
    labels: Mapped[str] = mapped_column(Text)  # section and tags
    summary: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)


def search_key(label: str) -> str:
    """Return the form in which labels are compared, bounded."""
    return label_key(label)[:MAX_KEY]


# Weights A to D are headline, byline and labels, summary, body. SQLite's index holds no copy of the words; storage/search.py
# writes to it, since a trigger may not where the schema is not trusted.
FTS5 = """
CREATE VIRTUAL TABLE story_words USING fts5(
    headline, byline, labels, summary, body,
    content='story_texts', content_rowid='story_id', tokenize='porter unicode61 remove_diacritics 2'
)"""
TSVECTOR = """
ALTER TABLE story_texts ADD COLUMN search_words tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('english', headline), 'A')
    || setweight(to_tsvector('english', byline || ' ' || labels), 'B')
    || setweight(to_tsvector('english', summary), 'C')
    || setweight(to_tsvector('english', body), 'D')
) STORED"""
WORDS_INDEX = {
    "sqlite": (FTS5,),
    "postgresql": (TSVECTOR, "CREATE INDEX ix_story_texts_words ON story_texts USING gin (search_words)"),
}
WORDS_INDEX_GONE = {"sqlite": ("DROP TABLE story_words",), "postgresql": ()}  # PostgreSQL's goes with its table
FTS5_TABLES = ("story_words", "story_words_config", "story_words_data", "story_words_docsize", "story_words_idx")
MADE_BY_STATEMENT = frozenset({*FTS5_TABLES, "search_words", "ix_story_texts_words"})


@event.listens_for(StoryText.__table__, "after_create")
def _make_words_index(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in WORDS_INDEX[connection.dialect.name]:
        connection.execute(text(statement))
