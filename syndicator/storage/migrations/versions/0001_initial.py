"""Everything, as the models stood at the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

# What no model can say, by database: run after the tables are made, and before they go.
MADE = {
    "sqlite": [
        """
CREATE VIRTUAL TABLE story_words USING fts5(
    headline, byline, labels, summary, body,
    content='story_texts', content_rowid='story_id', tokenize='porter unicode61 remove_diacritics 2'
)"""
    ],
    "postgresql": [
        """
ALTER TABLE story_texts ADD COLUMN search_words tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('english', headline), 'A')
    || setweight(to_tsvector('english', byline || ' ' || labels), 'B')
    || setweight(to_tsvector('english', summary), 'C')
    || setweight(to_tsvector('english', body), 'D')
) STORED""",
        """CREATE INDEX ix_story_texts_words ON story_texts USING gin (search_words)""",
    ],
}
UNMADE = {"sqlite": ["""DROP TABLE story_words"""], "postgresql": []}


def upgrade() -> None:
    op.create_table(
        "application_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("answers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_requests")),
        sa.UniqueConstraint("public_id", name=op.f("uq_application_requests_public_id")),
    )
    op.create_index("ix_application_requests_address", "application_requests", ["address", "asked_at"], unique=False)
    op.create_index("ix_application_requests_asked", "application_requests", ["asked_at"], unique=False)
    op.create_index("ix_application_requests_email", "application_requests", ["email", "asked_at"], unique=False)
    op.create_table(
        "audit_entries",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_action", "audit_entries", ["action", "seq"], unique=False)
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor", "seq"], unique=False)
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject", "seq"], unique=False)
    op.create_table(
        "callback_hosts",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_callback_hosts")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "daily_tallies",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "name", "label", name=op.f("pk_daily_tallies")),
    )
    op.create_table(
        "feed_archives",
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stale_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "number", name=op.f("pk_feed_archives")),
    )
    op.create_index(
        "ix_feed_archives_stale",
        "feed_archives",
        ["feed", "stale_at"],
        unique=False,
        sqlite_where=sa.text("stale_at IS NOT NULL"),
        postgresql_where=sa.text("stale_at IS NOT NULL"),
    )
    op.create_table(
        "feed_states",
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("selection_hash", sa.String(length=64), nullable=False),
        sa.Column("changed_seq", sa.Integer(), nullable=False),
        sa.Column("rendered_seq", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frame_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_feed_states")),
    )
    op.create_table(
        "inquiries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("organisation", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=254), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiries")),
        sa.UniqueConstraint("public_id", name=op.f("uq_inquiries_public_id")),
    )
    op.create_index("ix_inquiries_address", "inquiries", ["address", "created_at"], unique=False)
    op.create_index("ix_inquiries_email", "inquiries", ["email", "created_at"], unique=False)
    op.create_index("ix_inquiries_state", "inquiries", ["state", "changed_at", "id"], unique=False)
    op.create_table(
        "job_runs",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_runs")),
    )
    op.create_table(
        "leader_leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=80), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leader_leases")),
    )
    op.create_table(
        "license_versions",
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("duties", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("notice_version", sa.String(length=40), nullable=False),
        sa.Column("in_force_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accept_by", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_license_versions")),
    )
    op.create_table(
        "link_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("next_path", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_requests")),
    )
    op.create_index("ix_link_requests_address", "link_requests", ["address", "asked_at"], unique=False)
    op.create_index(op.f("ix_link_requests_answered_at"), "link_requests", ["answered_at"], unique=False)
    op.create_index("ix_link_requests_email", "link_requests", ["email", "asked_at"], unique=False)
    op.create_table(
        "notice_versions",
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("contact_email", sa.String(length=254), nullable=False),
        sa.Column("in_force_since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_notice_versions")),
    )
    op.create_table(
        "publishers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_look", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("approved_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("terms_version", sa.String(length=40), nullable=False),
        sa.Column("terms_accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("terms_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embargo_trusted", sa.Boolean(), nullable=False),
        sa.Column("urgent_email", sa.String(length=254), nullable=False),
        sa.Column("urgent_contact", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publishers")),
        sa.UniqueConstraint("public_id", name=op.f("uq_publishers_public_id")),
    )
    op.create_index(op.f("ix_publishers_email"), "publishers", ["email"], unique=False)
    op.create_index(op.f("ix_publishers_name_look"), "publishers", ["name_look"], unique=False)
    op.create_table(
        "pushed_pictures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("media_id", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushed_pictures")),
        sa.UniqueConstraint("media_id", name=op.f("uq_pushed_pictures_media_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_pushed_pictures_public_id")),
    )
    op.create_index("ix_pushed_pictures_at", "pushed_pictures", ["at"], unique=False)
    op.create_table(
        "pushes_taken",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_pushes_taken")),
    )
    op.create_table(
        "remembered_requests",
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_effect", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("holder", "key_hash", name=op.f("pk_remembered_requests")),
    )
    op.create_index("ix_remembered_requests_claimed", "remembered_requests", ["claimed_at"], unique=False)
    op.create_table(
        "shared_documents",
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_shared_documents")),
    )
    op.create_index("ix_shared_documents_number", "shared_documents", ["number"], unique=False)
    op.create_table(
        "sign_in_tries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_hash", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_tries")),
    )
    op.create_index("ix_sign_in_tries_account", "sign_in_tries", ["account_hash", "at", "address"], unique=False)
    op.create_index("ix_sign_in_tries_address", "sign_in_tries", ["address", "at"], unique=False)
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("section", sa.String(length=200), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("cursor", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("next_pull_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quiet_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("labels", sa.String(length=120), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_tallies")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("staff_role", sa.String(length=20), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column("totp_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_users_public_id")),
    )
    op.create_table(
        "web_nodes",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_web_nodes")),
    )
    op.create_table(
        "agreements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("feeds", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("sections", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("stories", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("territory", sa.String(length=200), nullable=False),
        sa.Column("fee_note", sa.Text(), nullable=False),
        sa.Column("quota", sa.Integer(), nullable=True),
        sa.Column("quota_period", sa.String(length=20), nullable=False),
        sa.Column("embargo_trusted", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_agreements_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
        sa.UniqueConstraint("public_id", name=op.f("uq_agreements_public_id")),
    )
    op.create_index("ix_agreements_publisher", "agreements", ["publisher_id", "valid_until"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("prefix", sa.String(length=24), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_from", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_api_keys_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_keys_public_id")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    op.create_index("ix_api_keys_publisher", "api_keys", ["publisher_id", "id"], unique=False)
    op.create_table(
        "applications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("renewal", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("answers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=254), nullable=False),
        sa.Column("applicant", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_applications_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
        sa.UniqueConstraint("public_id", name=op.f("uq_applications_public_id")),
    )
    op.create_index("ix_applications_publisher", "applications", ["publisher_id", "id"], unique=False)
    op.create_index("ix_applications_state", "applications", ["state", "submitted_at", "id"], unique=False)
    op.create_table(
        "audience_evidence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(length=253), nullable=False),
        sa.Column("first_month", sa.Date(), nullable=False),
        sa.Column("last_month", sa.Date(), nullable=False),
        sa.Column("unique_visitors", sa.Integer(), nullable=False),
        sa.Column("page_views", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("link", sa.String(length=2048), nullable=False),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("media_type", sa.String(length=80), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("given_by", sa.String(length=254), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_audience_evidence_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience_evidence")),
        sa.UniqueConstraint("public_id", name=op.f("uq_audience_evidence_public_id")),
    )
    op.create_index("ix_audience_evidence_hash", "audience_evidence", ["sha256"], unique=False)
    op.create_index("ix_audience_evidence_publisher", "audience_evidence", ["publisher_id", "id"], unique=False)
    op.create_table(
        "eligibility_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=False),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("policy", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_eligibility_decisions_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eligibility_decisions")),
    )
    op.create_index("ix_eligibility_decisions_publisher", "eligibility_decisions", ["publisher_id", "id"], unique=False)
    op.create_table(
        "feed_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=24), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_from", sa.String(length=64), nullable=False),
        sa.Column("networks", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_feed_tokens_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_tokens")),
        sa.UniqueConstraint("public_id", name=op.f("uq_feed_tokens_public_id")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_feed_tokens_secret_hash")),
    )
    op.create_index("ix_feed_tokens_publisher", "feed_tokens", ["publisher_id", "feed"], unique=False)
    op.create_table(
        "hub_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("websub_key", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("callback", sa.String(length=2048), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_hub_requests_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_requests")),
        sa.UniqueConstraint("websub_key", name=op.f("uq_hub_requests_websub_key")),
    )
    op.create_index("ix_hub_requests_due", "hub_requests", ["next_attempt_at"], unique=False)
    op.create_index("ix_hub_requests_host", "hub_requests", ["host"], unique=False)
    op.create_table(
        "inquiry_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("inquiry_id", sa.Integer(), nullable=False),
        sa.Column("said", sa.String(length=20), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inquiry_id"], ["inquiries.id"], name=op.f("fk_inquiry_lines_inquiry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiry_lines")),
    )
    op.create_index("ix_inquiry_lines_inquiry", "inquiry_lines", ["inquiry_id", "id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("invited_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_invitations_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("public_id", name=op.f("uq_invitations_public_id")),
    )
    op.create_index("ix_invitations_publisher", "invitations", ["publisher_id"], unique=False)
    op.create_table(
        "letters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("reply_to", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("publisher_id", sa.Integer(), nullable=True),
        sa.Column("about", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_letters_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
        sa.UniqueConstraint("message_id", name=op.f("uq_letters_message_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_letters_public_id")),
    )
    op.create_index("ix_letters_about", "letters", ["about"], unique=False)
    op.create_index("ix_letters_due", "letters", ["state", "next_attempt_at"], unique=False)
    op.create_index("ix_letters_publisher", "letters", ["publisher_id", "id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_memberships_publisher_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("user_id", "publisher_id", name=op.f("uq_memberships_user_id_publisher_id")),
    )
    op.create_index("ix_memberships_publisher", "memberships", ["publisher_id"], unique=False)
    op.create_table(
        "one_time_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("about", sa.String(length=32), nullable=False),
        sa.Column("next_path", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_one_time_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_links_token_hash")),
    )
    op.create_index("ix_one_time_links_user", "one_time_links", ["user_id"], unique=False)
    op.create_table(
        "publisher_contacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_publisher_contacts_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publisher_contacts")),
        sa.UniqueConstraint("publisher_id", "kind", name=op.f("uq_publisher_contacts_publisher_id_kind")),
    )
    op.create_index("ix_publisher_contacts_email", "publisher_contacts", ["email"], unique=False)
    op.create_table(
        "publisher_domains",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("look", sa.String(length=200), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_by", sa.String(length=254), nullable=False),
        sa.Column("proof_token", sa.String(length=64), nullable=False),
        sa.Column("proof_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_words", sa.Text(), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_publisher_domains_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publisher_domains")),
        sa.UniqueConstraint("publisher_id", "domain", name=op.f("uq_publisher_domains_publisher_id_domain")),
    )
    op.create_index("ix_publisher_domains_domain", "publisher_domains", ["domain"], unique=False)
    op.create_index("ix_publisher_domains_due", "publisher_domains", ["check_due_at"], unique=False)
    op.create_index("ix_publisher_domains_look", "publisher_domains", ["look"], unique=False)
    op.create_table(
        "reminders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_reminders_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reminders")),
        sa.UniqueConstraint("publisher_id", "about", name=op.f("uq_reminders_publisher_id_about")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=True),
        sa.Column("code_due", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_sign_ins_publisher_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sign_ins_public_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_ins_token_hash")),
    )
    op.create_index("ix_sign_ins_user", "sign_ins", ["user_id", "ended_at"], unique=False)
    op.create_table(
        "stories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("uri", sa.String(length=255), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(length=500), nullable=False),
        sa.Column("pubstatus", sa.String(length=20), nullable=False),
        sa.Column("rights", sa.String(length=20), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("source_hash", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("embargoed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_stories_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stories")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stories_public_id")),
        sa.UniqueConstraint("source_id", "external_id", name=op.f("uq_stories_source_id_external_id")),
        sa.UniqueConstraint("uri", name=op.f("uq_stories_uri")),
    )
    op.create_index(
        "ix_stories_embargo_due",
        "stories",
        ["embargoed_until"],
        unique=False,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_index(
        "ix_stories_expiry_due",
        "stories",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expired_at IS NULL"),
        postgresql_where=sa.text("expired_at IS NULL"),
    )
    op.create_index("ix_stories_published", "stories", ["published_at", "id"], unique=False)
    op.create_index("ix_stories_released", "stories", ["released_at", "id"], unique=False)
    op.create_index("ix_stories_updated", "stories", ["updated_at", "id"], unique=False)
    op.create_index(
        "ix_stories_withdrawn",
        "stories",
        ["published_at", "id"],
        unique=False,
        sqlite_where=sa.text("pubstatus <> 'usable'"),
        postgresql_where=sa.text("pubstatus <> 'usable'"),
    )
    op.create_table(
        "terms_acceptances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("license_version", sa.String(length=40), nullable=False),
        sa.Column("notice_version", sa.String(length=40), nullable=False),
        sa.Column("accepted_by", sa.String(length=254), nullable=False),
        sa.Column("signer", sa.String(length=200), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_terms_acceptances_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms_acceptances")),
    )
    op.create_index("ix_terms_acceptances_publisher", "terms_acceptances", ["publisher_id", "id"], unique=False)
    op.create_table(
        "application_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["application_id"], ["applications.id"], name=op.f("fk_application_notes_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_notes")),
    )
    op.create_index("ix_application_notes_application", "application_notes", ["application_id", "id"], unique=False)
    op.create_table(
        "beacon_days",
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_beacon_days_publisher_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_beacon_days_story_id")),
        sa.PrimaryKeyConstraint("publisher_id", "story_id", "day", "host", name=op.f("pk_beacon_days")),
    )
    op.create_index("ix_beacon_days_day", "beacon_days", ["day"], unique=False)
    op.create_table(
        "beacons",
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_beacons_publisher_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_beacons_story_id")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_beacons")),
        sa.UniqueConstraint("publisher_id", "story_id", name=op.f("uq_beacons_publisher_id_story_id")),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("feeds", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("embargoed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_events_story_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_story", "events", ["story_id", "seq"], unique=False)
    op.create_table(
        "feed_entries",
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tombstone", sa.Boolean(), nullable=False),
        sa.Column("archive", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_feed_entries_story_id")),
        sa.PrimaryKeyConstraint("feed", "story_id", name=op.f("pk_feed_entries")),
    )
    op.create_index(
        "ix_feed_entries_archive",
        "feed_entries",
        ["feed", "archive"],
        unique=False,
        sqlite_where=sa.text("archive IS NOT NULL"),
        postgresql_where=sa.text("archive IS NOT NULL"),
    )
    op.create_index(
        "ix_feed_entries_head",
        "feed_entries",
        ["feed", "updated_at", "story_id"],
        unique=False,
        sqlite_where=sa.text("archive IS NULL AND left_at IS NULL"),
        postgresql_where=sa.text("archive IS NULL AND left_at IS NULL"),
    )
    op.create_index("ix_feed_entries_order", "feed_entries", ["feed", "left_at", "published_at", "story_id"], unique=False)
    op.create_index("ix_feed_entries_story", "feed_entries", ["story_id"], unique=False)
    op.create_table(
        "picture_uses",
        sa.Column("picture_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["picture_id"], ["pushed_pictures.id"], name=op.f("fk_picture_uses_picture_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_picture_uses_story_id")),
        sa.PrimaryKeyConstraint("picture_id", "story_id", name=op.f("pk_picture_uses")),
    )
    op.create_index("ix_picture_uses_story", "picture_uses", ["story_id"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("jti", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("license_url", sa.String(length=2048), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"], name=op.f("fk_receipts_agreement_id")),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_receipts_publisher_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_receipts_story_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("jti", name=op.f("uq_receipts_jti")),
    )
    op.create_index("ix_receipts_publisher", "receipts", ["publisher_id", "story_id", "version_number"], unique=False)
    op.create_table(
        "republications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("url_hash", sa.String(length=64), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("check", sa.Boolean(), nullable=False),
        sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("findings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_republications_publisher_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_republications_story_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_republications")),
        sa.UniqueConstraint("public_id", name=op.f("uq_republications_public_id")),
        sa.UniqueConstraint(
            "publisher_id", "story_id", "url_hash", name=op.f("uq_republications_publisher_id_story_id_url_hash")
        ),
    )
    op.create_index("ix_republications_due", "republications", ["next_check_at"], unique=False)
    op.create_index("ix_republications_story", "republications", ["story_id"], unique=False)
    op.create_table(
        "story_labels",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_story_labels_story_id")),
        sa.PrimaryKeyConstraint("kind", "key", "published_at", "story_id", name=op.f("pk_story_labels")),
    )
    op.create_index("ix_story_labels_story", "story_labels", ["story_id"], unique=False)
    op.create_table(
        "story_texts",
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("byline", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_story_texts_story_id")),
        sa.PrimaryKeyConstraint("story_id", name=op.f("pk_story_texts")),
    )
    op.create_table(
        "story_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pubstatus", sa.String(length=20), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("byline", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("section", sa.String(length=200), nullable=False),
        sa.Column("tags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("canonical_url", sa.String(length=2048), nullable=False),
        sa.Column("rights", sa.String(length=20), nullable=False),
        sa.Column("ednote", sa.Text(), nullable=False),
        sa.Column("images", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("correction_note", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_story_versions_story_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story_versions")),
        sa.UniqueConstraint("story_id", "number", name=op.f("uq_story_versions_story_id_number")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=True),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("endpoint", sa.String(length=2048), nullable=False),
        sa.Column("options", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("websub_key", sa.String(length=64), nullable=True),
        sa.Column("callback_host", sa.String(length=255), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signing_key", sa.Text(), nullable=True),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures_in_row", sa.Integer(), nullable=False),
        sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told", sa.String(length=20), nullable=False),
        sa.Column("paused_after_seq", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_subscriptions_publisher_id")),
        sa.ForeignKeyConstraint(["token_id"], ["feed_tokens.id"], name=op.f("fk_subscriptions_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subscriptions_public_id")),
        sa.UniqueConstraint("websub_key", name=op.f("uq_subscriptions_websub_key")),
    )
    op.create_index(
        "ix_subscriptions_callback_host",
        "subscriptions",
        ["callback_host"],
        unique=False,
        sqlite_where=sa.text("callback_host IS NOT NULL"),
        postgresql_where=sa.text("callback_host IS NOT NULL"),
    )
    op.create_index("ix_subscriptions_owed", "subscriptions", ["feed", "state"], unique=False)
    op.create_index("ix_subscriptions_publisher", "subscriptions", ["publisher_id"], unique=False)
    op.create_index(
        "ix_subscriptions_resting",
        "subscriptions",
        ["resting_until"],
        unique=False,
        sqlite_where=sa.text("resting_until IS NOT NULL"),
        postgresql_where=sa.text("resting_until IS NOT NULL"),
    )
    op.create_index(
        "ix_subscriptions_token",
        "subscriptions",
        ["token_id"],
        unique=False,
        sqlite_where=sa.text("token_id IS NOT NULL"),
        postgresql_where=sa.text("token_id IS NOT NULL"),
    )
    op.create_table(
        "takes",
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("first_taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("way", sa.String(length=20), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"], name=op.f("fk_takes_agreement_id")),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_takes_publisher_id")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_takes_story_id")),
        sa.PrimaryKeyConstraint("publisher_id", "story_id", name=op.f("pk_takes")),
    )
    op.create_index("ix_takes_agreement", "takes", ["agreement_id", "first_taken_at"], unique=False)
    op.create_index("ix_takes_first", "takes", ["first_taken_at", "story_id"], unique=False)
    op.create_index("ix_takes_publisher", "takes", ["publisher_id", "first_taken_at"], unique=False)
    op.create_index("ix_takes_story", "takes", ["story_id"], unique=False)
    op.create_table(
        "acknowledgements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("publisher_id", sa.Integer(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=254), nullable=False),
        sa.Column("overtaken", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name=op.f("fk_acknowledgements_event_seq")),
        sa.ForeignKeyConstraint(["publisher_id"], ["publishers.id"], name=op.f("fk_acknowledgements_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acknowledgements")),
        sa.UniqueConstraint("publisher_id", "event_seq", name=op.f("uq_acknowledgements_publisher_id_event_seq")),
    )
    op.create_index(
        "ix_acknowledgements_due",
        "acknowledgements",
        ["remind_at"],
        unique=False,
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.create_index("ix_acknowledgements_event", "acknowledgements", ["event_seq"], unique=False)
    op.create_index(
        "ix_acknowledgements_pending",
        "acknowledgements",
        ["id"],
        unique=False,
        sqlite_where=sa.text("acknowledged_at IS NULL AND overtaken IS 0"),
        postgresql_where=sa.text("acknowledged_at IS NULL AND NOT overtaken"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=80), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name=op.f("fk_deliveries_event_seq")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_deliveries_story_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_deliveries_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "story_id", "subscription_id", "event_seq", name=op.f("uq_deliveries_story_id_subscription_id_event_seq")
        ),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["lane", "next_attempt_at", "event_seq"],
        unique=False,
        sqlite_where=sa.text("state = 'owed'"),
        postgresql_where=sa.text("state = 'owed'"),
    )
    op.create_index(
        "ix_deliveries_given_up",
        "deliveries",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'given_up'"),
        postgresql_where=sa.text("state = 'given_up'"),
    )
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription_id", "id"], unique=False)
    op.create_table(
        "remote_copies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("remote_id", sa.BigInteger(), nullable=True),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seen", sa.String(length=64), nullable=False),
        sa.Column("sent", sa.String(length=64), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("changed_there", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_remote_copies_story_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_remote_copies_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_copies")),
        sa.UniqueConstraint("subscription_id", "story_id", name=op.f("uq_remote_copies_subscription_id_story_id")),
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("done", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_trials_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("public_id", name=op.f("uq_trials_public_id")),
    )
    op.create_index(
        "ix_trials_due",
        "trials",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_trials_subscription", "trials", ["subscription_id", "id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_attempts_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_delivery", "attempts", ["delivery_id", "id"], unique=False)
    for statement in MADE[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def downgrade() -> None:
    for statement in UNMADE[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))
    op.drop_index("ix_attempts_delivery", table_name="attempts")
    op.drop_table("attempts")
    op.drop_index("ix_trials_subscription", table_name="trials")
    op.drop_index(
        "ix_trials_due",
        table_name="trials",
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_table("trials")
    op.drop_table("remote_copies")
    op.drop_index("ix_deliveries_subscription", table_name="deliveries")
    op.drop_index(
        "ix_deliveries_given_up",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'given_up'"),
        postgresql_where=sa.text("state = 'given_up'"),
    )
    op.drop_index(
        "ix_deliveries_due",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'owed'"),
        postgresql_where=sa.text("state = 'owed'"),
    )
    op.drop_table("deliveries")
    op.drop_index(
        "ix_acknowledgements_pending",
        table_name="acknowledgements",
        sqlite_where=sa.text("acknowledged_at IS NULL AND overtaken IS 0"),
        postgresql_where=sa.text("acknowledged_at IS NULL AND NOT overtaken"),
    )
    op.drop_index("ix_acknowledgements_event", table_name="acknowledgements")
    op.drop_index(
        "ix_acknowledgements_due",
        table_name="acknowledgements",
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.drop_table("acknowledgements")
    op.drop_index("ix_takes_story", table_name="takes")
    op.drop_index("ix_takes_publisher", table_name="takes")
    op.drop_index("ix_takes_first", table_name="takes")
    op.drop_index("ix_takes_agreement", table_name="takes")
    op.drop_table("takes")
    op.drop_index(
        "ix_subscriptions_token",
        table_name="subscriptions",
        sqlite_where=sa.text("token_id IS NOT NULL"),
        postgresql_where=sa.text("token_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_subscriptions_resting",
        table_name="subscriptions",
        sqlite_where=sa.text("resting_until IS NOT NULL"),
        postgresql_where=sa.text("resting_until IS NOT NULL"),
    )
    op.drop_index("ix_subscriptions_publisher", table_name="subscriptions")
    op.drop_index("ix_subscriptions_owed", table_name="subscriptions")
    op.drop_index(
        "ix_subscriptions_callback_host",
        table_name="subscriptions",
        sqlite_where=sa.text("callback_host IS NOT NULL"),
        postgresql_where=sa.text("callback_host IS NOT NULL"),
    )
    op.drop_table("subscriptions")
    op.drop_table("story_versions")
    op.drop_table("story_texts")
    op.drop_index("ix_story_labels_story", table_name="story_labels")
    op.drop_table("story_labels")
    op.drop_index("ix_republications_story", table_name="republications")
    op.drop_index("ix_republications_due", table_name="republications")
    op.drop_table("republications")
    op.drop_index("ix_receipts_publisher", table_name="receipts")
    op.drop_table("receipts")
    op.drop_index("ix_picture_uses_story", table_name="picture_uses")
    op.drop_table("picture_uses")
    op.drop_index("ix_feed_entries_story", table_name="feed_entries")
    op.drop_index("ix_feed_entries_order", table_name="feed_entries")
    op.drop_index(
        "ix_feed_entries_head",
        table_name="feed_entries",
        sqlite_where=sa.text("archive IS NULL AND left_at IS NULL"),
        postgresql_where=sa.text("archive IS NULL AND left_at IS NULL"),
    )
    op.drop_index(
        "ix_feed_entries_archive",
        table_name="feed_entries",
        sqlite_where=sa.text("archive IS NOT NULL"),
        postgresql_where=sa.text("archive IS NOT NULL"),
    )
    op.drop_table("feed_entries")
    op.drop_index("ix_events_story", table_name="events")
    op.drop_table("events")
    op.drop_table("beacons")
    op.drop_index("ix_beacon_days_day", table_name="beacon_days")
    op.drop_table("beacon_days")
    op.drop_index("ix_application_notes_application", table_name="application_notes")
    op.drop_table("application_notes")
    op.drop_index("ix_terms_acceptances_publisher", table_name="terms_acceptances")
    op.drop_table("terms_acceptances")
    op.drop_index(
        "ix_stories_withdrawn",
        table_name="stories",
        sqlite_where=sa.text("pubstatus <> 'usable'"),
        postgresql_where=sa.text("pubstatus <> 'usable'"),
    )
    op.drop_index("ix_stories_updated", table_name="stories")
    op.drop_index("ix_stories_released", table_name="stories")
    op.drop_index("ix_stories_published", table_name="stories")
    op.drop_index(
        "ix_stories_expiry_due",
        table_name="stories",
        sqlite_where=sa.text("expired_at IS NULL"),
        postgresql_where=sa.text("expired_at IS NULL"),
    )
    op.drop_index(
        "ix_stories_embargo_due",
        table_name="stories",
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.drop_table("stories")
    op.drop_index("ix_sign_ins_user", table_name="sign_ins")
    op.drop_table("sign_ins")
    op.drop_table("reminders")
    op.drop_index("ix_publisher_domains_look", table_name="publisher_domains")
    op.drop_index("ix_publisher_domains_due", table_name="publisher_domains")
    op.drop_index("ix_publisher_domains_domain", table_name="publisher_domains")
    op.drop_table("publisher_domains")
    op.drop_index("ix_publisher_contacts_email", table_name="publisher_contacts")
    op.drop_table("publisher_contacts")
    op.drop_index("ix_one_time_links_user", table_name="one_time_links")
    op.drop_table("one_time_links")
    op.drop_index("ix_memberships_publisher", table_name="memberships")
    op.drop_table("memberships")
    op.drop_index("ix_letters_publisher", table_name="letters")
    op.drop_index("ix_letters_due", table_name="letters")
    op.drop_index("ix_letters_about", table_name="letters")
    op.drop_table("letters")
    op.drop_index("ix_invitations_publisher", table_name="invitations")
    op.drop_table("invitations")
    op.drop_index("ix_inquiry_lines_inquiry", table_name="inquiry_lines")
    op.drop_table("inquiry_lines")
    op.drop_index("ix_hub_requests_host", table_name="hub_requests")
    op.drop_index("ix_hub_requests_due", table_name="hub_requests")
    op.drop_table("hub_requests")
    op.drop_index("ix_feed_tokens_publisher", table_name="feed_tokens")
    op.drop_table("feed_tokens")
    op.drop_index("ix_eligibility_decisions_publisher", table_name="eligibility_decisions")
    op.drop_table("eligibility_decisions")
    op.drop_index("ix_audience_evidence_publisher", table_name="audience_evidence")
    op.drop_index("ix_audience_evidence_hash", table_name="audience_evidence")
    op.drop_table("audience_evidence")
    op.drop_index("ix_applications_state", table_name="applications")
    op.drop_index("ix_applications_publisher", table_name="applications")
    op.drop_table("applications")
    op.drop_index("ix_api_keys_publisher", table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("ix_agreements_publisher", table_name="agreements")
    op.drop_table("agreements")
    op.drop_table("web_nodes")
    op.drop_table("users")
    op.drop_table("tallies")
    op.drop_table("sources")
    op.drop_index("ix_sign_in_tries_address", table_name="sign_in_tries")
    op.drop_index("ix_sign_in_tries_account", table_name="sign_in_tries")
    op.drop_table("sign_in_tries")
    op.drop_index("ix_shared_documents_number", table_name="shared_documents")
    op.drop_table("shared_documents")
    op.drop_index("ix_remembered_requests_claimed", table_name="remembered_requests")
    op.drop_table("remembered_requests")
    op.drop_table("pushes_taken")
    op.drop_index("ix_pushed_pictures_at", table_name="pushed_pictures")
    op.drop_table("pushed_pictures")
    op.drop_index(op.f("ix_publishers_name_look"), table_name="publishers")
    op.drop_index(op.f("ix_publishers_email"), table_name="publishers")
    op.drop_table("publishers")
    op.drop_table("notice_versions")
    op.drop_index("ix_link_requests_email", table_name="link_requests")
    op.drop_index(op.f("ix_link_requests_answered_at"), table_name="link_requests")
    op.drop_index("ix_link_requests_address", table_name="link_requests")
    op.drop_table("link_requests")
    op.drop_table("license_versions")
    op.drop_table("leader_leases")
    op.drop_table("job_runs")
    op.drop_index("ix_inquiries_state", table_name="inquiries")
    op.drop_index("ix_inquiries_email", table_name="inquiries")
    op.drop_index("ix_inquiries_address", table_name="inquiries")
    op.drop_table("inquiries")
    op.drop_table("feed_states")
    op.drop_index(
        "ix_feed_archives_stale",
        table_name="feed_archives",
        sqlite_where=sa.text("stale_at IS NOT NULL"),
        postgresql_where=sa.text("stale_at IS NOT NULL"),
    )
    op.drop_table("feed_archives")
    op.drop_table("daily_tallies")
    op.drop_table("counters")
    op.drop_table("callback_hosts")
    op.drop_index("ix_audit_entries_subject", table_name="audit_entries")
    op.drop_index("ix_audit_entries_actor", table_name="audit_entries")
    op.drop_index("ix_audit_entries_action", table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_index("ix_application_requests_email", table_name="application_requests")
    op.drop_index("ix_application_requests_asked", table_name="application_requests")
    op.drop_index("ix_application_requests_address", table_name="application_requests")
    op.drop_table("application_requests")
