"""Gates, accounts, deliveries, completions and files to ESR."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "outbound_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "outbound"


def upgrade() -> None:
    schema_v1.create_outbox(SCHEMA)
    op.create_table(
        "gates",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column(
            "upto", sa.BigInteger(), nullable=False, comment="newest file of the stream that is wholly accounted for"
        ),
        sa.PrimaryKeyConstraint("vpd", "stream", name="gates_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "accounts",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("file_no", sa.BigInteger(), nullable=False, comment="effects wait until this file is accounted for"),
        sa.Column("person", postgresql.JSONB(), nullable=False),
        sa.Column("seen", postgresql.JSONB(), comment="the account as the LMS last accepted it"),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column(
            "refused", sa.Text(), server_default="", nullable=False, comment="the LMS's code, until the person changes"
        ),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="accounts_pkey"),
        schema=SCHEMA,
    )
    op.create_index("accounts_dirty", "accounts", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("dirty"))
    op.create_table(
        "deliveries",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="certification or evidence"),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="wanted, delivered, refused or withdrawn"),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("vpd", "person_id", "key", name="deliveries_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "deliveries_wanted", "deliveries", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("state = 'wanted'")
    )
    op.create_table(
        "completions",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="waiting, written, sent, confirmed, rejected or unsendable"
        ),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("sent_file", sa.Text()),
        sa.Column("position", sa.Integer()),
        sa.PrimaryKeyConstraint("vpd", "person_id", "key", name="completions_pkey"),
        schema=SCHEMA,
    )
    op.create_index("completions_by_reference", "completions", ["vpd", "reference"], unique=True, schema=SCHEMA)
    op.create_index(
        "completions_waiting", "completions", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("completions_by_file", "completions", ["vpd", "sent_file"], schema=SCHEMA)
    op.create_table(
        "outfiles",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="sequence of the counter cmp"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "current_run", sa.DateTime(), nullable=False, comment="UK local time; the next file's window begins here"
        ),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="kept until delivered, and never rebuilt"),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("vpd", "number", name="outfiles_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "counters",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "name", name="counters_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    schema_v1.drop(
        SCHEMA, "counters", "outfiles", "completions", "deliveries", "accounts", "gates", "line_fates", "outbox"
    )
