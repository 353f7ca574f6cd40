"""Facts, tombstones, known people and decisions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "competency_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_v1.create_outbox("competency")
    schema_v1.create_facts("competency")
    op.create_table(
        "people",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="empty until people has told of the person"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="people_pkey"),
        schema="competency",
    )
    op.create_table(
        "decisions",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="esr or lms"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("need", sa.Text(), nullable=False, comment="competence id or name a parked decision waits for"),
        sa.Column("decision", postgresql.JSONB(), nullable=False),
        sa.Column(
            "answer", sa.Text(), server_default="", nullable=False, comment="ESR's answer to a completion we sent"
        ),
        sa.PrimaryKeyConstraint("vpd", "person_id", "source", "key", name="decisions_pkey"),
        schema="competency",
    )
    op.create_index("decisions_by_verdict", "decisions", ["vpd", "verdict"], schema="competency")


def downgrade() -> None:
    schema_v1.drop("competency", "decisions", "people", "deletions", "facts", "line_fates", "outbox")
