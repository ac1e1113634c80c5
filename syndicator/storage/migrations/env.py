"""What Alembic runs around the revisions. The connection, already in its transaction, comes from `storage/schema.py`."""

from __future__ import annotations

from alembic import context

from syndicator.domain.tables import TABLES
from syndicator.storage.schema import in_models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES,
    render_as_batch=True,  # SQLite alters little in place
    render_item=context.config.attributes.get("render_item"),
    include_object=in_models,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
