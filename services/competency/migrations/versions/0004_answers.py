"""ESR's answers by item, and what full files show of what was confirmed."""

import sqlalchemy as sa
from alembic import op

revision = "competency_0004"
down_revision = "competency_0003"
branch_labels = None
depends_on = None

SCHEMA = "competency"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def upgrade() -> None:
    op.create_table(
        "answers",
        _text("vpd"),
        _text("person_id"),
        _text("key", "of the decision that ESR was told of"),
        _text("sent_file"),
        sa.Column("position", sa.Integer(), nullable=False, comment="with the file: which item ESR answered"),
        _text("reference"),
        _text("change", "new, correction, resend or withdrawal"),
        _text("state", "confirmed, rejected or overdue"),
        _text("code"),
        _text("esr_record_id"),
        _text("competence_id", "with the two days: what the item said"),
        _text("achieved_on"),
        _text("expires_on"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "person_id", "key", "sent_file", "position", name="answers_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "comparisons",
        _text("vpd"),
        sa.Column("file_no", sa.BigInteger(), nullable=False, comment="of a full file"),
        _text("file"),
        sa.Column("shows", sa.DateTime(timezone=True), nullable=False, comment="moment up to which the file tells"),
        sa.Column("compared", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("differences", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("compared_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("vpd", "file_no", name="comparisons_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "comparisons_due",
        "comparisons",
        ["vpd", "file_no"],
        schema=SCHEMA,
        postgresql_where=sa.text("compared_at IS NULL"),
    )
    op.create_table(
        "differences",
        _text("vpd"),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        _text("reference"),
        _text("person_id"),
        _text("key"),
        _text("competence_id"),
        _text("achieved_on"),
        _text("expires_on"),
        _text("difference", "missing, other_day or other_expiry"),
        _text("held", "what the full file shows instead"),
        sa.PrimaryKeyConstraint("vpd", "file_no", "reference", name="differences_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("differences", "comparisons", "answers"):
        op.drop_table(table, schema=SCHEMA)
