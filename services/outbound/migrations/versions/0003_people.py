"""Accounts as a trust's policy wants them: grace days, guards, links, job assignments and hierarchies."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "outbound_0003"
down_revision = "outbound_0002"
branch_labels = None
depends_on = None

SCHEMA = "outbound"

ACCOUNTS: tuple[sa.Column[Any], ...] = (
    sa.Column("stream", sa.Text(), nullable=False, server_default="feed", comment="which kind of file it rests on"),
    sa.Column("look_on", sa.Date(), comment="business day on which the account may have to change by itself"),
    sa.Column("closes_on", sa.Date(), comment="first day on which the account should be closed"),
    sa.Column("closed_on", sa.Date(), comment="business day on which it was last closed"),
    sa.Column(
        "released",
        sa.Boolean(),
        nullable=False,
        server_default=sa.false(),
        comment="closing was released by an operator",
    ),
    sa.Column(
        "not_before", sa.DateTime(timezone=True), comment="an outcome is unknown; it can be looked up from then on"
    ),
    sa.Column(
        "matched", sa.Text(), nullable=False, server_default="", comment="new, linked, asked; empty: not looked at yet"
    ),
    sa.Column("directory_name", sa.Text(), nullable=False, server_default=""),
    sa.Column("jobs", JSONB(), nullable=False, server_default="{}", comment="job assignments as the LMS accepted them"),
    sa.Column("jobs_refused", sa.Text(), nullable=False, server_default=""),
    sa.Column("jobs_dirty", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column(
        "refers_to",
        ARRAY(sa.Text()),
        nullable=False,
        server_default="{}",
        comment="what the jobs name",
    ),
)


def upgrade() -> None:
    for column in ACCOUNTS:
        op.add_column("accounts", column, schema=SCHEMA)
    op.create_index(
        "accounts_look_on", "accounts", ["look_on"], schema=SCHEMA, postgresql_where=sa.text("look_on IS NOT NULL")
    )
    op.create_index("accounts_jobs_dirty", "accounts", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("jobs_dirty"))
    op.create_index(
        "accounts_refers_to",
        "accounts",
        ["refers_to"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_where=sa.text("refers_to <> '{}'"),
    )
    op.create_index("accounts_closed_on", "accounts", ["vpd", "closed_on"], schema=SCHEMA)
    op.create_index("accounts_jobs", "accounts", ["jobs"], schema=SCHEMA, postgresql_using="gin")
    # Accounts were only ever made by us until now.
    op.execute("UPDATE outbound.accounts SET matched = 'new' WHERE seen IS NOT NULL")
    op.create_table(
        "hierarchy",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="organisation or position"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("said", JSONB(), nullable=False),
        sa.Column("seen", JSONB(), comment="the item as the LMS last accepted it"),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("vpd", "kind", "key", name="hierarchy_pkey"),
        schema=SCHEMA,
    )
    op.create_index("hierarchy_dirty", "hierarchy", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("dirty"))
    _what_waits_for_a_person()
    op.create_table(
        "policies",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the settings accounts were last derived by"),
        sa.PrimaryKeyConstraint("vpd", name="policies_pkey"),
        schema=SCHEMA,
    )


def _what_waits_for_a_person() -> None:
    op.create_table(
        "matches",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="asked, linked, new, returning"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("candidates", JSONB(), nullable=False, comment="accounts as the LMS held them when it was asked"),
        sa.Column("lms_id", sa.Text(), nullable=False, server_default="", comment="the account that is linked"),
        sa.Column(
            "idnumber_before",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="what it was called, to undo a link",
        ),
        sa.Column(
            "excluded",
            ARRAY(sa.Text()),
            nullable=False,
            server_default="{}",
            comment="accounts said not to be theirs",
        ),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="matches_pkey"),
        schema=SCHEMA,
    )
    op.create_index("matches_asked", "matches", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("state = 'asked'"))
    op.create_index(
        "matches_linked",
        "matches",
        ["vpd", "lms_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("lms_id <> ''"),
    )
    op.create_table(
        "decisions",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="a person ID, or suspensions"),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "number", name="decisions_pkey"),
        schema=SCHEMA,
    )
    op.create_index("decisions_by_subject", "decisions", ["vpd", "subject"], schema=SCHEMA)
    op.create_table(
        "guards",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("suspensions", sa.Integer(), nullable=False, comment="accounts that wait to be closed"),
        sa.Column("accounts", sa.Integer(), nullable=False, comment="open accounts"),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("vpd", "day", name="guards_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("policies", "guards", "decisions", "matches", "hierarchy"):
        op.drop_table(table, schema=SCHEMA)
    for column in ACCOUNTS:
        op.drop_column("accounts", column.name, schema=SCHEMA)
