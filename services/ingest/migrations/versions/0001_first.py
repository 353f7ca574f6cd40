"""Files, their checkpoints and their accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "ingest_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False, comment=comment)


def _number(name: str, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False, comment=comment)


def upgrade() -> None:
    schema_v1.create_outbox(SCHEMA)
    op.create_table(
        "files",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="the same name with other bytes is another arrival"),
        sa.Column("origin", sa.Text(), nullable=False, comment="esr or lms"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column(
            "repeats", sa.Integer(), server_default="0", nullable=False, comment="times the same bytes came again"
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        _text("code"),
        _text("reason"),
        sa.Column("faults", postgresql.JSONB(), server_default="[]", nullable=False),
        _text("stream", "the counter the file belongs to"),
        _text("kind"),
        _text("mode"),
        _number("number"),
        _number("seq"),
        _number("records"),
        sa.Column("previous_run", sa.DateTime()),
        sa.Column("current_run", sa.DateTime()),
        _number("offset"),
        _number("line"),
        _number("position", "records sent so far"),
        sa.Column("claimed_until", sa.DateTime(timezone=True), comment="a replica is splitting the file"),
        sa.Column("last_turn", sa.DateTime(timezone=True), comment="files take turns"),
        sa.Column(
            "fates", postgresql.JSONB(), server_default="{}", nullable=False, comment="how many records met which fate"
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("vpd", "name", "sha256", name="files_pkey"),
        schema=SCHEMA,
    )
    op.create_index("files_by_stream", "files", ["vpd", "stream", "number"], schema=SCHEMA)
    op.create_index(
        "files_at_work",
        "files",
        ["status", "last_turn"],
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('ready', 'splitting')"),
    )
    op.create_index(
        "files_waiting",
        "files",
        ["status"],
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('received', 'checked', 'held')"),
    )
    op.create_index(
        "files_accepted",
        "files",
        ["vpd", "name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('ready', 'splitting', 'split', 'complete')"),
    )


def downgrade() -> None:
    schema_v1.drop(SCHEMA, "files", "line_fates", "outbox")
