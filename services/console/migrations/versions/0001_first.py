"""Dead letters, and who did what to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "console_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "console"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def upgrade() -> None:
    schema_v1.create_outbox(SCHEMA)
    op.create_table(
        "dead_letters",
        _text("vpd"),
        _text("id", "the message's id"),
        _text("state", "open, replayed, resolved or discarded"),
        _text("queue"),
        _text("type"),
        _text("code"),
        _text("reason"),
        _text("stream"),
        _text("file"),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False, comment="replays it has been through"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="times it was given up"),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False, comment="as first received; kept for ever"),
        sa.Column("edited", sa.LargeBinary(), comment="the body an operator put in its place"),
        sa.PrimaryKeyConstraint("vpd", "id", name="dead_letters_pkey"),
        schema=SCHEMA,
    )
    op.create_index("dead_letters_by_state", "dead_letters", ["vpd", "state", "code"], schema=SCHEMA)
    op.create_index("dead_letters_by_line", "dead_letters", ["vpd", "file", "line"], schema=SCHEMA)
    op.create_table(
        "actions",
        _text("vpd"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("letter"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("action"),
        _text("why"),
        sa.Column(
            "columns",
            postgresql.JSONB(),
            server_default="[]",
            nullable=False,
            comment="names of edited columns, never values",
        ),
        sa.PrimaryKeyConstraint("vpd", "id", name="actions_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    schema_v1.drop(SCHEMA, "actions", "dead_letters", "line_fates", "outbox")
