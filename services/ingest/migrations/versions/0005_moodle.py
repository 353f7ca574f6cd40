"""Course completions read from Moodle."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0005"
down_revision = "ingest_0004"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_table(
        "moodle_completions",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("user_idnumber", sa.Text(), nullable=False),
        sa.Column("course_idnumber", sa.Text(), nullable=False),
        sa.Column("second", sa.BigInteger(), nullable=False, comment="epoch seconds of the completion"),
        sa.Column("shown", sa.Text(), nullable=False, comment="its time as the report printed it last"),
        sa.Column("file", sa.Text(), nullable=False, comment="the file in which it was handed in"),
        sa.PrimaryKeyConstraint("vpd", "user_idnumber", "course_idnumber", "second", name="moodle_completions_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "moodle_completions_shown",
        "moodle_completions",
        ["vpd", "user_idnumber", "course_idnumber", "shown"],
        schema=SCHEMA,
    )
    op.create_table(
        "moodle_reads",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("report", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False, comment="epoch second up to which the report was read"),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False, comment="when everything was read last"),
        sa.PrimaryKeyConstraint("vpd", "report", name="moodle_reads_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("moodle_reads", schema=SCHEMA)
    op.drop_table("moodle_completions", schema=SCHEMA)
