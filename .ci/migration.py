"""Writes migrations from the models: `migration.py` rewrites the first one, `migration.py WORDS` adds the next one.

Before the first release there is one migration, rewritten whenever a model changes; afterwards a released one is never touched.
The output depends on nothing but the models. Read it before you commit it: a rename looks like a drop and an add.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Enum, create_engine

from syndicator.domain.base import Json, UtcDateTime
from syndicator.domain.findable import WORDS_INDEX, WORDS_INDEX_GONE
from syndicator.domain.tables import TABLES
from syndicator.storage import schema
from syndicator.storage.engine import open_engine

VERSIONS = Path(schema.__file__).parent / "migrations" / "versions"
FIRST = VERSIONS / "0001_initial.py"
HEAD = '''"""Everything, as the models stood at the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

# What no model can say, by database: run after the tables are made, and before they go.
MADE = {made}
UNMADE = {unmade}


def upgrade() -> None:
    {upgrades}
    for statement in MADE[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def downgrade() -> None:
    for statement in UNMADE[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))
    {downgrades}
'''


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our own types as what they are in the database, so that an old migration does not follow a newer class."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, Json):
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def written(statements: dict[str, tuple[str, ...]]) -> str:
    """Write statements by database as Python, with their own line breaks."""
    quotes = '"""'
    lines = {name: ", ".join(f"{quotes}{statement}{quotes}" for statement in listed) for name, listed in statements.items()}
    return "{" + ", ".join(f'"{name}": [{listed}]' for name, listed in lines.items()) + "}"


def rewrite_first() -> Path:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        produced = produce_migrations(MigrationContext.configure(connection), TABLES)
    engine.dispose()
    if produced.upgrade_ops is None or produced.downgrade_ops is None:
        raise SystemExit("the models hold no table")
    code = HEAD.format(
        made=written(WORDS_INDEX),
        unmade=written(WORDS_INDEX_GONE),
        upgrades=render_python_code(produced.upgrade_ops, render_item=render_item),
        downgrades=render_python_code(produced.downgrade_ops, render_item=render_item),
    )
    FIRST.write_text(code, encoding="utf-8")
    return FIRST


def add_next(message: str) -> Path:
    number = f"{len(list(VERSIONS.glob('[0-9]*.py'))) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/scratch.db")
        schema.upgrade(engine)
        alembic = schema.alembic_config()
        alembic.attributes["render_item"] = render_item
        alembic.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        with engine.begin() as connection:
            alembic.attributes["connection"] = connection
            written = command.revision(alembic, message, autogenerate=True, rev_id=number)
        engine.dispose()
    if written is None or isinstance(written, list):
        raise SystemExit("no migration was written")
    return Path(written.path)


def main() -> None:
    message = " ".join(sys.argv[1:])
    file = add_next(message) if message else rewrite_first()
    ruff = Path(sys.executable).with_name("ruff")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.lstrip().startswith("# ###")), encoding="utf-8")
    for order in (["format"], ["check", "--fix"]):
        subprocess.run([ruff, *order, "--quiet", file], check=True)  # noqa: S603 -- words and a path of our own
    print(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


if __name__ == "__main__":
    main()
