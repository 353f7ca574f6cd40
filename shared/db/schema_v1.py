"""The common tables as the first migrations made them. Frozen: a change is a new migration, never an edit here."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def _primary_key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"{table}_pkey")


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def create_outbox(schema: str) -> None:
    """Create the outbox and the line fates, which every service has."""
    op.create_table(
        "outbox",
        _text("vpd"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("messages", sa.LargeBinary(), nullable=False),
        _primary_key("outbox", "vpd", "id"),
        schema=schema,
    )
    op.create_table(
        "line_fates",
        _text("vpd"),
        _text("file"),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        _primary_key("line_fates", "vpd", "file", "block"),
        schema=schema,
    )


def create_facts(schema: str) -> None:
    """Create versioned facts and their tombstones."""
    op.create_table(
        "facts",
        _text("vpd"),
        _text("entity"),
        _text("key"),
        _text("slice", comment="effective start of a date slice, else empty"),
        _text("owner", comment="the person the fact is about, else empty"),
        _text("file"),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        _primary_key("facts", "vpd", "entity", "key", "slice"),
        schema=schema,
    )
    op.create_index("facts_by_owner", "facts", ["vpd", "owner", "entity"], schema=schema)
    op.create_table(
        "deletions",
        _text("vpd"),
        _text("entity"),
        _text("key"),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        _primary_key("deletions", "vpd", "entity", "key"),
        schema=schema,
    )


def drop(schema: str, *tables: str) -> None:
    """Drop tables in the order given."""
    for table in tables:
        op.drop_table(table, schema=schema)
